//! Capabilities: tokens of a process and what they name.
//!
//! A token is local to its process: an index, a serial number that never comes
//! again, and the type and rights as a hint (specs/veridian.md 4.1). Bit 63 is
//! always clear. Looking one up is an index and a compare of the whole word.

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::object::stream::Stream;

/// Tokens a process may hold (specs/veridian.md 4.7).
pub const TOKENS_MAX: usize = 1024;

/// Rights of a capability, as a set (specs/veridian.md 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// Read, receive, wait, inspect.
    pub const READ: Self = Self(1);
    /// Write, send.
    pub const WRITE: Self = Self(2);
    /// Pass on to another process.
    pub const GRANT: Self = Self(8);
    /// May be named in a revocation.
    pub const REVOKE: Self = Self(0x10);
    /// Map, manage.
    pub const MODIFY: Self = Self(0x40);
    /// Mint.
    pub const CREATE: Self = Self(0x80);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All of `other` is in this set.
    pub const fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a token names. The discriminants are the object types of specs/veridian.md 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// The process itself.
    Process,
    /// A device: a stream of the console.
    Device(Stream),
    /// The right to mint capabilities.
    CapSpace,
}

impl Object {
    const fn code(self) -> u64 {
        match self {
            Object::Process => 1,
            Object::Device(_) => 5,
            Object::CapSpace => 9,
        }
    }
}

/// A token's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    token: u64,
    /// What it names.
    pub object: Object,
    /// What it allows.
    pub rights: Rights,
}

/// The tokens of one process.
#[derive(Debug, Default)]
pub struct Capabilities {
    slots: Vec<Capability>,
}

const SERIAL_SHIFT: u32 = 16;
const TYPE_SHIFT: u32 = 56;
const HINT_SHIFT: u32 = 60;
/// READ, WRITE and EXECUTE, which the token mirrors.
const HINTS: u64 = 0b111;

impl Capabilities {
    /// Makes a token.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] when the process holds too many.
    pub fn insert(&mut self, object: Object, rights: Rights) -> Result<u64, KernelError> {
        // Slot 0 is never used, so that no token is 0.
        let slot = self.slots.len() as u64 + 1;
        if slot >= TOKENS_MAX as u64 {
            return Err(KernelError::NoRoom);
        }
        let token = slot
            | slot << SERIAL_SHIFT
            | object.code() << TYPE_SHIFT
            | (u64::from(rights.0) & HINTS) << HINT_SHIFT;
        self.slots.push(Capability {
            token,
            object,
            rights,
        });
        Ok(token)
    }

    /// The entry of a token.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when the process has no such token.
    pub fn find(&self, token: u64) -> Result<&Capability, KernelError> {
        let slot = (token & 0xffff) as usize;
        self.slots
            .get(slot.wrapping_sub(1))
            .filter(|capability| capability.token == token)
            .ok_or(KernelError::BadHandle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_and_its_neighbours_are_not() {
        let mut tokens = Capabilities::default();
        let console = Object::Device(Stream::Output);
        let token = tokens
            .insert(console, Rights::READ.and(Rights::WRITE))
            .unwrap();
        assert_eq!(tokens.find(token).unwrap().object, console);
        for bit in 0..64 {
            assert_eq!(tokens.find(token ^ 1 << bit), Err(KernelError::BadHandle));
        }
        assert_eq!(tokens.find(0), Err(KernelError::BadHandle));
    }

    #[test]
    fn bit_63_is_clear_and_the_quota_holds() {
        let mut tokens = Capabilities::default();
        for _ in 1..TOKENS_MAX {
            assert_eq!(
                tokens.insert(Object::CapSpace, Rights::CREATE).unwrap() >> 63,
                0
            );
        }
        assert_eq!(
            tokens.insert(Object::CapSpace, Rights::CREATE),
            Err(KernelError::NoRoom)
        );
    }
}

//! Paths of PatchworkOS: names, and flags after a colon (specs/patchwork.md §4).

use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::object::inode::NAME_MAX;
use crate::object::namespace::Place;
use crate::object::process::Process;
use crate::object::walk::Step;
use crate::port::Port;
use crate::user;

/// Longest path with its flags and its terminator.
pub(crate) const PATH_MAX: usize = 256;

/// Flags of a path, by their bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u32);

impl Flags {
    pub(crate) const CREATE: Self = Self(0x20);
    pub(crate) const EXCLUSIVE: Self = Self(0x40);
    pub(crate) const TRUNCATE: Self = Self(0x80);
    pub(crate) const DIRECTORY: Self = Self(0x100);
    pub(crate) const RECURSIVE: Self = Self(0x200);

    /// All of `other` is among them.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Names and letters of the flags, in the order of their bits.
const FLAGS: [(&[u8], u8); 10] = [
    (b"read", b'r'),
    (b"write", b'w'),
    (b"execute", b'x'),
    (b"nonblock", b'n'),
    (b"append", b'a'),
    (b"create", b'c'),
    (b"exclusive", b'e'),
    (b"truncate", b't'),
    (b"directory", b'd'),
    (b"recursive", b'R'),
];

/// Characters that a name may have.
const IN_NAMES: [bool; 256] = {
    let mut legal = [false; 256];
    let listed = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\
        _-. ()[]{}~!@#$%^&?',;=+";
    let mut at = 0;
    while at < listed.len() {
        legal[listed[at] as usize] = true;
        at += 1;
    }
    legal
};

/// A path may have that character, its flags apart.
pub(crate) const fn is_legal(byte: u8) -> bool {
    byte == b'/' || IN_NAMES[byte as usize]
}

/// A path that is well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// Without its flags.
    names: &'a [u8],
    /// Its flags.
    pub(crate) flags: Flags,
}

/// Reads a path of a program into `buffer`.
///
/// # Errors
/// Those of its form, and [`KernelError::NullPointer`] and
/// [`KernelError::BadAddress`] for its address.
pub(crate) fn read<'a, P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    buffer: &'a mut [u8; PATH_MAX],
) -> Result<Path<'a>, KernelError> {
    if address == 0 {
        return Err(KernelError::NullPointer);
    }
    let space = &mut running.process.space;
    let length = user::read_string(&mut kernel.machine, space, address, buffer);
    let length = length.map_err(|error| match error {
        KernelError::Overflow => KernelError::BadAddress,
        error => error,
    })?;
    Path::parse(&buffer[..length])
}

impl<'a> Path<'a> {
    /// Takes a path apart.
    ///
    /// # Errors
    /// [`KernelError::InvalidArgument`] for an illegal character,
    /// [`KernelError::TooLong`], [`KernelError::BadFlag`].
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, KernelError> {
        // Where the name begins that is being looked at.
        let mut start = 0;
        for (at, byte) in text.iter().enumerate() {
            if IN_NAMES[usize::from(*byte)] {
                continue;
            }
            match byte {
                b':' | b'/' if at - start > NAME_MAX => return Err(KernelError::TooLong),
                b':' => {
                    return Ok(Self {
                        names: &text[..at],
                        flags: flags(&text[at + 1..])?,
                    });
                }
                b'/' => start = at + 1,
                // What comes first is wrong first.
                _ if at - start > NAME_MAX => return Err(KernelError::TooLong),
                _ => return Err(KernelError::InvalidArgument),
            }
        }
        if text.len() - start > NAME_MAX {
            return Err(KernelError::TooLong);
        }
        Ok(Self {
            names: text,
            flags: Flags::default(),
        })
    }

    /// It begins at the root.
    pub(crate) fn is_absolute(&self) -> bool {
        self.names.first() == Some(&b'/')
    }

    /// Its steps.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step<'a>> + use<'a> {
        steps(self.names)
    }

    /// The steps to the directory of its last name, and that name.
    ///
    /// # Errors
    /// [`KernelError::InvalidArgument`] when it does not end in a name.
    pub(crate) fn parent(
        &self,
    ) -> Result<(impl Iterator<Item = Step<'a>> + use<'a>, &'a [u8]), KernelError> {
        let end = self.names.iter().rposition(|byte| *byte != b'/');
        let names = &self.names[..end.map_or(0, |end| end + 1)];
        let slash = names.iter().rposition(|byte| *byte == b'/');
        let (before, last) = names.split_at(slash.map_or(0, |slash| slash + 1));
        match last {
            b"" | b"." | b".." => Err(KernelError::InvalidArgument),
            last => Ok((steps(before), last)),
        }
    }

    /// Its last name; `None` if it does not end in one.
    pub(crate) fn last(&self) -> Option<&'a [u8]> {
        Some(self.parent().ok()?.1)
    }

    /// Walks it from where the process's paths begin.
    ///
    /// # Errors
    /// As [`Kernel::walk`].
    pub(crate) fn find<P: Port>(
        &self,
        kernel: &Kernel<P>,
        running: &Running<P>,
    ) -> Result<Place, KernelError> {
        self.find_for(kernel, &running.process)
    }

    /// Walks it from where a process's paths begin.
    ///
    /// # Errors
    /// As [`Kernel::walk`].
    pub(crate) fn find_for<P: Port>(
        &self,
        kernel: &Kernel<P>,
        process: &Process<P>,
    ) -> Result<Place, KernelError> {
        let namespace = kernel.namespace(process);
        let start = kernel.start(&namespace, &process.view, self.is_absolute())?;
        kernel.walk(&namespace, start, self.steps())
    }

    /// Walks to the directory of its last name; says that name too.
    ///
    /// # Errors
    /// As [`Kernel::walk`] and [`Path::parent`].
    pub(crate) fn find_parent<P: Port>(
        &self,
        kernel: &Kernel<P>,
        running: &Running<P>,
    ) -> Result<(Place, &'a [u8]), KernelError> {
        let view = &running.process.view;
        let (steps, last) = self.parent()?;
        let namespace = kernel.namespace(&running.process);
        let start = kernel.start(&namespace, view, self.is_absolute())?;
        let parent = kernel.walk(&namespace, start, steps)?;
        Ok((parent, last))
    }
}

fn steps(names: &[u8]) -> impl Iterator<Item = Step<'_>> {
    let names = names.split(|byte| *byte == b'/');
    names
        .filter(|name| !name.is_empty())
        .map(|name| match name {
            b"." => Step::Here,
            b".." => Step::Above,
            name => Step::Down(name),
        })
}

/// Flags by whole names or runs of letters.
fn flags(text: &[u8]) -> Result<Flags, KernelError> {
    let mut bits = 0;
    for token in text.split(|byte| *byte == b':') {
        if token.len() > NAME_MAX {
            return Err(KernelError::TooLong);
        }
        match FLAGS.iter().position(|(name, _)| *name == token) {
            Some(bit) => bits |= 1 << bit,
            None => {
                for letter in token {
                    let bit = FLAGS.iter().position(|(_, of)| of == letter);
                    bits |= 1 << bit.ok_or(KernelError::BadFlag)?;
                }
            }
        }
    }
    Ok(Flags(bits))
}

#[cfg(test)]
mod tests;

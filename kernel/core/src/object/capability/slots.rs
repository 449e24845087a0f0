//! The tokens of one process: a table of slots.
//!
//! A token is its slot's index, a serial number that no other token of this
//! kernel has (it comes again after 2^32 tokens; the slot's generation then
//! differs), and the kind and rights as a hint (specs/veridian.md 4.1). Bit 63
//! is always clear. A lookup is an index and a compare of the whole word.

use alloc::vec::Vec;

use super::{Capability, Kind, NodeKey, Object, Rights};
use crate::error::KernelError;
use crate::object::input::InputRef;

/// Slots of a process, the first of which is never used (specs/veridian.md 4.7).
pub const SLOTS_MAX: usize = 1025;
/// Slots that come together, when none is free.
const SLOTS_MORE: usize = 8;

const INDEX: u64 = 0xffff;
const SERIAL_SHIFT: u32 = 16;
const GENERATION_SHIFT: u32 = 48;
const KIND_SHIFT: u32 = 56;
const HINT_SHIFT: u32 = 60;
/// READ, WRITE and EXECUTE, which the token mirrors.
const HINTS: u64 = 0b111;

/// The tokens of one process.
#[derive(Debug, Default)]
pub struct Capabilities {
    /// Slot 0 is always free, so that no token is 0.
    slots: Vec<Slot>,
    /// The free slot to use next; 0 is none.
    free: u16,
    held: u16,
    /// Tokens that have gone.
    gone: u64,
    /// What the console reads, when the host sends it.
    pub console_input: Option<InputRef>,
    /// Memory that whoever made the process handed over as open files, until
    /// the process is granted it.
    pub lent: Vec<(Object, Rights)>,
}

#[derive(Debug)]
enum Slot {
    Held(Capability),
    Free {
        /// What the next token has.
        generation: u8,
        /// The free slot after this one; 0 is none.
        next: u16,
    },
}

impl Capabilities {
    /// The entry of a token.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when the process has no such token.
    #[inline(always)]
    pub fn find(&self, token: u64) -> Result<&Capability, KernelError> {
        match self.slots.get((token & INDEX) as usize) {
            Some(Slot::Held(capability)) if capability.token == token => Ok(capability),
            _ => Err(KernelError::BadHandle),
        }
    }

    /// The entry of a token that must name something of a kind and have rights.
    ///
    /// # Errors
    /// As [`find`](Self::find), [`KernelError::BadHandle`] for another kind,
    /// [`KernelError::NotPermitted`] when a right is missing.
    #[inline]
    pub fn check(
        &self,
        token: u64,
        kind: Kind,
        rights: Rights,
    ) -> Result<&Capability, KernelError> {
        let capability = self.find(token)?;
        if capability.object.kind() != kind {
            return Err(KernelError::BadHandle);
        }
        capability.need(rights)?;
        Ok(capability)
    }

    /// Tokens that have gone: what was found then may not be valid any more.
    #[inline(always)]
    pub fn gone(&self) -> u64 {
        self.gone
    }

    /// Tokens held.
    pub fn len(&self) -> usize {
        self.held.into()
    }

    /// No token is held.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Slots that there are; those that are held are below.
    pub fn end(&self) -> usize {
        self.slots.len()
    }

    /// The capability in a slot.
    pub fn at(&self, slot: usize) -> Option<&Capability> {
        match self.slots.get(slot)? {
            Slot::Held(capability) => Some(capability),
            Slot::Free { .. } => None,
        }
    }

    /// All that is held.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        (1..self.slots.len()).filter_map(|slot| self.at(slot))
    }

    /// The slot that the next token takes.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] when the process holds too many,
    /// [`KernelError::NoMemory`] when its table cannot grow.
    #[inline(always)]
    pub(super) fn vacant(&mut self) -> Result<u16, KernelError> {
        match self.free {
            0 => self.grow(),
            free => Ok(free),
        }
    }

    /// Adds free slots, where none is free; the first of them.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> Result<u16, KernelError> {
        // Slot 0 is there from the beginning, and never in the list.
        let first = self.slots.len().max(1);
        let end = (first + SLOTS_MORE).min(SLOTS_MAX);
        if first == end {
            return Err(KernelError::NoRoom);
        }
        self.slots.try_reserve(end - self.slots.len())?;
        let slot = |index| u16::try_from(index).map_err(|_| KernelError::NoRoom);
        for index in self.slots.len()..end {
            let next = if index == 0 || index + 1 == end {
                0
            } else {
                slot(index + 1)?
            };
            self.slots.push(Slot::Free {
                generation: 0,
                next,
            });
        }
        self.free = slot(first)?;
        Ok(self.free)
    }

    /// Fills a slot that is [`vacant`](Self::vacant); says its token.
    #[inline]
    pub(super) fn fill(
        &mut self,
        slot: u16,
        serial: u32,
        node: NodeKey,
        object: Object,
        rights: Rights,
    ) -> u64 {
        let place = &mut self.slots[usize::from(slot)];
        let (generation, next) = match place {
            Slot::Free { generation, next } => (*generation, *next),
            Slot::Held(_) => unreachable!("only vacant slots are filled"),
        };
        let token = u64::from(slot)
            | u64::from(serial) << SERIAL_SHIFT
            | u64::from(generation) << GENERATION_SHIFT
            | (object.kind() as u64) << KIND_SHIFT
            | (u64::from(rights.bits()) & HINTS) << HINT_SHIFT;
        *place = Slot::Held(Capability {
            token,
            rights,
            node,
            object,
        });
        self.free = next;
        self.held += 1;
        token
    }

    /// Empties a slot; its token is never valid again.
    #[inline]
    pub(crate) fn clear(&mut self, slot: u16) -> Option<Capability> {
        let place = self.slots.get_mut(usize::from(slot))?;
        let Slot::Held(capability) = place else {
            return None;
        };
        let generation = (capability.token >> GENERATION_SHIFT).to_le_bytes()[0];
        let free = Slot::Free {
            generation: generation.wrapping_add(1),
            next: self.free,
        };
        let Slot::Held(capability) = core::mem::replace(place, free) else {
            return None;
        };
        self.free = slot;
        self.held -= 1;
        self.gone += 1;
        Some(capability)
    }
}

impl Capability {
    /// Its slot.
    pub fn slot(&self) -> u16 {
        let [low, high, ..] = self.token.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Its token.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// The rights are among its own.
    ///
    /// # Errors
    /// [`KernelError::NotPermitted`].
    #[inline(always)]
    pub fn need(&self, rights: Rights) -> Result<(), KernelError> {
        match self.rights.contain(rights) {
            true => Ok(()),
            false => Err(KernelError::NotPermitted),
        }
    }
}

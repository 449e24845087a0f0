//! The replies that a process owes, by token.
//!
//! A token is a slot and a serial number that no other token of this kernel
//! has, and is good for one reply. It does not say whether the caller still
//! waits: that is seen when the reply is made.

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::object::wait::Entry;

/// Replies that a process may owe (specs/veridian.md 6.7).
pub const REPLIES_MAX: usize = 1024;
/// Bits of a token that are the slot; the serial number is above them.
const SLOT_BITS: u32 = 16;
/// Serial numbers: bit 63 of a token is clear, and no token is 0.
pub(super) const SERIAL_MAX: u64 = (1 << (63 - SLOT_BITS)) - 1;

/// The replies that a process owes.
#[derive(Debug, Default)]
pub struct Replies {
    slots: Vec<Slot>,
    /// The free slot to use next: its index and one; 0 is none.
    free: u32,
    owed: u32,
}

#[derive(Debug)]
struct Slot {
    token: u64,
    /// Who waits for it; `None` when the slot is free.
    caller: Option<Entry>,
    /// The free slot after this one.
    next: u32,
}

impl Replies {
    /// Replies that are owed.
    pub fn len(&self) -> usize {
        self.owed as usize
    }

    /// None is owed.
    pub fn is_empty(&self) -> bool {
        self.owed == 0
    }

    /// Makes sure that another one can be owed.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] when too many are owed, [`KernelError::NoMemory`].
    pub fn make_room(&mut self) -> Result<(), KernelError> {
        if self.free != 0 {
            return Ok(());
        }
        if self.slots.len() >= REPLIES_MAX {
            return Err(KernelError::NoRoom);
        }
        self.slots.try_reserve(1).map_err(|_| KernelError::NoMemory)
    }

    /// Notes that a caller waits for a reply; says the token for it, which has
    /// the serial number.
    ///
    /// # Errors
    /// As [`make_room`](Self::make_room).
    pub fn owe(&mut self, caller: Entry, serial: u64) -> Result<u64, KernelError> {
        self.make_room()?;
        let index = match self.free {
            0 => self.slots.len(),
            free => free as usize - 1,
        };
        let token = serial << SLOT_BITS | index as u64;
        let slot = Slot {
            token,
            caller: Some(caller),
            next: 0,
        };
        match self.slots.get_mut(index) {
            Some(place) => {
                self.free = place.next;
                *place = slot;
            }
            None => self.slots.push(slot),
        }
        self.owed += 1;
        Ok(token)
    }

    /// Who waits for the reply of a token.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when the token is none, or was used.
    #[inline]
    pub fn find(&self, token: u64) -> Result<Entry, KernelError> {
        let slot = self.slots.get((token & ((1 << SLOT_BITS) - 1)) as usize);
        let slot = slot.filter(|slot| slot.token == token);
        slot.and_then(|slot| slot.caller)
            .ok_or(KernelError::BadHandle)
    }

    /// Uses a token up.
    pub fn settle(&mut self, token: u64) -> Option<Entry> {
        let index = (token & ((1 << SLOT_BITS) - 1)) as usize;
        let slot = self.slots.get_mut(index)?;
        if slot.token != token {
            return None;
        }
        let caller = slot.caller.take()?;
        slot.next = self.free;
        self.free = u32::try_from(index + 1).ok()?;
        self.owed -= 1;
        Some(caller)
    }

    /// Everyone who waits for a reply.
    pub fn callers(&self) -> impl Iterator<Item = Entry> {
        self.slots.iter().filter_map(|slot| slot.caller)
    }
}

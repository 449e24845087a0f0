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
/// Bits of a token that are the slot's index and one; the serial number is
/// above them.
const SLOT_BITS: u32 = 16;
/// Serial numbers: bit 63 of a token is clear.
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
    #[inline(always)]
    pub fn make_room(&mut self) -> Result<(), KernelError> {
        match self.free {
            0 => self.grow(),
            _ => Ok(()),
        }
    }

    /// Room for another one, if there is some already.
    #[inline(always)]
    pub fn vacancy(&mut self) -> Option<Vacancy<'_>> {
        let slot = self.slots.get_mut(self.free.wrapping_sub(1) as usize)?;
        Some(Vacancy {
            slot,
            free: &mut self.free,
            owed: &mut self.owed,
        })
    }

    /// The reply that a token is for, to make at once.
    #[inline(always)]
    pub fn debt(&mut self, token: u64) -> Option<Debt<'_>> {
        let slot = self.slots.get_mut(index(token))?;
        if slot.token != token {
            return None;
        }
        Some(Debt {
            caller: slot.caller?,
            slot,
            free: &mut self.free,
            owed: &mut self.owed,
        })
    }

    /// Adds a free slot, where none is free.
    #[cold]
    fn grow(&mut self) -> Result<(), KernelError> {
        if self.slots.len() >= REPLIES_MAX {
            return Err(KernelError::NoRoom);
        }
        self.slots.try_reserve(1)?;
        self.slots.push(Slot {
            token: 0,
            caller: None,
            next: 0,
        });
        self.free = u32::try_from(self.slots.len()).map_err(|_| KernelError::NoRoom)?;
        Ok(())
    }

    /// Notes that a caller waits for a reply; says the token for it, which has
    /// the serial number.
    ///
    /// # Errors
    /// As [`make_room`](Self::make_room).
    #[inline(always)]
    pub fn owe(&mut self, caller: Entry, serial: u64) -> Result<u64, KernelError> {
        self.make_room()?;
        let slot = self.slots.get_mut(self.free.wrapping_sub(1) as usize);
        let slot = slot.ok_or(KernelError::NoMemory)?;
        slot.token = serial << SLOT_BITS | u64::from(self.free);
        slot.caller = Some(caller);
        self.free = slot.next;
        self.owed += 1;
        Ok(slot.token)
    }

    /// Who waits for the reply of a token.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when the token is none, or was used.
    #[inline(always)]
    pub fn find(&self, token: u64) -> Result<Entry, KernelError> {
        match self.slots.get(index(token)) {
            Some(slot) if slot.token == token => slot.caller.ok_or(KernelError::BadHandle),
            _ => Err(KernelError::BadHandle),
        }
    }

    /// Uses a token up.
    #[inline(always)]
    pub fn settle(&mut self, token: u64) -> Option<Entry> {
        let slot = self.slots.get_mut(index(token))?;
        if slot.token != token {
            return None;
        }
        let caller = slot.caller.take()?;
        slot.next = self.free;
        self.free = u32::from(slot_number(token));
        self.owed -= 1;
        Some(caller)
    }

    /// Everyone who waits for a reply.
    pub fn callers(&self) -> impl Iterator<Item = Entry> {
        self.slots.iter().filter_map(|slot| slot.caller)
    }
}

/// A slot for a reply to owe.
#[derive(Debug)]
pub struct Vacancy<'a> {
    slot: &'a mut Slot,
    free: &'a mut u32,
    owed: &'a mut u32,
}

impl Vacancy<'_> {
    /// Notes that a caller waits for a reply; says the token for it.
    #[inline(always)]
    pub fn owe(self, caller: Entry, serial: u64) -> u64 {
        let token = serial << SLOT_BITS | u64::from(*self.free);
        self.slot.token = token;
        self.slot.caller = Some(caller);
        *self.free = self.slot.next;
        *self.owed += 1;
        token
    }
}

/// A reply that is owed.
#[derive(Debug)]
pub struct Debt<'a> {
    /// Who waits for it.
    pub caller: Entry,
    slot: &'a mut Slot,
    free: &'a mut u32,
    owed: &'a mut u32,
}

impl Debt<'_> {
    /// Uses the token up.
    #[inline(always)]
    pub fn settle(self) {
        self.slot.caller = None;
        self.slot.next = *self.free;
        *self.free = u32::from(slot_number(self.slot.token));
        *self.owed -= 1;
    }
}

/// The index and one of a token's slot.
#[inline(always)]
fn slot_number(token: u64) -> u16 {
    let [low, high, ..] = token.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// The index of a token's slot; of no slot when there is none.
#[inline(always)]
fn index(token: u64) -> usize {
    usize::from(slot_number(token)).wrapping_sub(1)
}

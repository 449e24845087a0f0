//! The IOAPIC: turns an interrupt line into a message to the local APIC.
//!
//! Registers and redirection entries are those of the Intel 82093AA data sheet
//! (3.2). KVM holds the local APIC; `vm` sends the [`Message`]s with
//! `KVM_SIGNAL_MSI`. All our devices raise edges, which is what a guest should
//! program; level entries are kept right by their EOI, which KVM reports for
//! the routes in [`Ioapic::level_routes`].

use kvm_bindings::kvm_msi;
use mayfly_machine::device::IOAPIC_LINES;
use mayfly_machine::layout::LAPIC_BASE;
use serde::{Deserialize, Serialize};

use crate::device::{Device, Effects, GuestError};
use crate::memory::Memory;

/// Offset of the index register.
const IOREGSEL: u64 = 0x00;
/// Offset of the data register.
const IOWIN: u64 = 0x10;
/// Number of the last entry, and version 0x11: no EOI register.
const VERSION: u32 = 23 << 16 | 0x11;
const _: () = assert!(IOAPIC_LINES == 24);

const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
/// Delivery status and remote IRR are read-only.
const READ_ONLY: u64 = 1 << 12 | REMOTE_IRR;

/// An interrupt message, as a device on a PCI bus would write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) address: u32,
    pub(crate) data: u32,
}

impl From<Message> for kvm_msi {
    fn from(message: Message) -> Self {
        Self {
            address_lo: message.address,
            data: message.data,
            ..Self::default()
        }
    }
}

/// The registers of the IOAPIC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ioapic {
    select: u8,
    id: u32,
    entries: [u64; IOAPIC_LINES],
    /// Edges that came while a level entry waited for its EOI.
    pending: u32,
}

impl Ioapic {
    pub(crate) fn new() -> Self {
        Self {
            select: 0,
            id: 0,
            entries: [MASKED; IOAPIC_LINES],
            pending: 0,
        }
    }

    /// The message of line `gsi`, if it is to be sent now.
    pub(crate) fn raise(&mut self, gsi: usize) -> Option<Message> {
        let entry = self.entries.get_mut(gsi)?;
        // A masked edge is lost (82093AA, 3.2.4, interrupt mask).
        if *entry & MASKED != 0 {
            return None;
        }
        if *entry & LEVEL != 0 {
            if *entry & REMOTE_IRR != 0 {
                self.pending |= 1 << gsi;
                return None;
            }
            *entry |= REMOTE_IRR;
        }
        Some(message(*entry))
    }

    /// The guest ended the interrupt of `vector`; returns what waited for it.
    pub(crate) fn end_of_interrupt(&mut self, vector: u8) -> Vec<Message> {
        let mut again = Vec::new();
        for gsi in 0..IOAPIC_LINES {
            let entry = &mut self.entries[gsi];
            if *entry & 0xff != u64::from(vector) || *entry & REMOTE_IRR == 0 {
                continue;
            }
            *entry &= !REMOTE_IRR;
            if self.pending & 1 << gsi != 0 {
                self.pending &= !(1 << gsi);
                again.extend(self.raise(gsi));
            }
        }
        again
    }

    /// Lines whose EOI KVM must report, with their messages.
    pub(crate) fn level_routes(&self) -> impl Iterator<Item = (u32, Message)> {
        (0..)
            .zip(self.entries)
            .filter(|(_, entry)| entry & (LEVEL | MASKED) == LEVEL)
            .map(|(gsi, entry)| (gsi, message(entry)))
    }

    /// There is a line whose EOI KVM must report.
    pub(crate) fn has_level_routes(&self) -> bool {
        self.level_routes().next().is_some()
    }

    fn read_register(&self) -> u32 {
        match self.select {
            0x00 | 0x02 => self.id,
            0x01 => VERSION,
            select => match self.entry_of(select) {
                Some((gsi, high)) => half(self.entries[gsi], high),
                None => 0,
            },
        }
    }

    fn write_register(&mut self, value: u32, effects: &mut Effects) {
        if self.select == 0 {
            self.id = value & 0x0f00_0000;
        }
        let Some((gsi, high)) = self.entry_of(self.select) else {
            return;
        };
        let entry = &mut self.entries[gsi];
        let was_level = *entry & LEVEL != 0;
        *entry = if high {
            *entry & u64::from(u32::MAX) | u64::from(value) << 32
        } else {
            let kept = *entry & (u64::from(u32::MAX) << 32 | READ_ONLY);
            kept | u64::from(value) & !READ_ONLY & 0x1_ffff
        };
        if *entry & LEVEL == 0 {
            *entry &= !REMOTE_IRR;
        }
        effects.routes_changed |= was_level || *entry & LEVEL != 0;
    }

    /// Redirection entry that register `select` is half of; `true` = upper.
    fn entry_of(&self, select: u8) -> Option<(usize, bool)> {
        let at = usize::from(select.checked_sub(0x10)?);
        (at / 2 < self.entries.len()).then_some((at / 2, at % 2 == 1))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "one half of an entry is wanted"
)]
fn half(entry: u64, high: bool) -> u32 {
    (if high { entry >> 32 } else { entry }) as u32
}

/// Message format: Intel SDM volume 3A, 11.11 (message signalled interrupts).
fn message(entry: u64) -> Message {
    let destination = entry >> 56;
    let logical = entry >> 11 & 1;
    let delivery_and_vector = entry & 0x7ff;
    let level = if entry & LEVEL != 0 { 0xc000 } else { 0 };
    Message {
        address: half(LAPIC_BASE | destination << 12 | logical << 2, false),
        data: half(delivery_and_vector | level, false),
    }
}

impl Device for Ioapic {
    fn read(&mut self, offset: u64, data: &mut [u8], _: &mut Effects) -> Result<(), GuestError> {
        let value = match offset {
            IOREGSEL => self.select.into(),
            IOWIN => self.read_register(),
            _ => 0,
        };
        data.fill(0);
        for (to, from) in data.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
        Ok(())
    }

    fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        _: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        let mut value = [0; 4];
        for (to, from) in value.iter_mut().zip(data) {
            *to = *from;
        }
        match offset {
            IOREGSEL => self.select = value[0],
            IOWIN => self.write_register(u32::from_le_bytes(value), effects),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(ioapic: &mut Ioapic, gsi: u8, entry: u64) {
        for (register, value) in [(1, half(entry, true)), (0, half(entry, false))] {
            ioapic.select = 0x10 + 2 * gsi + register;
            ioapic.write_register(value, &mut Effects::default());
        }
    }

    #[test]
    fn an_unmasked_edge_becomes_a_message() {
        let mut ioapic = Ioapic::new();
        program(&mut ioapic, 5, 1 << 56 | 0x31);
        let expected = Message {
            address: 0xfee0_1000,
            data: 0x31,
        };
        assert_eq!(ioapic.raise(5), Some(expected));
        assert_eq!(ioapic.raise(5), Some(expected));
    }

    #[test]
    fn a_masked_edge_is_lost() {
        let mut ioapic = Ioapic::new();
        program(&mut ioapic, 5, MASKED | 0x31);
        assert_eq!(ioapic.raise(5), None);
        program(&mut ioapic, 5, 0x31);
        assert!(ioapic.end_of_interrupt(0x31).is_empty());
    }

    #[test]
    fn a_level_line_waits_for_its_eoi() {
        let mut ioapic = Ioapic::new();
        program(&mut ioapic, 4, LEVEL | 0x40);
        assert_eq!(ioapic.level_routes().count(), 1);
        assert!(ioapic.raise(4).is_some());
        assert_eq!(ioapic.raise(4), None);
        assert_eq!(ioapic.end_of_interrupt(0x40).len(), 1);
        assert!(ioapic.end_of_interrupt(0x40).is_empty());
    }

    #[test]
    fn lines_and_registers_out_of_range_do_nothing() {
        let mut ioapic = Ioapic::new();
        assert_eq!(ioapic.raise(24), None);
        ioapic.select = 0xff;
        ioapic.write_register(0, &mut Effects::default());
        assert_eq!(ioapic.read_register(), 0);
    }
}

//! Devices: plain state, driven by accesses, telling what follows in [`Effects`].
//!
//! A device never touches KVM: it returns what the machine is to do, which
//! keeps it testable without one and its state ready to be saved. Neighbours:
//! `bus` finds the device of an address, `vm` carries the effects out.

pub(crate) mod exit;
pub(crate) mod ioapic;
pub(crate) mod serial;
pub(crate) mod virtio;

use std::fmt;

use crate::memory::Memory;

/// What the machine is to do after an access to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Interrupt lines (GSI) that saw a rising edge, one bit each.
    pub(crate) raised: u32,
    /// The caller has something new to read.
    pub(crate) output: bool,
    /// The guest ended its machine with this code.
    pub(crate) exit: Option<u32>,
    /// A level-triggered IOAPIC line was set up: KVM must report its EOI.
    pub(crate) routes_changed: bool,
}

impl Effects {
    /// Notes a rising edge of interrupt line `gsi`.
    pub(crate) fn raise(&mut self, gsi: u32) {
        self.raised |= 1 << gsi;
    }
}

/// Something behind a range of I/O ports or addresses.
pub(crate) trait Device {
    /// Fills `data` from `offset` on; `data` is at most 8 bytes of ones.
    fn read(
        &mut self,
        offset: u64,
        data: &mut [u8],
        effects: &mut Effects,
    ) -> Result<(), GuestError>;

    /// Takes `data`, at most 8 bytes, at `offset`.
    fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        memory: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError>;
}

/// What a guest did that its machine's contract forbids; it ends the VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestError {
    /// The device that was misused.
    pub device: &'static str,
    /// The virtqueue, if one was: its number and what it is for.
    pub queue: Option<(usize, &'static str)>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        if let Some((index, purpose)) = self.queue {
            write!(f, ", queue {index} ({purpose})")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for GuestError {}

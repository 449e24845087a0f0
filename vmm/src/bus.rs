//! Address -> device: who answers an I/O port or a physical address.
//!
//! [`Bus`] owns every device. Neighbours: `vcpu` brings accesses, `vm` carries
//! out the [`Effects`] they have.

use std::ops::Range;

use mayfly_machine::{device, exit, layout};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::device::exit::ExitPort;
use crate::device::ioapic::Ioapic;
use crate::device::serial::{Serial, SerialState};
use crate::device::virtio::mmio::{Mmio, MmioState};
use crate::device::{Device, Effects, GuestError};
use crate::memory::Memory;

const SERIAL: Range<u16> = device::SERIAL_PORT..device::SERIAL_PORT + device::SERIAL_SIZE;
const EXIT: Range<u16> = exit::EXIT_PORT..exit::EXIT_PORT + exit::EXIT_SIZE;
const IOAPIC: Range<u64> = layout::IOAPIC_BASE..layout::IOAPIC_BASE + layout::IOAPIC_SIZE;
const CONSOLE: Range<u64> = device::CONSOLE_MMIO..device::CONSOLE_MMIO + layout::VIRTIO_MMIO_SIZE;

/// Every device of the machine.
#[derive(Debug)]
pub(crate) struct Bus {
    pub(crate) serial: Serial,
    pub(crate) ioapic: Ioapic,
    pub(crate) console: Mmio,
    exit: ExitPort,
}

/// Every device at one moment, for a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BusState {
    serial: SerialState,
    ioapic: Ioapic,
    console: MmioState,
}

/// Whether anybody answered at an address.
pub(crate) type Answered = Result<bool, GuestError>;

impl Bus {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            serial: Serial::new(config.output_max),
            ioapic: Ioapic::new(),
            console: Mmio::new(config.output_max),
            exit: ExitPort,
        }
    }

    /// What the devices are at this moment.
    pub(crate) fn state(&self) -> BusState {
        BusState {
            serial: self.serial.state(),
            ioapic: self.ioapic.clone(),
            console: self.console.state(),
        }
    }

    /// Devices that go on from `state`, beside `memory`.
    pub(crate) fn restore(state: &BusState, memory: &Memory) -> Result<Self, GuestError> {
        Ok(Self {
            serial: Serial::restore(&state.serial)?,
            ioapic: state.ioapic.clone(),
            console: Mmio::restore(&state.console, memory)?,
            exit: ExitPort,
        })
    }

    /// `IN`: nobody there reads as all ones.
    pub(crate) fn port_read(
        &mut self,
        port: u16,
        data: &mut [u8],
        effects: &mut Effects,
    ) -> Answered {
        data.fill(0xff);
        match self.port_device(port) {
            Some((offset, device)) => device.read(offset, data, effects).map(|()| true),
            None => Ok(false),
        }
    }

    /// `OUT`: nobody there ignores it.
    pub(crate) fn port_write(
        &mut self,
        port: u16,
        data: &[u8],
        memory: &Memory,
        effects: &mut Effects,
    ) -> Answered {
        match self.port_device(port) {
            Some((offset, device)) => device.write(offset, data, memory, effects).map(|()| true),
            None => Ok(false),
        }
    }

    /// A load from an address that is not memory.
    pub(crate) fn read(
        &mut self,
        address: u64,
        data: &mut [u8],
        effects: &mut Effects,
    ) -> Answered {
        data.fill(0xff);
        match self.device(address) {
            Some((offset, device)) => device.read(offset, data, effects).map(|()| true),
            None => Ok(false),
        }
    }

    /// A store to an address that is not memory.
    pub(crate) fn write(
        &mut self,
        address: u64,
        data: &[u8],
        memory: &Memory,
        effects: &mut Effects,
    ) -> Answered {
        match self.device(address) {
            Some((offset, device)) => device.write(offset, data, memory, effects).map(|()| true),
            None => Ok(false),
        }
    }

    fn port_device(&mut self, port: u16) -> Option<(u64, &mut dyn Device)> {
        if SERIAL.contains(&port) {
            return Some(((port - SERIAL.start).into(), &mut self.serial));
        }
        if EXIT.contains(&port) {
            return Some(((port - EXIT.start).into(), &mut self.exit));
        }
        None
    }

    fn device(&mut self, address: u64) -> Option<(u64, &mut dyn Device)> {
        if CONSOLE.contains(&address) {
            return Some((address - CONSOLE.start, &mut self.console));
        }
        if IOAPIC.contains(&address) {
            return Some((address - IOAPIC.start, &mut self.ioapic));
        }
        None
    }
}

//! The virtio-mmio transport, version 2 (virtio 1.2, 4.2.2).
//!
//! Decodes register accesses, keeps the queues, and calls the console. A
//! doorbell is served at once, on the thread that made the access. What the
//! specification forbids a driver ends the machine with a [`GuestError`].

use mayfly_machine::device::CONSOLE_GSI;
use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_config::{
    VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FEATURES_OK, VIRTIO_F_VERSION_1,
};
use virtio_bindings::virtio_mmio as reg;
use virtio_bindings::virtio_ring::VIRTIO_RING_F_INDIRECT_DESC;
use virtio_queue::{Queue, QueueT};

use crate::device::virtio::console::{self, Console};
use crate::device::virtio::port::Port;
use crate::device::virtio::queue::{self, QUEUE_MAX, QueueError, QueueProgress, Setup};
use crate::device::{Device, Effects, GuestError};
use crate::memory::Memory;

/// `MagicValue`: "virt".
const MAGIC: u32 = 0x7472_6976;
/// `VendorID`: "mayf".
const VENDOR: u32 = 0x6679_616d;
/// Name of the device in errors.
const NAME: &str = "virtio-console";
/// Interrupt reason: a buffer was used (4.2.2, `InterruptStatus`).
const USED_BUFFER: u32 = 1;
/// What the device offers (2.2, 5.3.3).
const OFFERED: u64 =
    1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_INDIRECT_DESC | console::F_MULTIPORT;

/// Transport and device.
#[derive(Debug)]
pub(crate) struct Mmio {
    console: Console,
    registers: Registers,
    queues: [Queue; console::QUEUES],
}

/// What the driver has written, as far as it is not in a queue.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Registers {
    status: u32,
    accepted: u64,
    offered_select: u32,
    accepted_select: u32,
    queue_select: u32,
    interrupt_status: u32,
    setups: [Setup; console::QUEUES],
}

/// All of it at one moment, for a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MmioState {
    console: Console,
    registers: Registers,
    queues: [QueueProgress; console::QUEUES],
}

impl Mmio {
    pub(crate) fn new(output_max: usize) -> Self {
        Self {
            console: Console::new(output_max),
            registers: Registers::default(),
            queues: new_queues(),
        }
    }

    /// What it is at this moment.
    pub(crate) fn state(&self) -> MmioState {
        MmioState {
            console: self.console.clone(),
            registers: self.registers,
            queues: std::array::from_fn(|index| QueueProgress::of(&self.queues[index])),
        }
    }

    /// A device that goes on from `state`, with its queues in `memory`.
    pub(crate) fn restore(state: &MmioState, memory: &Memory) -> Result<Self, GuestError> {
        let mut queues = new_queues();
        let setups = state.registers.setups.iter();
        for (index, (progress, setup)) in state.queues.iter().zip(setups).enumerate() {
            let restored = progress.restore(*setup, memory);
            queues[index] = restored.map_err(|error| fault(index, &error))?;
        }
        Ok(Self {
            console: state.console.clone(),
            registers: state.registers,
            queues,
        })
    }

    /// Takes what the guest wrote to `port`.
    pub(crate) fn take(&mut self, port: Port) -> Vec<u8> {
        std::mem::take(&mut self.console.port(port).output)
    }

    /// Bytes that wait for the guest on `port`.
    pub(crate) fn waiting(&mut self, port: Port) -> usize {
        self.console.port(port).waiting.len()
    }

    /// Queues bytes for the guest and hands over what it has buffers for.
    pub(crate) fn send(
        &mut self,
        port: Port,
        bytes: &[u8],
        memory: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        self.console.port(port).waiting.extend(bytes);
        self.serve_if_ready(console::queue_to(port), memory, effects)
    }

    fn serve_if_ready(
        &mut self,
        index: usize,
        memory: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        if self.registers.status & VIRTIO_CONFIG_S_DRIVER_OK == 0 || !self.queues[index].ready() {
            return Ok(());
        }
        self.serve(index, memory, effects)
    }

    fn serve(
        &mut self,
        index: usize,
        memory: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        let queue = &mut self.queues[index];
        let served = self
            .console
            .serve(index, queue, memory)
            .map_err(|error| fault(index, &error))?;
        effects.output |= served.output;
        if served.used && queue::wants_interrupt(queue, memory) {
            self.registers.interrupt_status |= USED_BUFFER;
            effects.raise(CONSOLE_GSI);
        }
        if index == console::MESSAGE_QUEUE + 1 {
            // Answers, and bytes for ports that have just been opened.
            self.serve_if_ready(console::MESSAGE_QUEUE, memory, effects)?;
            self.serve_ports(memory, effects)?;
        }
        Ok(())
    }

    fn serve_ports(&mut self, memory: &Memory, effects: &mut Effects) -> Result<(), GuestError> {
        for port in Port::ALL {
            self.serve_if_ready(console::queue_to(port), memory, effects)?;
        }
        Ok(())
    }

    fn register(&self, offset: u32) -> u32 {
        let queue = self.queues.get(self.registers.queue_select as usize);
        match offset {
            reg::VIRTIO_MMIO_MAGIC_VALUE => MAGIC,
            reg::VIRTIO_MMIO_VERSION => 2,
            reg::VIRTIO_MMIO_DEVICE_ID => console::DEVICE_ID,
            reg::VIRTIO_MMIO_VENDOR_ID => VENDOR,
            reg::VIRTIO_MMIO_DEVICE_FEATURES => word(OFFERED, self.registers.offered_select),
            reg::VIRTIO_MMIO_QUEUE_NUM_MAX => queue.map_or(0, |_| QUEUE_MAX.into()),
            reg::VIRTIO_MMIO_QUEUE_READY => queue.map_or(0, |q| q.ready().into()),
            reg::VIRTIO_MMIO_INTERRUPT_STATUS => self.registers.interrupt_status,
            reg::VIRTIO_MMIO_STATUS => self.registers.status,
            // No shared memory regions: length and base are all ones (4.2.2.1).
            reg::VIRTIO_MMIO_SHM_LEN_LOW..=reg::VIRTIO_MMIO_SHM_BASE_HIGH => u32::MAX,
            _ => 0,
        }
    }

    fn set_register(
        &mut self,
        offset: u32,
        value: u32,
        memory: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        match offset {
            reg::VIRTIO_MMIO_DEVICE_FEATURES_SEL => self.registers.offered_select = value,
            reg::VIRTIO_MMIO_DRIVER_FEATURES_SEL => self.registers.accepted_select = value,
            reg::VIRTIO_MMIO_DRIVER_FEATURES => self.accept(value),
            reg::VIRTIO_MMIO_QUEUE_SEL => self.registers.queue_select = value,
            reg::VIRTIO_MMIO_QUEUE_NOTIFY => return self.notify(value, memory, effects),
            reg::VIRTIO_MMIO_INTERRUPT_ACK => self.registers.interrupt_status &= !value,
            reg::VIRTIO_MMIO_STATUS => return self.set_status(value, memory, effects),
            reg::VIRTIO_MMIO_QUEUE_NUM..=reg::VIRTIO_MMIO_QUEUE_USED_HIGH => {
                return self.set_queue(offset, value, memory);
            }
            // Other registers are read-only or reserved: writes are ignored.
            _ => {}
        }
        Ok(())
    }

    fn accept(&mut self, value: u32) {
        let shift = match self.registers.accepted_select {
            0 => 0,
            1 => 32,
            _ => return,
        };
        self.registers.accepted =
            self.registers.accepted & !(u64::from(u32::MAX) << shift) | u64::from(value) << shift;
    }

    /// Device status (2.1): 0 resets; features must be ones that we offer, and
    /// `VIRTIO_F_VERSION_1` among them, or `FEATURES_OK` does not stick (3.1.1).
    fn set_status(
        &mut self,
        value: u32,
        memory: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        if value == 0 {
            self.reset();
            return Ok(());
        }
        let acceptable = self.registers.accepted & !OFFERED == 0
            && self.registers.accepted & 1 << VIRTIO_F_VERSION_1 != 0;
        let was_running = self.registers.status & VIRTIO_CONFIG_S_DRIVER_OK != 0;
        self.registers.status = value & 0xff;
        if !acceptable {
            self.registers.status &= !VIRTIO_CONFIG_S_FEATURES_OK;
        }
        if self.registers.status & VIRTIO_CONFIG_S_DRIVER_OK != 0 && !was_running {
            if self.registers.status & VIRTIO_CONFIG_S_FEATURES_OK == 0 {
                return Err(fault_device("DRIVER_OK without FEATURES_OK"));
            }
            if self.registers.accepted & console::F_MULTIPORT == 0 {
                // Without it there is one port, and it is always open (5.3.5).
                self.console.port(Port::Console).open = true;
            }
            self.serve_if_ready(console::MESSAGE_QUEUE, memory, effects)?;
            self.serve_ports(memory, effects)?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.console.reset();
        self.registers = Registers::default();
        self.queues = new_queues();
    }

    fn set_queue(&mut self, offset: u32, value: u32, memory: &Memory) -> Result<(), GuestError> {
        let index = self.registers.queue_select as usize;
        let (Some(queue), Some(setup)) = (
            self.queues.get_mut(index),
            self.registers.setups.get_mut(index),
        ) else {
            return Err(fault_device(&format!("there is no queue {index}")));
        };
        let fail = |error| fault(index, &error);
        if offset == reg::VIRTIO_MMIO_QUEUE_READY {
            if value & 1 == 0 {
                // A queue starts over when it is made ready again.
                queue.reset();
                return Ok(());
            }
            if queue.ready() {
                return Err(fail(QueueError::Busy));
            }
            return queue::make_ready(queue, *setup, memory).map_err(fail);
        }
        if queue.ready() {
            return Err(fail(QueueError::Busy));
        }
        match offset {
            reg::VIRTIO_MMIO_QUEUE_NUM => {
                let size = u16::try_from(value).map_err(|_| fail(QueueError::Size(value)))?;
                queue
                    .try_set_size(size)
                    .map_err(|_| fail(QueueError::Size(value)))?;
            }
            reg::VIRTIO_MMIO_QUEUE_DESC_LOW => set_low(&mut setup.descriptors, value),
            reg::VIRTIO_MMIO_QUEUE_DESC_HIGH => set_high(&mut setup.descriptors, value),
            reg::VIRTIO_MMIO_QUEUE_AVAIL_LOW => set_low(&mut setup.available, value),
            reg::VIRTIO_MMIO_QUEUE_AVAIL_HIGH => set_high(&mut setup.available, value),
            reg::VIRTIO_MMIO_QUEUE_USED_LOW => set_low(&mut setup.used, value),
            reg::VIRTIO_MMIO_QUEUE_USED_HIGH => set_high(&mut setup.used, value),
            _ => {}
        }
        Ok(())
    }

    fn notify(
        &mut self,
        value: u32,
        memory: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        let index = value as usize;
        if index >= console::QUEUES {
            return Err(fault_device(&format!("doorbell of queue {value}")));
        }
        if self.registers.status & VIRTIO_CONFIG_S_DRIVER_OK == 0 {
            // 2.1.2: no buffer is consumed before DRIVER_OK.
            return Err(fault_device("doorbell before DRIVER_OK"));
        }
        self.serve(index, memory, effects)
    }
}

fn new_queues() -> [Queue; console::QUEUES] {
    // QUEUE_MAX is a power of two, the only thing that can be wrong.
    std::array::from_fn(|_| Queue::new(QUEUE_MAX).unwrap_or_default())
}

fn word(wide: u64, select: u32) -> u32 {
    let bytes = wide.to_le_bytes();
    match select {
        0 => u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        1 => u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
        _ => 0,
    }
}

fn set_low(address: &mut u64, value: u32) {
    *address = *address & !u64::from(u32::MAX) | u64::from(value);
}

fn set_high(address: &mut u64, value: u32) {
    *address = *address & u64::from(u32::MAX) | u64::from(value) << 32;
}

fn fault(index: usize, error: &QueueError) -> GuestError {
    GuestError {
        device: NAME,
        queue: Some((index, Console::purpose(index))),
        problem: error.to_string(),
    }
}

fn fault_device(problem: &str) -> GuestError {
    GuestError {
        device: NAME,
        queue: None,
        problem: problem.into(),
    }
}

impl Device for Mmio {
    fn read(&mut self, offset: u64, data: &mut [u8], _: &mut Effects) -> Result<(), GuestError> {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        if let Some(at) = offset.checked_sub(reg::VIRTIO_MMIO_CONFIG) {
            let config = Console::config();
            for (index, byte) in (at as usize..).zip(data) {
                *byte = config.get(index).copied().unwrap_or(0);
            }
            return Ok(());
        }
        // 4.2.2.2: only 32-bit wide and aligned accesses.
        if data.len() != 4 || !offset.is_multiple_of(4) {
            return Err(unaligned(offset, data.len()));
        }
        data.copy_from_slice(&self.register(offset).to_le_bytes());
        Ok(())
    }

    fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        memory: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        if offset >= reg::VIRTIO_MMIO_CONFIG {
            // Nothing in our configuration is writable: ignored.
            return Ok(());
        }
        match data.try_into() {
            Ok(value) if offset.is_multiple_of(4) => {
                self.set_register(offset, u32::from_le_bytes(value), memory, effects)
            }
            _ => Err(unaligned(offset, data.len())),
        }
    }
}

fn unaligned(offset: u32, bytes: usize) -> GuestError {
    fault_device(&format!("{bytes}-byte access to register {offset:#x}"))
}

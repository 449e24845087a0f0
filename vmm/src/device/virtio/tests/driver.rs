//! A driver for tests: does what it is told, right or wrong.
//!
//! Queue `n` lies at [`base`]`(n)`: descriptors, available ring, used ring and
//! buffers, at the offsets below.

use virtio_bindings::virtio_mmio as reg;
use virtio_bindings::virtio_ring::{VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};
use vm_memory::{Bytes, GuestAddress};

use crate::device::virtio::mmio::Mmio;
use crate::device::{Device, Effects, GuestError};
use crate::memory::Memory;
use crate::module::{Module, ModuleFile};

/// Memory of the guest.
pub(super) const RAM: u64 = 4 << 20;
/// Descriptors of each queue.
pub(super) const SIZE: u16 = 16;
pub(super) const NEXT: u16 = VRING_DESC_F_NEXT as u16;
pub(super) const WRITE: u16 = VRING_DESC_F_WRITE as u16;
/// Unread bytes that a port may hold.
pub(super) const OUTPUT_MAX: usize = 0x2_0000;

const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
const BUFFERS: u64 = 0x4000;

/// Where queue `index` lies.
pub(super) fn base(index: u32) -> u64 {
    0x10_0000 + u64::from(index) * 0x1_0000
}

/// Address of buffer `slot` of queue `index`; 256 bytes each.
pub(super) fn buffer(index: u32, slot: u16) -> u64 {
    base(index) + BUFFERS + u64::from(slot) * 256
}

pub(super) struct Driver {
    pub(super) mmio: Mmio,
    pub(super) memory: Memory,
    pub(super) effects: Effects,
}

pub(super) type Outcome = Result<(), GuestError>;

impl Driver {
    /// A device that nobody has touched.
    pub(super) fn new() -> Self {
        let module = ModuleFile::from_bytes(b"in a module").unwrap();
        Self {
            mmio: Mmio::new(OUTPUT_MAX),
            memory: Memory::new(RAM, &[Module::Owned(module)]).unwrap(),
            effects: Effects::default(),
        }
    }

    /// A device that runs, with all its queues ready.
    pub(super) fn running() -> Self {
        let mut driver = Self::new();
        driver.negotiate().unwrap();
        (0..8).for_each(|index| driver.set_up(index, SIZE.into()).unwrap());
        driver.start().unwrap();
        driver
    }

    /// A running device whose ports are open on both sides.
    pub(super) fn open() -> Self {
        let mut driver = Self::running();
        (0..SIZE).for_each(|slot| driver.offer(2, slot, buffer(2, slot), 256, WRITE));
        let messages = [[0, 0, 1], [0, 3, 1], [1, 3, 1], [2, 3, 1]];
        let open = [[0, 6, 1], [1, 6, 1], [2, 6, 1]];
        for (slot, message) in (0..).zip(messages.iter().chain(&open)) {
            driver.control(slot, *message);
        }
        driver.notify(3).unwrap();
        driver.write(reg::VIRTIO_MMIO_INTERRUPT_ACK, 1).unwrap();
        driver.effects = Effects::default();
        driver
    }

    pub(super) fn write(&mut self, register: u32, value: u32) -> Outcome {
        let (memory, effects) = (&self.memory, &mut self.effects);
        self.mmio
            .write(register.into(), &value.to_le_bytes(), memory, effects)
    }

    pub(super) fn read(&mut self, register: u32) -> u32 {
        let mut bytes = [0; 4];
        self.mmio
            .read(register.into(), &mut bytes, &mut self.effects)
            .unwrap();
        u32::from_le_bytes(bytes)
    }

    /// Accepts everything that is offered (virtio 1.2, 3.1.1, steps 1 to 6).
    pub(super) fn negotiate(&mut self) -> Outcome {
        self.write(reg::VIRTIO_MMIO_STATUS, 1)?;
        self.write(reg::VIRTIO_MMIO_STATUS, 3)?;
        for half in 0..2 {
            self.write(reg::VIRTIO_MMIO_DEVICE_FEATURES_SEL, half)?;
            let offered = self.read(reg::VIRTIO_MMIO_DEVICE_FEATURES);
            self.write(reg::VIRTIO_MMIO_DRIVER_FEATURES_SEL, half)?;
            self.write(reg::VIRTIO_MMIO_DRIVER_FEATURES, offered)?;
        }
        self.write(reg::VIRTIO_MMIO_STATUS, 11)
    }

    pub(super) fn start(&mut self) -> Outcome {
        self.write(reg::VIRTIO_MMIO_STATUS, 15)
    }

    /// Makes queue `index` ready at its place.
    pub(super) fn set_up(&mut self, index: u32, size: u32) -> Outcome {
        let at = base(index);
        self.set_up_at(index, size, [at, at + AVAILABLE, at + USED])
    }

    /// Makes queue `index` ready at the given addresses.
    pub(super) fn set_up_at(&mut self, index: u32, size: u32, parts: [u64; 3]) -> Outcome {
        self.write(reg::VIRTIO_MMIO_QUEUE_SEL, index)?;
        self.write(reg::VIRTIO_MMIO_QUEUE_NUM, size)?;
        let low = [
            reg::VIRTIO_MMIO_QUEUE_DESC_LOW,
            reg::VIRTIO_MMIO_QUEUE_AVAIL_LOW,
            reg::VIRTIO_MMIO_QUEUE_USED_LOW,
        ];
        for (register, address) in low.into_iter().zip(parts) {
            self.write(register, address as u32)?;
            self.write(register + 4, (address >> 32) as u32)?;
        }
        self.write(reg::VIRTIO_MMIO_QUEUE_READY, 1)
    }

    pub(super) fn notify(&mut self, index: u32) -> Outcome {
        self.write(reg::VIRTIO_MMIO_QUEUE_NOTIFY, index)
    }

    /// Writes descriptor `slot` of a queue.
    pub(super) fn describe(&self, index: u32, slot: u16, to: (u64, u32), flags: u16, next: u16) {
        let at = GuestAddress(base(index) + 16 * u64::from(slot));
        let mut bytes = to.0.to_le_bytes().to_vec();
        bytes.extend(to.1.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.memory.write_slice(&bytes, at).unwrap();
    }

    /// Makes the chain at `head` available.
    pub(super) fn publish(&self, index: u32, head: u16) {
        let at = self.available(index);
        self.poke16(index, AVAILABLE + 4 + 2 * u64::from(at % SIZE), head);
        self.poke16(index, AVAILABLE + 2, at.wrapping_add(1));
    }

    /// Makes a one-descriptor chain available.
    pub(super) fn offer(&self, index: u32, slot: u16, address: u64, bytes: u32, flags: u16) {
        self.describe(index, slot, (address, bytes), flags, 0);
        self.publish(index, slot);
    }

    /// Puts a control message (port, event, value) into queue 3.
    pub(super) fn control(&self, slot: u16, [port, event, value]: [u8; 3]) {
        let message = [port, 0, 0, 0, event, 0, value, 0];
        let at = buffer(3, slot);
        self.memory.write_slice(&message, GuestAddress(at)).unwrap();
        self.offer(3, slot, at, 8, 0);
    }

    pub(super) fn available(&self, index: u32) -> u16 {
        self.peek16(index, AVAILABLE + 2)
    }

    pub(super) fn set_available(&self, index: u32, to: u16) {
        self.poke16(index, AVAILABLE + 2, to);
    }

    pub(super) fn set_available_flags(&self, index: u32, to: u16) {
        self.poke16(index, AVAILABLE, to);
    }

    pub(super) fn used_flags(&self, index: u32) -> u16 {
        self.peek16(index, USED)
    }

    pub(super) fn used(&self, index: u32) -> u16 {
        self.peek16(index, USED + 2)
    }

    /// Head and written bytes of used element `at`.
    pub(super) fn used_element(&self, index: u32, at: u16) -> (u32, u32) {
        let at = GuestAddress(base(index) + USED + 4 + 8 * u64::from(at));
        let pair: u64 = self.memory.read_obj(at).unwrap();
        (pair as u32, (pair >> 32) as u32)
    }

    /// What lies at an address.
    pub(super) fn bytes(&self, address: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let at = GuestAddress(address);
        self.memory.read_slice(&mut bytes, at).unwrap();
        bytes
    }

    fn peek16(&self, index: u32, offset: u64) -> u16 {
        let at = GuestAddress(base(index) + offset);
        self.memory.read_obj(at).unwrap()
    }

    fn poke16(&self, index: u32, offset: u64, value: u16) {
        let at = GuestAddress(base(index) + offset);
        self.memory.write_obj(value, at).unwrap();
    }
}

//! Registers of a virtio-mmio device (virtio 1.2 §4.2.2).

use crate::direct;

/// Register offsets.
mod register {
    pub(super) const MAGIC: u64 = 0x00;
    pub(super) const VERSION: u64 = 0x04;
    pub(super) const DEVICE_ID: u64 = 0x08;
    pub(super) const DEVICE_FEATURES: u64 = 0x10;
    pub(super) const DEVICE_FEATURES_SELECT: u64 = 0x14;
    pub(super) const DRIVER_FEATURES: u64 = 0x20;
    pub(super) const DRIVER_FEATURES_SELECT: u64 = 0x24;
    pub(super) const QUEUE_SELECT: u64 = 0x30;
    pub(super) const QUEUE_SIZE_MAX: u64 = 0x34;
    pub(super) const QUEUE_SIZE: u64 = 0x38;
    pub(super) const QUEUE_READY: u64 = 0x44;
    pub(super) const QUEUE_NOTIFY: u64 = 0x50;
    pub(super) const INTERRUPT_STATUS: u64 = 0x60;
    pub(super) const INTERRUPT_ACKNOWLEDGE: u64 = 0x64;
    pub(super) const STATUS: u64 = 0x70;
    pub(super) const QUEUE_DESCRIPTORS: u64 = 0x80;
    pub(super) const QUEUE_DRIVER: u64 = 0x90;
    pub(super) const QUEUE_DEVICE: u64 = 0xa0;
}

/// "virt", little-endian.
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
const ACKNOWLEDGE: u32 = 1;
const DRIVER: u32 = 2;
const DRIVER_OK: u32 = 4;
const FEATURES_OK: u32 = 8;
/// VIRTIO_F_VERSION_1, in the second feature word.
const VERSION_1: u32 = 1;

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceError {
    /// There is no virtio-mmio device of version 2 at the address.
    NotThere,
    /// The device is of another kind (its id).
    OtherKind(u32),
    /// The device lacks a feature that the driver needs.
    MissingFeature,
    /// A queue is smaller than the driver needs (its index).
    QueueTooSmall(u32),
    /// The device stopped answering during set-up.
    Silent,
}

/// A device's register window.
#[derive(Clone, Copy)]
pub(super) struct Registers {
    base: u64,
}

impl Registers {
    /// Resets the device of kind `id` at physical `base` and negotiates
    /// `features` of the first feature word.
    pub(super) fn start(base: u64, id: u32, features: u32) -> Result<Self, DeviceError> {
        let this = Self { base };
        if this.read(register::MAGIC) != MAGIC || this.read(register::VERSION) != VERSION {
            return Err(DeviceError::NotThere);
        }
        match this.read(register::DEVICE_ID) {
            found if found == id => {}
            other => return Err(DeviceError::OtherKind(other)),
        }
        this.write(register::STATUS, 0);
        this.write(register::STATUS, ACKNOWLEDGE | DRIVER);
        for (word, wanted) in [(0, features), (1, VERSION_1)] {
            this.write(register::DEVICE_FEATURES_SELECT, word);
            if this.read(register::DEVICE_FEATURES) & wanted != wanted {
                return Err(DeviceError::MissingFeature);
            }
            this.write(register::DRIVER_FEATURES_SELECT, word);
            this.write(register::DRIVER_FEATURES, wanted);
        }
        this.write(register::STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        if this.read(register::STATUS) & FEATURES_OK == 0 {
            return Err(DeviceError::MissingFeature);
        }
        Ok(this)
    }

    /// The window of a device that is set up already.
    pub(super) fn at(base: u64) -> Self {
        Self { base }
    }

    /// Physical address of the window.
    pub(super) fn base(self) -> u64 {
        self.base
    }

    /// Announces a queue's memory (physical addresses below 4 GiB).
    pub(super) fn set_queue(
        self,
        index: u32,
        size: usize,
        [descriptors, driver, device]: [u64; 3],
    ) -> Result<(), DeviceError> {
        self.write(register::QUEUE_SELECT, index);
        let size = low(size as u64);
        if self.read(register::QUEUE_SIZE_MAX) < size {
            return Err(DeviceError::QueueTooSmall(index));
        }
        self.write(register::QUEUE_SIZE, size);
        self.write_address(register::QUEUE_DESCRIPTORS, descriptors);
        self.write_address(register::QUEUE_DRIVER, driver);
        self.write_address(register::QUEUE_DEVICE, device);
        self.write(register::QUEUE_READY, 1);
        Ok(())
    }

    /// Ends set-up.
    pub(super) fn go(self) {
        self.write(
            register::STATUS,
            ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK,
        );
    }

    /// Rings the doorbell of a queue.
    pub(super) fn notify(self, index: usize) {
        self.write(register::QUEUE_NOTIFY, low(index as u64));
    }

    /// Acknowledges whatever the device interrupts for.
    pub(super) fn acknowledge_interrupt(self) {
        let status = self.read(register::INTERRUPT_STATUS);
        self.write(register::INTERRUPT_ACKNOWLEDGE, status);
    }

    fn write_address(self, register: u64, address: u64) {
        self.write(register, low(address));
        self.write(register + 4, low(address >> 32));
    }

    fn read(self, register: u64) -> u32 {
        // SAFETY: a register of the device's window, uncached in the direct map.
        unsafe { direct::<u32>(self.base + register).read_volatile() }
    }

    fn write(self, register: u64, value: u32) {
        // SAFETY: as above; the device validates what it is told.
        unsafe { direct::<u32>(self.base + register).write_volatile(value) };
    }
}

/// Low half of a word.
fn low(word: u64) -> u32 {
    u32::try_from(word & 0xffff_ffff).expect("masked to 32 bits")
}

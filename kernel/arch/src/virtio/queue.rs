//! A split virtqueue (virtio 1.2 §2.7), as simple as this driver can use it.
//!
//! Transmit: one chain at a time, from descriptor 0, waited for. Receive: one
//! descriptor per buffer, for good. So no descriptor ever needs managing.

use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};

use crate::{field, physical};

/// Descriptors in a queue.
pub(super) const SIZE: usize = 16;
/// Index type of rings.
const SIZE_U16: u16 = 16;
const _: () = assert!(SIZE_U16 as usize == SIZE);

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const NO_INTERRUPT: u16 = 1;
const NO_NOTIFY: u32 = 1;

/// A buffer (§2.7.5): its address, then length, flags and next descriptor. Two
/// words, so that one is written in two instructions.
type Descriptor = [u64; 2];

#[derive(Clone, Copy)]
#[repr(C)]
struct UsedElement {
    id: u32,
    length: u32,
}

/// Memory of a queue, shared with the device.
#[repr(C, align(512))]
pub(super) struct Memory(UnsafeCell<Rings>);

#[derive(Clone, Copy)]
#[repr(C)]
struct Rings {
    descriptors: [Descriptor; SIZE],
    available_flags: u16,
    available_index: u16,
    available: [u16; SIZE],
    used_flags: u32,
    used: [UsedElement; SIZE],
}

const _: () = assert!(size_of::<Memory>() == 512);

// SAFETY: each memory is given to one `Queue` (see `Queue::new`), and the
// machine has one processor.
unsafe impl Sync for Memory {}

impl Memory {
    /// Memory of a queue that is not set up.
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(Rings {
            descriptors: [[0; 2]; SIZE],
            available_flags: 0,
            available_index: 0,
            available: [0; SIZE],
            used_flags: 0,
            used: [UsedElement { id: 0, length: 0 }; SIZE],
        }))
    }
}

/// A received buffer.
#[derive(Clone, Copy)]
pub(super) struct Received {
    /// Index of the buffer.
    pub(super) buffer: u16,
    /// Bytes that the device wrote.
    pub(super) length: u32,
}

/// One side of a virtqueue.
pub(super) struct Queue {
    memory: &'static Memory,
    /// Available entries so far (the driver's index).
    made: u16,
    /// Used entries taken so far.
    taken: u16,
}

impl Queue {
    /// A queue over `memory`, which no other queue uses. Without `interrupts`
    /// the device is asked not to interrupt for it.
    pub(super) fn new(memory: &'static Memory, interrupts: bool) -> Self {
        let this = Self {
            memory,
            made: 0,
            taken: 0,
        };
        let flags = if interrupts { 0 } else { NO_INTERRUPT };
        // SAFETY: the queue's own memory; the device does not use it yet.
        unsafe {
            this.at::<u16>(offset_of!(Rings, available_flags))
                .write_volatile(flags)
        };
        this
    }

    /// The queue over `memory` as its rings say it is, nothing in flight.
    pub(super) fn resume(memory: &'static Memory) -> Self {
        let mut this = Self {
            memory,
            made: 0,
            taken: 0,
        };
        // SAFETY: the driver's own index; whoever wrote it last is not running.
        this.made = unsafe {
            this.at::<u16>(offset_of!(Rings, available_index))
                .read_volatile()
        };
        this.taken = this.made;
        this
    }

    /// Physical addresses of descriptors, driver area and device area.
    pub(super) fn addresses(&self) -> [u64; 3] {
        let descriptors = physical(self.memory.0.get());
        [
            descriptors,
            descriptors + offset_of!(Rings, available_flags) as u64,
            descriptors + offset_of!(Rings, used_flags) as u64,
        ]
    }

    /// Offers a chain of buffers for the device to read. It begins at descriptor
    /// 0, which every entry of a transmit ring names from the beginning on.
    pub(super) fn offer(&mut self, pieces: impl Iterator<Item = (u64, u32)>) {
        let mut last = None;
        for (index, (address, length)) in (0..SIZE_U16).zip(pieces) {
            self.set(index, address, length, NEXT, index + 1);
            last = Some((index, address, length));
        }
        if let Some((index, address, length)) = last {
            self.set(index, address, length, 0, 0);
            self.publish(1);
        }
    }

    /// Offers one buffer for the device to read.
    #[inline(always)]
    pub(super) fn offer_one(&mut self, address: u64, length: u32) {
        self.set(0, address, length, 0, 0);
        self.publish(1);
    }

    /// Gives the device `count` buffers of `size` bytes each, one behind the
    /// other from `address` on, to write to.
    pub(super) fn lend(&mut self, count: u16, address: u64, size: u32) {
        let mut at = address;
        for index in 0..count {
            self.set(index, at, size, WRITE, 0);
            self.put(index, index);
            at += u64::from(size);
        }
        self.publish(count);
    }

    /// Gives a buffer back to the device after its contents were used.
    pub(super) fn lend_again(&mut self, index: u16) {
        self.put(0, index);
        self.publish(1);
    }

    /// The device wants to be notified of new buffers.
    pub(super) fn wants_notice(&self) -> bool {
        // SAFETY: the device writes this word; a volatile read sees some value.
        let flags = unsafe {
            self.at::<u32>(offset_of!(Rings, used_flags))
                .read_volatile()
        };
        flags & NO_NOTIFY == 0
    }

    /// The device is done with a buffer.
    #[inline(always)]
    pub(super) fn has_more(&self) -> bool {
        // The used index is the upper half of the word with the flags.
        // SAFETY: the device writes this word; a volatile read sees some value.
        let word = unsafe {
            self.at::<u32>(offset_of!(Rings, used_flags))
                .read_volatile()
        };
        word >> 16 != u32::from(self.taken)
    }

    /// Takes back the one chain that was offered, if the device is done with it.
    #[inline(always)]
    pub(super) fn take_offered(&mut self) -> bool {
        let is_done = self.has_more();
        if is_done {
            fence(Ordering::Acquire);
            self.taken = self.taken.wrapping_add(1);
        }
        is_done
    }

    /// The next buffer that the device is done with.
    pub(super) fn take(&mut self) -> Option<Received> {
        if !self.has_more() {
            return None;
        }
        fence(Ordering::Acquire);
        let slot = usize::from(self.taken % SIZE_U16);
        // SAFETY: in bounds of the ring; the device wrote it before the index.
        let element = unsafe {
            self.at::<UsedElement>(offset_of!(Rings, used) + slot * size_of::<UsedElement>())
                .read_volatile()
        };
        self.taken = self.taken.wrapping_add(1);
        Some(Received {
            buffer: u16::try_from(element.id).unwrap_or(0) % SIZE_U16,
            length: element.length,
        })
    }

    #[inline(always)]
    fn set(&mut self, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let rest = u64::from(length) | u64::from(flags) << 32 | u64::from(next) << 48;
        let slot = usize::from(index % SIZE_U16);
        let descriptor = offset_of!(Rings, descriptors) + slot * size_of::<Descriptor>();
        // Word by word: both at once go by way of the stack.
        for (at, word) in [(descriptor, address), (descriptor + 8, rest)] {
            // SAFETY: the descriptor is not in an available chain now (see the
            // module's rules), so only the driver looks at it.
            unsafe { self.at::<u64>(at).write_volatile(word) };
        }
    }

    /// Puts a chain in the available ring, `ahead` of what is published.
    fn put(&mut self, ahead: u16, head: u16) {
        let slot = usize::from(self.made.wrapping_add(ahead) % SIZE_U16);
        let field = self.at::<u16>(offset_of!(Rings, available) + slot * size_of::<u16>());
        // SAFETY: the slot is free: at most SIZE chains are ever available.
        unsafe { field.write_volatile(head) };
    }

    /// Makes `count` more chains available.
    fn publish(&mut self, count: u16) {
        self.made = self.made.wrapping_add(count);
        fence(Ordering::Release);
        let index = self.at::<u16>(offset_of!(Rings, available_index));
        // SAFETY: the index is the driver's to write; the device reads it.
        unsafe { index.write_volatile(self.made) };
        fence(Ordering::SeqCst);
    }

    /// The field at `offset` of the rings.
    fn at<T>(&self, offset: usize) -> *mut T {
        field(self.memory.0.get(), offset)
    }
}

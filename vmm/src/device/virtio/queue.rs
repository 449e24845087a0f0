//! Checked access to a virtqueue: every chain is whole before it is used.
//!
//! `virtio-queue` walks the rings, but ends a broken chain silently where it
//! breaks; [`take`] finds that and says what is wrong. Neighbours: `mmio` sets
//! queues up with [`Setup`], `console` takes chains.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemory, Permissions};

use crate::memory::Memory;

/// Largest queue that the device offers.
pub(crate) const QUEUE_MAX: u16 = 256;

/// What a guest did wrong with a virtqueue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueueError {
    /// size {0} is not a power of two from 1 to 256
    #[error("size {0} is not a power of two from 1 to {QUEUE_MAX}")]
    Size(u32),
    /// {part} at {address:#x} is not aligned
    #[error("{part} at {address:#x} is not aligned")]
    Misaligned { part: &'static str, address: u64 },
    /// {part} at {address:#x} is outside memory
    #[error("{part} at {address:#x} is outside memory")]
    Outside { part: &'static str, address: u64 },
    /// used before it was made ready
    #[error("used before it was made ready")]
    NotReady,
    /// changed while it was ready
    #[error("changed while it was ready")]
    Busy,
    /// the available index moved by more than the size of the queue
    #[error("the available index moved by more than the size of the queue")]
    IndexJump,
    /// chain head {0} is outside the descriptor table
    #[error("chain head {0} is outside the descriptor table")]
    Head(u16),
    /// chain {0} is broken: ...
    #[error(
        "chain {0} is broken: a loop, a descriptor outside its table, \
         a bad indirect table or more than 4 GiB"
    )]
    Broken(u16),
    /// chain {0} has a device-{1} buffer, which this queue must not
    #[error("chain {0} has a device-{1} buffer, which this queue must not")]
    Direction(u16, &'static str),
    /// chain {head} names {bytes} bytes at {address:#x}, outside memory
    #[error("chain {head} names {bytes} bytes at {address:#x}, outside memory")]
    Buffer { head: u16, address: u64, bytes: u32 },
    /// {0}
    #[error("{0}")]
    Other(String),
}

/// Addresses of a queue while the driver sets it up, register by register.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) descriptors: u64,
    pub(crate) available: u64,
    pub(crate) used: u64,
}

/// Where a queue and its driver have got to, for a snapshot.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct QueueProgress {
    size: u16,
    ready: bool,
    next_available: u16,
    next_used: u16,
}

impl QueueProgress {
    pub(crate) fn of(queue: &Queue) -> Self {
        Self {
            size: queue.size(),
            ready: queue.ready(),
            next_available: queue.next_avail(),
            next_used: queue.next_used(),
        }
    }

    /// A queue that goes on from here. What a snapshot says is checked like
    /// what a driver says.
    pub(crate) fn restore(self, setup: Setup, memory: &Memory) -> Result<Queue, QueueError> {
        let bad_size = |_| QueueError::Size(self.size.into());
        let mut queue = Queue::new(QUEUE_MAX).map_err(bad_size)?;
        queue.try_set_size(self.size).map_err(bad_size)?;
        if self.ready {
            make_ready(&mut queue, setup, memory)?;
            queue.set_next_avail(self.next_available);
            queue.set_next_used(self.next_used);
        }
        Ok(queue)
    }
}

/// Makes `queue` ready where `setup` says, if that is all in memory.
pub(crate) fn make_ready(
    queue: &mut Queue,
    setup: Setup,
    memory: &Memory,
) -> Result<(), QueueError> {
    let misaligned = |part, address| move |_| QueueError::Misaligned { part, address };
    queue
        .try_set_desc_table_address(GuestAddress(setup.descriptors))
        .map_err(misaligned("descriptor table", setup.descriptors))?;
    queue
        .try_set_avail_ring_address(GuestAddress(setup.available))
        .map_err(misaligned("available ring", setup.available))?;
    queue
        .try_set_used_ring_address(GuestAddress(setup.used))
        .map_err(misaligned("used ring", setup.used))?;
    // Sizes of the three parts: virtio 1.2, 2.7.
    let size = usize::from(queue.size());
    for (part, address, bytes, access) in [
        (
            "descriptor table",
            setup.descriptors,
            16 * size,
            Permissions::Read,
        ),
        (
            "available ring",
            setup.available,
            6 + 2 * size,
            Permissions::Read,
        ),
        ("used ring", setup.used, 6 + 8 * size, Permissions::Write),
    ] {
        // The walker takes an available ring at 0 for none.
        if address == 0 || !memory.check_range(GuestAddress(address), bytes, access) {
            return Err(QueueError::Outside { part, address });
        }
    }
    queue.set_ready(true);
    Ok(())
}

/// Which way the buffers of a queue go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The guest fills them, the device reads.
    ToDevice,
    /// The device fills them.
    ToDriver,
}

/// A chain whose every buffer was checked.
pub(crate) struct Chain<'a> {
    pub(crate) head: u16,
    /// Bytes of all its buffers.
    pub(crate) bytes: usize,
    pub(crate) descriptors: DescriptorChain<&'a Memory>,
}

/// Takes the next chain that the guest made available.
pub(crate) fn take<'a>(
    queue: &mut Queue,
    direction: Direction,
    memory: &'a Memory,
) -> Result<Option<Chain<'a>>, QueueError> {
    if !queue.ready() {
        return Err(QueueError::NotReady);
    }
    let size = queue.size();
    let mut available = queue.iter(memory).map_err(|error| match error {
        virtio_queue::Error::InvalidAvailRingIndex => QueueError::IndexJump,
        other => QueueError::Other(other.to_string()),
    })?;
    let Some(descriptors) = available.next() else {
        return Ok(None);
    };
    let head = descriptors.head_index();
    if head >= size {
        return Err(QueueError::Head(head));
    }
    let mut bytes = 0;
    let mut last: Option<Descriptor> = None;
    for descriptor in descriptors.clone() {
        check(head, descriptor, direction, memory)?;
        bytes += descriptor.len() as usize;
        last = Some(descriptor);
    }
    // The walker stops at a fault: then nothing came, or the last named a next.
    if last.is_none_or(|descriptor| descriptor.has_next()) {
        return Err(QueueError::Broken(head));
    }
    Ok(Some(Chain {
        head,
        bytes,
        descriptors,
    }))
}

fn check(
    head: u16,
    descriptor: Descriptor,
    direction: Direction,
    memory: &Memory,
) -> Result<(), QueueError> {
    let access = match (direction, descriptor.is_write_only()) {
        (Direction::ToDevice, false) => Permissions::Read,
        (Direction::ToDriver, true) => Permissions::Write,
        (Direction::ToDevice, true) => return Err(QueueError::Direction(head, "writable")),
        (Direction::ToDriver, false) => return Err(QueueError::Direction(head, "readable")),
    };
    if memory.check_range(descriptor.addr(), descriptor.len() as usize, access) {
        return Ok(());
    }
    Err(QueueError::Buffer {
        head,
        address: descriptor.addr().0,
        bytes: descriptor.len(),
    })
}

/// Gives a chain back with `bytes` written to it.
pub(crate) fn give_back(
    queue: &mut Queue,
    head: u16,
    bytes: usize,
    memory: &Memory,
) -> Result<(), QueueError> {
    let written = u32::try_from(bytes).unwrap_or(u32::MAX);
    queue
        .add_used(memory, head, written)
        .map_err(|error| QueueError::Other(error.to_string()))
}

/// Whether the driver wants an interrupt for used buffers (2.7.7): we do not
/// offer `VIRTIO_F_EVENT_IDX`, so its flag decides.
pub(crate) fn wants_interrupt(queue: &Queue, memory: &Memory) -> bool {
    let flags = memory.load::<u16>(GuestAddress(queue.avail_ring()), Ordering::SeqCst);
    flags.map_or(true, |flags| {
        u32::from(flags) & VRING_AVAIL_F_NO_INTERRUPT == 0
    })
}

/// Asks the driver to ring the bell for new buffers, or not to. Returns true if
/// buffers came meanwhile.
pub(crate) fn want_doorbell(
    queue: &mut Queue,
    wanted: bool,
    memory: &Memory,
) -> Result<bool, QueueError> {
    let answer = if wanted {
        queue.enable_notification(memory)
    } else {
        queue.disable_notification(memory).map(|()| false)
    };
    answer.map_err(|error| QueueError::Other(error.to_string()))
}

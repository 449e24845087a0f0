//! The kernel's log: a ring of bytes that everyone reads at a place of their own.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::object::store::{Quota, Store};
use crate::object::wait::WaitQueue;
use crate::port::{Host as _, Machine, Port};

/// Bytes that are kept.
pub const CAPACITY: u64 = 64 << 10;

/// The log.
#[derive(Debug)]
pub struct Log {
    ring: RefCell<Store>,
    /// Bytes ever written.
    end: Cell<u64>,
    /// Those who wait for more.
    pub grown: WaitQueue,
}

impl Log {
    /// An empty log.
    pub fn new(quota: &Rc<Quota>) -> Self {
        Self {
            ring: RefCell::new(Store::new(&[], quota)),
            end: Cell::new(0),
            grown: WaitQueue::default(),
        }
    }

    /// Bytes ever written: the position behind the last one.
    pub fn end(&self) -> u64 {
        self.end.get()
    }

    /// Where a reader at `position` goes on: not before the oldest byte.
    fn oldest(&self, position: u64) -> u64 {
        position.max(self.end.get().saturating_sub(CAPACITY))
    }
}

impl<P: Port> Kernel<P> {
    /// Appends words of the kernel's own, and tells them to the host; what finds
    /// no room here is lost.
    pub(crate) fn log(&mut self, bytes: &[u8]) {
        self.host.logged(bytes);
        let files = self.files();
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = files.log.end() % CAPACITY;
            let room = usize::try_from(CAPACITY - at).unwrap_or(usize::MAX);
            let part = &rest[..rest.len().min(room)];
            let mut ring = files.log.ring.borrow_mut();
            let written = ring.put(self.machine.heap_low(), at, part);
            files.log.end.update(|end| end + written as u64);
            if written < part.len() {
                break;
            }
            rest = &rest[part.len()..];
        }
        self.wake_all(&files.log.grown);
    }
}

/// Reads what is there from `position` on; says how much, and the new position.
///
/// # Errors
/// Those of the buffer.
pub fn read<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    count: u64,
    position: u64,
) -> Result<(u64, u64), KernelError> {
    let files = kernel.files();
    let start = files.log.oldest(position);
    let length = files.log.end().saturating_sub(start).min(count);
    let ring = files.log.ring.borrow();
    let mut done = 0;
    while done < length {
        let at = (start + done) % CAPACITY;
        let part = (CAPACITY - at).min(length - done);
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        ring.read(machine, space, address + done, at, part)?;
        done += part;
    }
    Ok((length, start + length))
}

/// Appends; what is older than the ring is long goes.
///
/// # Errors
/// Those of the buffer, [`KernelError::NoMemory`].
pub fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    count: u64,
) -> Result<u64, KernelError> {
    let files = kernel.files();
    let mut done = 0;
    while done < count {
        let at = files.log.end() % CAPACITY;
        let part = (CAPACITY - at).min(count - done);
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        let mut ring = files.log.ring.borrow_mut();
        let written = ring.write(machine, space, address + done, at, part)?;
        files.log.end.update(|end| end + written);
        done += written;
        if written < part {
            break;
        }
    }
    kernel.wake_all(&files.log.grown);
    Ok(done)
}

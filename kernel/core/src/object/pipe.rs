//! Pipes: bytes from writers to readers, first in, first out.
//!
//! An open file holds a [`PipeEnd`]. When the last reader or writer goes, by a
//! closed descriptor or with its process, everyone on the other side must look
//! again; nobody holds the kernel at that time, so the ends leave them in
//! [`Hangups`], which the kernel empties (`Kernel::wake_hung_up`).

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::Ready;
use crate::object::store::{Quota, Store};
use crate::object::wait::{Entry, WaitQueue};
use crate::port::Port;

/// Bytes that a pipe holds.
pub const CAPACITY: u64 = 4096;
/// What a pipe costs, its contents apart.
const PIPE_COST: u64 = 512;

/// Something that was noticed when an open file went.
#[derive(Clone, Copy, Debug)]
pub enum Hangup {
    /// The thread's pipe has lost its other side: it must look again.
    Wake(Entry),
    /// Nobody is left to read the standard input of that process.
    Unread(u64),
}

/// What was noticed when open files went, and nobody has acted on yet.
#[derive(Debug, Default)]
pub struct Hangups {
    entries: RefCell<Vec<Hangup>>,
}

impl Hangups {
    /// Nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    /// Takes all of them.
    pub fn take(&self) -> Vec<Hangup> {
        self.entries.take()
    }

    /// The standard input of process `number` has lost its last reader.
    pub(crate) fn unread(&self, number: u64) {
        self.entries.borrow_mut().push(Hangup::Unread(number));
    }

    /// Adds everyone in a queue.
    pub(crate) fn add(&self, queue: &WaitQueue) {
        let woken = queue.take().map(Hangup::Wake);
        self.entries.borrow_mut().extend(woken);
    }
}

/// A pipe.
#[derive(Debug)]
pub struct Pipe {
    ring: RefCell<Store>,
    /// Bytes that were read and written since it was made.
    taken: Cell<u64>,
    given: Cell<u64>,
    readers: Cell<u32>,
    writers: Cell<u32>,
    readable: WaitQueue,
    writable: WaitQueue,
    hangups: Rc<Hangups>,
    quota: Rc<Quota>,
}

/// One end of a pipe, or both.
#[derive(Debug)]
pub struct PipeEnd {
    pipe: Rc<Pipe>,
    reads: bool,
    writes: bool,
}

impl Pipe {
    /// A pipe with no end yet.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn new(quota: &Rc<Quota>, hangups: &Rc<Hangups>) -> Result<Rc<Self>, KernelError> {
        quota.take(PIPE_COST)?;
        Ok(Rc::new(Self {
            ring: RefCell::new(Store::new(&[], quota)),
            taken: Cell::new(0),
            given: Cell::new(0),
            readers: Cell::new(0),
            writers: Cell::new(0),
            readable: WaitQueue::default(),
            writable: WaitQueue::default(),
            hangups: Rc::clone(hangups),
            quota: Rc::clone(quota),
        }))
    }

    /// A new end.
    pub fn end(self: &Rc<Self>, reads: bool, writes: bool) -> PipeEnd {
        self.readers.update(|count| count + u32::from(reads));
        self.writers.update(|count| count + u32::from(writes));
        PipeEnd {
            pipe: Rc::clone(self),
            reads,
            writes,
        }
    }

    fn length(&self) -> u64 {
        self.given.get() - self.taken.get()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.quota.give(PIPE_COST);
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let pipe = &self.pipe;
        pipe.readers.update(|count| count - u32::from(self.reads));
        pipe.writers.update(|count| count - u32::from(self.writes));
        if pipe.readers.get() == 0 {
            pipe.hangups.add(&pipe.writable);
        }
        if pipe.writers.get() == 0 {
            pipe.hangups.add(&pipe.readable);
        }
    }
}

impl PipeEnd {
    /// What can be done at this end without waiting.
    pub fn ready(&self) -> Ready {
        let pipe = &self.pipe;
        let mut ready = Ready::NONE;
        if self.reads && (pipe.length() > 0 || pipe.writers.get() == 0) {
            ready = ready.and(Ready::IN);
        }
        if self.writes && (pipe.length() < CAPACITY || pipe.readers.get() == 0) {
            ready = ready.and(Ready::OUT);
        }
        ready
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.pipe.length() == 0
    }

    /// Enters a parked thread for any change at this end.
    pub fn enter(&self, entry: Entry) {
        if self.reads {
            self.pipe.readable.enter(entry);
        }
        if self.writes {
            self.pipe.writable.enter(entry);
        }
    }

    /// Reads what is there, at most `count` bytes; waits while there is nothing
    /// and a writer. 0 is the end.
    ///
    /// # Errors
    /// [`KernelError::WrongEnd`], [`KernelError::InvalidArgument`] for a whole
    /// pipe's worth, and those of the buffer.
    pub fn read<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        address: u64,
        count: u64,
    ) -> Result<Flow, KernelError> {
        let pipe = &self.pipe;
        self.check(self.reads, count)?;
        let length = pipe.length().min(count);
        if length == 0 {
            let waits = count > 0 && pipe.writers.get() > 0;
            return Ok(if waits {
                running.wait_in(&pipe.readable)
            } else {
                Flow::Return(0)
            });
        }
        let mut done = 0;
        while done < length {
            let at = (pipe.taken.get() + done) % CAPACITY;
            let part = (CAPACITY - at).min(length - done);
            let (machine, space) = (&mut kernel.machine, &mut running.process.space);
            let ring = pipe.ring.borrow();
            ring.read(machine, space, address + done, at, part)?;
            done += part;
        }
        pipe.taken.update(|taken| taken + length);
        kernel.wake_all(&pipe.writable);
        Ok(Flow::Return(length))
    }

    /// Writes all of it at once; waits while there is no room for that.
    ///
    /// # Errors
    /// [`KernelError::WrongEnd`], [`KernelError::InvalidArgument`] for a whole
    /// pipe's worth, [`KernelError::BrokenPipe`], and those of the buffer.
    pub fn write<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        address: u64,
        count: u64,
    ) -> Result<Flow, KernelError> {
        let pipe = &self.pipe;
        self.check(self.writes, count)?;
        if pipe.readers.get() == 0 {
            return Err(KernelError::BrokenPipe);
        }
        if pipe.length() + count > CAPACITY {
            return Ok(running.wait_in(&pipe.writable));
        }
        let mut done = 0;
        while done < count {
            let at = (pipe.given.get() + done) % CAPACITY;
            let part = (CAPACITY - at).min(count - done);
            let (machine, space) = (&mut kernel.machine, &mut running.process.space);
            let mut ring = pipe.ring.borrow_mut();
            let written = ring.write(machine, space, address + done, at, part)?;
            if written < part {
                // All or nothing: what was copied lies beyond the end.
                return Err(KernelError::NoMemory);
            }
            done += part;
        }
        pipe.given.update(|given| given + count);
        kernel.wake_all(&pipe.readable);
        Ok(Flow::Return(count))
    }

    fn check(&self, right_end: bool, count: u64) -> Result<(), KernelError> {
        match right_end {
            false => Err(KernelError::WrongEnd),
            true if count >= CAPACITY => Err(KernelError::InvalidArgument),
            true => Ok(()),
        }
    }
}

//! Connections: two sides, and a queue of messages each way.
//!
//! Whoever holds a [`Side`] is connected. When it goes, those who wait at
//! either side look again (see [`Hangups`]): what was sent before can still be
//! received, then comes the end.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use super::queue::{MESSAGE_MAX, MessageQueue};
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::Ready;
use crate::object::pipe::Hangups;
use crate::object::store::Quota;
use crate::object::wait::{Entry, WaitQueue};
use crate::port::Port;

/// What a connection costs, its messages apart.
const CONNECTION_COST: u64 = 512;

/// A connection.
#[derive(Debug)]
struct Connection {
    /// Messages to each side.
    ways: [Way; 2],
    /// One side is gone.
    closed: Cell<bool>,
    hangups: Rc<Hangups>,
    quota: Rc<Quota>,
}

/// Messages to one side.
#[derive(Debug)]
struct Way {
    queue: RefCell<MessageQueue>,
    readable: WaitQueue,
    writable: WaitQueue,
}

/// One side of a connection.
#[derive(Debug)]
pub struct Side {
    connection: Rc<Connection>,
    /// Which of the two.
    second: bool,
}

impl Side {
    /// The two sides of a new connection.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn pair(quota: &Rc<Quota>, hangups: &Rc<Hangups>) -> Result<[Self; 2], KernelError> {
        quota.take(CONNECTION_COST)?;
        let way = || Way {
            queue: RefCell::new(MessageQueue::new(quota)),
            readable: WaitQueue::default(),
            writable: WaitQueue::default(),
        };
        let connection = Rc::new(Connection {
            ways: [way(), way()],
            closed: Cell::new(false),
            hangups: Rc::clone(hangups),
            quota: Rc::clone(quota),
        });
        Ok([false, true].map(|second| Self {
            connection: Rc::clone(&connection),
            second,
        }))
    }

    fn incoming(&self) -> &Way {
        &self.connection.ways[usize::from(self.second)]
    }

    fn outgoing(&self) -> &Way {
        &self.connection.ways[usize::from(!self.second)]
    }

    /// Receives a message, at most `count` bytes of it; waits for one. 0 is the
    /// end, or an empty message.
    ///
    /// # Errors
    /// [`KernelError::WouldBlock`], and those of the buffer.
    pub fn receive<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        address: u64,
        count: u64,
        waits: bool,
    ) -> Result<Flow, KernelError> {
        let way = self.incoming();
        let mut queue = way.queue.borrow_mut();
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        if let Some(length) = queue.pop(machine, space, address, count)? {
            kernel.wake_all(&way.writable);
            return Ok(Flow::Return(length));
        }
        match self.connection.closed.get() {
            true => Ok(Flow::Return(0)),
            false if waits => Ok(running.wait_in(&way.readable)),
            false => Err(KernelError::WouldBlock),
        }
    }

    /// Sends a message; waits while there is no room for it.
    ///
    /// # Errors
    /// [`KernelError::ConnectionReset`], [`KernelError::MessageTooLong`],
    /// [`KernelError::WouldBlock`], and those of the buffer.
    pub fn send<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        address: u64,
        count: u64,
        waits: bool,
    ) -> Result<Flow, KernelError> {
        if self.connection.closed.get() {
            return Err(KernelError::ConnectionReset);
        }
        if count > MESSAGE_MAX {
            return Err(KernelError::MessageTooLong);
        }
        let way = self.outgoing();
        let mut queue = way.queue.borrow_mut();
        if !queue.has_room(count) {
            return match waits {
                true => Ok(running.wait_in(&way.writable)),
                false => Err(KernelError::WouldBlock),
            };
        }
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        queue.push(machine, space, address, count)?;
        kernel.wake_all(&way.readable);
        Ok(Flow::Return(count))
    }

    /// What can be done at this side without waiting.
    pub fn ready(&self) -> Ready {
        let mut ready = Ready::NONE;
        if !self.incoming().queue.borrow().is_empty() {
            ready = ready.and(Ready::IN);
        }
        if self.connection.closed.get() {
            return ready.and(Ready::HANG_UP);
        }
        if self.outgoing().queue.borrow().has_room(1) {
            ready = ready.and(Ready::OUT);
        }
        ready
    }

    /// Enters a parked thread for any change at this side.
    pub fn enter(&self, entry: Entry) {
        self.incoming().readable.enter(entry);
        self.outgoing().writable.enter(entry);
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.closed.set(true);
        for way in &connection.ways {
            connection.hangups.add(&way.readable);
            connection.hangups.add(&way.writable);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.quota.give(CONNECTION_COST);
    }
}

//! Messages between threads: sending, receiving, calling.
//!
//! A message goes straight to the thread that has waited longest at its
//! endpoint, else into the queue. What a thread cannot take (its buffer or its
//! table is too small) ends its wait, and the next one is tried, so that where
//! a message is queued nobody waits. `reply.rs` has replies and ends.

mod post;
mod short;

pub(super) use post::Brought;
pub use short::Short;

use super::{Flow, Kernel, Running};
use crate::error::KernelError;
use crate::object::ipc::{Arrival, ChannelKey, EndpointKey, Message, Stage, Wanted};
use crate::object::process::{Process, ProcessKey};
use crate::object::thread::{ThreadKey, Wait};
use crate::object::wait::Entry;
use crate::port::{Machine, Port};
use crate::user;

/// What a sender hands over.
#[derive(Clone, Copy, Debug)]
pub struct Parcel {
    /// Address of its bytes, in the running space.
    pub address: u64,
    /// How many there are, at most as a message may have.
    pub length: u64,
    /// Token of the capability to pass on, which was checked; 0 is none.
    pub capability: u64,
}

/// How far a receive got.
#[derive(Clone, Copy, Debug)]
pub enum Receipt {
    /// A message came, or [`KernelError::TooSmall`]: one is there that does not fit.
    Come(Result<(), KernelError>, Arrival),
    /// The thread is parked.
    Parked(Flow),
}

/// Where a message is.
enum Posted {
    Queued(EndpointKey),
    /// With a thread of that process and priority, which is to run.
    Taken(ThreadKey, ProcessKey, u8),
}

impl<P: Port> Kernel<P> {
    /// Endpoints and channels that there are.
    pub fn ipc_count(&self) -> (usize, usize, u64) {
        let ipc = &self.ipc;
        (ipc.endpoint_count(), ipc.channel_count(), ipc.pages_used())
    }

    /// Makes an endpoint of a process.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`], [`KernelError::NoMemory`].
    pub fn add_endpoint(&mut self, process: &mut Process<P>) -> Result<EndpointKey, KernelError> {
        if self.machine.heap_low() {
            return Err(KernelError::NoMemory);
        }
        let holdings = process.holdings.get_or_insert_default();
        self.ipc.add_endpoint(process.key, &mut holdings.endpoints)
    }

    /// Connects two endpoints.
    ///
    /// # Errors
    /// As [`crate::object::ipc::Ipc::connect`].
    pub fn add_channel(&mut self, sides: [EndpointKey; 2]) -> Result<ChannelKey, KernelError> {
        if self.machine.heap_low() {
            return Err(KernelError::NoMemory);
        }
        self.ipc.connect(sides)
    }

    /// Sends a message to an endpoint, `None` when it is closed.
    ///
    /// # Errors
    /// [`KernelError::NotFound`], [`KernelError::Busy`], [`KernelError::NoMemory`],
    /// and those of the sender's memory.
    #[inline(always)]
    pub fn send(
        &mut self,
        running: &mut Running<P>,
        to: Option<EndpointKey>,
        parcel: &Parcel,
    ) -> Result<(), KernelError> {
        if let Posted::Taken(thread, _, priority) = self.post(running, to, parcel, None)? {
            self.ready.push(thread, priority);
            self.slice();
        }
        Ok(())
    }

    /// Sends a request and parks its sender until the reply. A thread that
    /// waits for it runs at once.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`KernelError::TimedOut`] without time to wait.
    #[inline(always)]
    pub fn call(
        &mut self,
        running: &mut Running<P>,
        to: Option<EndpointKey>,
        parcel: &Parcel,
        wanted: &Wanted,
    ) -> Result<Flow, KernelError> {
        if wanted.timeout == 0 {
            return Err(match self.has_room(to) {
                Ok(()) => KernelError::TimedOut,
                Err(error) => self.refusal(running, parcel, error),
            });
        }
        let deadline = deadline(&self.machine, wanted.timeout);
        let exchange = running.thread.exchange();
        exchange.wanted = *wanted;
        exchange.calls = true;
        let flow = running.park(Wait::Exchange, deadline);
        let caller = running.entry();
        let posted = self.post(running, to, parcel, Some(caller));
        let Some(exchange) = running.thread.exchange.as_deref_mut() else {
            return Err(KernelError::Interrupted);
        };
        match posted {
            Ok(Posted::Taken(thread, process, priority)) => {
                exchange.stage = Stage::Served(process);
                Ok(self.hand_over(running, (thread, priority), flow))
            }
            Ok(Posted::Queued(endpoint)) => {
                exchange.stage = Stage::Queued(endpoint);
                Ok(flow)
            }
            Err(error) => {
                running.thread.wait = None;
                Err(error)
            }
        }
    }

    /// Lets a thread run at once in place of the running one, which is parked;
    /// not before threads of a higher priority.
    #[inline(always)]
    fn hand_over(
        &mut self,
        running: &Running<P>,
        (thread, priority): (ThreadKey, u8),
        flow: Flow,
    ) -> Flow {
        if self.ready.is_above(priority) {
            self.ready.push(thread, priority);
            return flow;
        }
        if let Flow::ParkUntil(deadline) = flow {
            self.timers.set(deadline, running.thread.key);
            self.arm_by(deadline);
        }
        self.next = Some(thread);
        Flow::HandOver
    }

    /// Takes the oldest message of an endpoint, or parks the thread until one
    /// comes. The buffer was checked.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when the endpoint is closed,
    /// [`KernelError::NoRoom`] when a token of the message has no room,
    /// [`KernelError::TimedOut`] without time to wait.
    #[inline(always)]
    pub fn receive(
        &mut self,
        running: &mut Running<P>,
        from: EndpointKey,
        wanted: &Wanted,
    ) -> Result<Receipt, KernelError> {
        let endpoint = self.ipc.endpoint(from).ok_or(KernelError::NotFound)?;
        if !endpoint.queue.is_empty()
            && let Some(receipt) = self.take(running, from, wanted)?
        {
            return Ok(receipt);
        }
        // Again, because calls of those who wait no more were dropped perhaps.
        let endpoint = self.ipc.endpoint(from).ok_or(KernelError::NotFound)?;
        if wanted.timeout == 0 {
            return Err(KernelError::TimedOut);
        }
        let deadline = deadline(&self.machine, wanted.timeout);
        let exchange = running.thread.exchange();
        exchange.wanted = *wanted;
        exchange.calls = false;
        exchange.stage = Stage::Receiving(from);
        let flow = running.park(Wait::Exchange, deadline);
        endpoint.receivers.enter(running.entry());
        Ok(Receipt::Parked(flow))
    }

    /// Takes the oldest message; `None` when there is none whose sender, if
    /// it is a call, still waits.
    #[inline(never)]
    fn take(
        &mut self,
        running: &mut Running<P>,
        from: EndpointKey,
        wanted: &Wanted,
    ) -> Result<Option<Receipt>, KernelError> {
        loop {
            let endpoint = self.ipc.endpoint(from).ok_or(KernelError::NotFound)?;
            let Some(message) = endpoint.queue.front() else {
                return Ok(None);
            };
            let (caller, capability) = (message.caller, message.capability);
            if caller.is_some_and(|caller| !self.waits(caller)) {
                self.drop_front(from);
                continue;
            }
            let endpoint = self.ipc.endpoint(from).ok_or(KernelError::NotFound)?;
            let Some(message) = endpoint.queue.front() else {
                return Ok(None);
            };
            let mut arrival = Arrival::new(message.sender, message.length as u64);
            if arrival.length() > wanted.room {
                return Ok(Some(Receipt::Come(Err(KernelError::TooSmall), arrival)));
            }
            let process = &mut running.process;
            let (machine, space) = (&mut self.machine, &mut process.space);
            if message.length > 0 {
                user::write(machine, space, wanted.buffer, message.bytes())?;
            }
            if caller.is_some() {
                let holdings = process.holdings.get_or_insert_default();
                holdings.replies.make_room()?;
            }
            if let Some(node) = capability {
                let tokens = &mut process.capabilities;
                let token = self.capabilities.deliver(node, process.key, tokens)?;
                arrival.set_capability(token.unwrap_or(0));
            }
            if let Some(caller) = caller {
                let serial = self.ipc.next_serial();
                let holdings = process.holdings.get_or_insert_default();
                arrival.set_reply(holdings.replies.owe(caller, serial)?);
                self.note_served(caller, process.key);
            }
            if let Some(message) = self.ipc.endpoint(from).and_then(|from| from.pop()) {
                self.ipc.give_back(message.body);
            }
            return Ok(Some(Receipt::Come(Ok(()), arrival)));
        }
    }

    /// Drops the oldest message: whoever called does not wait any more.
    fn drop_front(&mut self, endpoint: EndpointKey) {
        if let Some(message) = self.ipc.endpoint(endpoint).and_then(|from| from.pop()) {
            self.drop_message(message);
        }
    }

    /// Gives back what a message holds that will not arrive.
    pub(super) fn drop_message(&mut self, message: Message) {
        self.ipc.give_back(message.body);
        if let Some(node) = message.capability {
            self.abandon(node);
        }
    }

    /// A caller's request was received.
    fn note_served(&mut self, caller: Entry, server: ProcessKey) {
        let thread = self.threads.get_mut(caller.thread);
        if let Some(exchange) = thread.and_then(|thread| thread.exchange.as_mut()) {
            exchange.stage = Stage::Served(server);
        }
    }
}

/// When a wait that begins now is given up.
#[inline(always)]
fn deadline(machine: &impl Machine, timeout: u64) -> Option<u64> {
    match timeout {
        u64::MAX => None,
        timeout => machine.now().checked_add(timeout),
    }
}

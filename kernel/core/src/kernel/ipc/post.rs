//! Where a message goes: to the thread that waits for it, or into the queue.

use alloc::boxed::Box;

use super::{Parcel, Posted};
use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::object::ipc::{
    Arrival, Body, EndpointKey, Exchange, MESSAGE_MAX, Message, SMALL_BYTES, Stage, small_length,
};
use crate::object::memory::Touch;
use crate::object::process::{Process, ProcessKey, ProcessMark};
use crate::object::thread::ThreadKey;
use crate::object::wait::Entry;
use crate::port::{Machine, PAGE_SIZE, Port};
use crate::slab::Table;
use crate::user::{self, Side};

/// Share of memory that queued messages may take of the kernel's heap, and its
/// bound in bytes.
const MEMORY_SHARE: u64 = 32;
const MEMORY_MAX: u64 = 16 << 20;

/// What became of a message that was brought to a thread.
pub(in crate::kernel) enum Brought {
    /// The thread has it: its process, and its priority. It is to run.
    Taken(ProcessKey, u8),
    /// The thread cannot take it, and is to run: its priority.
    Refused(u8),
    /// The thread has gone on for another reason.
    Gone,
}

impl<P: Port> Kernel<P> {
    /// Moves a message to the thread that has waited longest, else to the
    /// queue. The short way is that of a small message without a capability to
    /// a thread that can take it: each table is looked at once.
    #[inline(always)]
    pub(super) fn post(
        &mut self,
        running: &mut Running<P>,
        to: Option<EndpointKey>,
        parcel: &Parcel,
        caller: Option<Entry>,
    ) -> Result<Posted, KernelError> {
        let serial = caller.map_or(0, |_| self.ipc.next_serial());
        if parcel.is_small()
            && let Some(to) = to
            && let Some(endpoint) = self.ipc.endpoint(to)
            && let Some(entry) = endpoint.receivers.first()
            && let Some(thread) = self.threads.get_mut(entry.thread)
            && thread.waits(entry.wait)
            && let Some(exchange) = thread.exchange.as_deref_mut()
            && parcel.length <= exchange.wanted.room
        {
            exchange.leave(&mut self.machine, &mut running.process, parcel)?;
            let process = thread.process;
            if let Some(caller) = caller {
                let holder = holder(&mut self.processes, &mut running.process, process);
                let owed = match holder {
                    Ok(holder) => holder.owe(caller, serial),
                    Err(error) => Err(error),
                };
                match owed {
                    Ok(token) => exchange.arrival.set_reply(token),
                    Err(_) => return self.post_on(running, to, parcel, Some(caller)),
                }
            }
            exchange.stage = Stage::Done(Ok(()));
            endpoint.receivers.leave_first();
            let priority = thread.end_wait();
            self.timers.cancel(entry.thread);
            return Ok(Posted::Taken(entry.thread, process, priority));
        }
        match to {
            Some(to) => self.post_on(running, to, parcel, caller),
            None => Err(self.refusal(running, parcel, KernelError::NotFound)),
        }
    }

    /// Moves a message, whatever it is and whoever waits.
    #[inline(never)]
    fn post_on(
        &mut self,
        running: &mut Running<P>,
        to: EndpointKey,
        parcel: &Parcel,
        caller: Option<Entry>,
    ) -> Result<Posted, KernelError> {
        loop {
            let Some(endpoint) = self.ipc.endpoint(to) else {
                return Err(self.refusal(running, parcel, KernelError::NotFound));
            };
            let Some(entry) = endpoint.receivers.first() else {
                break;
            };
            let brought = self.bring(running, entry, parcel, caller)?;
            if let Some(endpoint) = self.ipc.endpoint(to) {
                endpoint.receivers.leave_first();
            }
            match brought {
                Brought::Taken(process, priority) => {
                    return Ok(Posted::Taken(entry.thread, process, priority));
                }
                Brought::Refused(priority) => self.ready.push(entry.thread, priority),
                Brought::Gone => {}
            }
        }
        self.queue(running, to, parcel, caller)?;
        Ok(Posted::Queued(to))
    }

    /// Leaves a reply with its caller, if that waits still: its wait is over
    /// then. The short way is that of a small one without a capability.
    ///
    /// # Errors
    /// As [`bring`](Self::bring).
    #[inline(always)]
    pub(in crate::kernel) fn bring_back(
        &mut self,
        running: &mut Running<P>,
        caller: Entry,
        parcel: &Parcel,
    ) -> Result<Brought, KernelError> {
        if parcel.is_small()
            && let Some(thread) = self.threads.get_mut(caller.thread)
            && thread.waits(caller.wait)
            && let Some(exchange) = thread.exchange.as_deref_mut()
            && parcel.length <= exchange.wanted.room
        {
            exchange.leave(&mut self.machine, &mut running.process, parcel)?;
            exchange.stage = Stage::Done(Ok(()));
            let priority = thread.end_wait();
            self.timers.cancel(caller.thread);
            return Ok(Brought::Taken(thread.process, priority));
        }
        self.bring(running, caller, parcel, None)
    }

    /// Leaves a message or a reply with a thread, if it waits still: its wait
    /// is over then.
    ///
    /// # Errors
    /// When the sender's memory cannot be read or memory is full; the thread
    /// waits still.
    #[inline(never)]
    fn bring(
        &mut self,
        running: &mut Running<P>,
        entry: Entry,
        parcel: &Parcel,
        caller: Option<Entry>,
    ) -> Result<Brought, KernelError> {
        if !self.waits(entry) {
            return Ok(Brought::Gone);
        }
        let taken = self.hand(running, entry.thread, parcel, caller)?;
        let Some(thread) = self.threads.get_mut(entry.thread) else {
            return Ok(Brought::Gone);
        };
        if let Some(exchange) = thread.exchange.as_deref_mut() {
            exchange.stage = Stage::Done(taken);
        }
        let (process, priority) = (thread.process, thread.end_wait());
        self.timers.cancel(entry.thread);
        Ok(match taken {
            Ok(()) => Brought::Taken(process, priority),
            Err(_) => Brought::Refused(priority),
        })
    }

    /// Gives a thread that waits a message. Inside is why the thread cannot
    /// take it.
    fn hand(
        &mut self,
        running: &mut Running<P>,
        thread: ThreadKey,
        parcel: &Parcel,
        caller: Option<Entry>,
    ) -> Result<Result<(), KernelError>, KernelError> {
        let Some(thread) = self.threads.get_mut(thread) else {
            return Ok(Err(KernelError::NotFound));
        };
        let receiver = thread.process;
        let Some(exchange) = thread.exchange.as_deref_mut() else {
            return Ok(Err(KernelError::NotFound));
        };
        if parcel.length > exchange.wanted.room {
            exchange.arrival = Arrival::new(running.process.id, parcel.length);
            return Ok(Err(KernelError::TooSmall));
        }
        if parcel.length <= SMALL_BYTES as u64 {
            exchange.leave(&mut self.machine, &mut running.process, parcel)?;
        } else {
            exchange.arrival = Arrival::new(running.process.id, parcel.length);
            exchange.in_place = true;
            let other = (receiver != running.process.key).then_some(receiver);
            let other = other.and_then(|key| self.processes.get_mut(key));
            match user::carry(
                &mut self.machine,
                &mut running.process.space,
                parcel.address,
                other.map(|process| &mut process.space),
                exchange.wanted.buffer,
                parcel.length,
            ) {
                Ok(()) => {}
                Err(Side::Source(error)) => return Err(error),
                Err(Side::Destination(error)) => return Ok(Err(error)),
            }
        }
        if parcel.capability == 0 && caller.is_none() {
            return Ok(Ok(()));
        }
        let passed = running.process.passed(parcel.capability);
        let endpoint = passed.as_ref().and_then(|(object, ..)| object.endpoint());
        let caller = caller.map(|caller| (caller, self.ipc.next_serial()));
        let taken =
            holder(&mut self.processes, &mut running.process, receiver).and_then(|holder| {
                let tree = &mut self.capabilities;
                holder.take_tokens(tree, passed, caller, &mut exchange.arrival)
            });
        if taken.is_ok() {
            self.gained(endpoint);
        }
        Ok(taken)
    }

    /// Appends a message to a queue.
    fn queue(
        &mut self,
        running: &mut Running<P>,
        to: EndpointKey,
        parcel: &Parcel,
        caller: Option<Entry>,
    ) -> Result<(), KernelError> {
        if let Err(error) = self.has_room(Some(to)) {
            return Err(self.refusal(running, parcel, error));
        }
        let body = if parcel.length <= SMALL_BYTES as u64 {
            Body::Small([0; SMALL_BYTES])
        } else if self.machine.heap_low() {
            return Err(self.refusal(running, parcel, KernelError::NoMemory));
        } else {
            let most = self.machine.frames() * PAGE_SIZE / MEMORY_SHARE;
            match self.ipc.take_page(most.min(MEMORY_MAX) / PAGE_SIZE) {
                Ok(page) => Body::Large(page),
                Err(error) => return Err(self.refusal(running, parcel, error)),
            }
        };
        let mut message = Message {
            sender: running.process.id,
            caller,
            capability: None,
            length: parcel.length.min(MESSAGE_MAX) as usize,
            body,
        };
        let mut filled = match parcel.length {
            0 => Ok(()),
            _ => {
                let (machine, space) = (&mut self.machine, &mut running.process.space);
                user::read(machine, space, parcel.address, message.bytes_mut())
            }
        };
        if filled.is_ok() && parcel.capability != 0 {
            let node = self.send_off(running, parcel.capability);
            filled = node.map(|node| message.capability = Some(node));
        }
        match (filled, self.ipc.endpoint(to)) {
            (Ok(()), Some(endpoint)) => {
                endpoint.queue.push_back(message);
                Ok(())
            }
            (filled, _) => {
                self.drop_message(message);
                filled.and(Err(KernelError::NotFound))
            }
        }
    }

    /// An endpoint can queue one more message.
    pub(super) fn has_room(&mut self, endpoint: Option<EndpointKey>) -> Result<(), KernelError> {
        let endpoint = endpoint.and_then(|key| self.ipc.endpoint(key));
        let endpoint = endpoint.ok_or(KernelError::NotFound)?;
        endpoint.make_room(&self.machine)
    }

    /// Why a message cannot be sent: its memory comes before the state of
    /// where it goes (specs/veridian.md 2.5).
    pub(in crate::kernel) fn refusal(
        &mut self,
        running: &mut Running<P>,
        parcel: &Parcel,
        error: KernelError,
    ) -> KernelError {
        let (machine, space) = (&mut self.machine, &mut running.process.space);
        let readable = user::check(machine, space, parcel.address, parcel.length, Touch::Read);
        readable.err().unwrap_or(error)
    }
}

/// The process that a message is for: the running one or another.
#[inline(always)]
fn holder<'a, P: Port>(
    processes: &'a mut Table<ProcessMark, Box<Process<P>>>,
    running: &'a mut Process<P>,
    key: ProcessKey,
) -> Result<&'a mut Process<P>, KernelError> {
    if running.key == key {
        return Ok(running);
    }
    let other = processes.get_mut(key).map(|process| &mut **process);
    other.ok_or(KernelError::NotFound)
}

impl Parcel {
    /// It is copied by way of its receiver's exchange, and brings no token.
    #[inline(always)]
    fn is_small(&self) -> bool {
        self.length <= SMALL_BYTES as u64 && self.capability == 0
    }
}

impl Exchange {
    /// Leaves the bytes of a small message here.
    #[inline(always)]
    fn leave<P: Port>(
        &mut self,
        machine: &mut P::Machine,
        sender: &mut Process<P>,
        parcel: &Parcel,
    ) -> Result<(), KernelError> {
        self.arrival = Arrival::new(sender.id, parcel.length);
        self.in_place = false;
        let bytes = &mut self.bytes[..small_length(parcel.length)];
        user::read_short(machine, &mut sender.space, parcel.address, bytes)
    }
}

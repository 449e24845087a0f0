//! The short ways: a message straight to a thread that waits.
//!
//! Whoever asks has checked tokens, words and where what comes is to go
//! (`personality/veridian/ipc/short.rs`). Each of these says `None` before it has
//! changed anything that could be seen, and the general way decides. Where the
//! receiver runs at once it is told here too, in its own address space.

use core::hint::cold_path;

use super::Parcel;
use crate::kernel::{Flow, Kernel, Running};
#[cfg(doc)]
use crate::object::ipc::Route;
use crate::object::ipc::{Arrival, EndpointKey, Exchange, SMALL_BYTES, Stage, Wanted};
use crate::object::memory::Space;
use crate::object::process::Process;
use crate::object::thread::Wait;
use crate::port::{Machine, Port};
use crate::user;

/// How a short way ended.
#[derive(Clone, Copy, Debug)]
pub enum Short {
    /// The running thread goes on in ring 3, with its result in place.
    Over,
    /// As said.
    Flow(Flow),
}

impl<P: Port> Kernel<P> {
    /// What has gone that a [`Route`] of the running process could lead over.
    #[inline(always)]
    pub fn gone(&self, running: &Running<P>) -> u64 {
        let tokens = running.process.capabilities.gone();
        self.ipc.gone.wrapping_add(tokens)
    }

    /// CALL of a thread of another process that waits: it runs at once.
    #[inline(always)]
    pub fn call_at_once(
        &mut self,
        running: &mut Running<P>,
        to: EndpointKey,
        parcel: &Parcel,
        wanted: &Wanted,
    ) -> Option<Short> {
        let (endpoint, serial) = self.ipc.endpoint_and_serial(to)?;
        let entry = endpoint.receivers.first()?;
        let slot = self.threads.slot(entry.thread)?;
        let thread = slot.as_deref_mut()?;
        let server = thread.process;
        if thread.call.is_some()
            || !self.ready.is_empty() && (!self.sliced || self.ready.is_above(thread.priority))
        {
            cold_path();
            return None;
        }
        let theirs = thread.waiting(entry.wait)?;
        // That of the running process is not there.
        let place = self.processes.slot(server)?;
        let receiver = place.as_deref_mut()?;
        let vacancy = receiver.holdings.as_deref_mut()?.replies.vacancy()?;
        let own = running.thread.exchange.as_deref_mut()?;
        if !wanted.is_there(&mut self.machine, Arrival::REPLY) {
            cold_path();
            return None;
        }
        let sender = &mut *running.process;
        let (source, space) = (&mut sender.space, &mut receiver.space);
        theirs.leave_at_once(&mut self.machine, source, parcel, || Some(Some(space)))?;
        // From here on nothing can refuse.
        own.wanted = *wanted;
        own.calls = true;
        own.stage = Stage::Served(server);
        running.thread.park(Wait::Exchange);
        let token = vacancy.owe(running.entry(), serial.take());
        theirs.arrival = Arrival::of_call(running.process.id, parcel.length, token);
        theirs.stage = Stage::Done(Ok(()));
        endpoint.receivers.leave_first();
        self.timers.cancel(entry.thread);
        let (mut thread, process) = (slot.take()?, place.take());
        thread.end_wait();
        self.put_on(running, thread, process);
        if let Some(exchange) = running.thread.exchange.as_deref()
            && exchange.tell_at_once(&mut self.machine, exchange.arrival.of_message())
        {
            return Some(told(running));
        }
        Some(Short::Flow(self.resume(running)))
    }

    /// RECEIVE where nothing is queued and nobody else waits: the thread is parked, and whoever comes next goes on.
    #[inline(always)]
    pub fn receive_at_once(
        &mut self,
        running: &mut Running<P>,
        from: EndpointKey,
        wanted: &Wanted,
    ) -> Option<Short> {
        let endpoint = self.ipc.endpoint(from)?;
        let own = running.thread.exchange.as_deref_mut()?;
        if !endpoint.queue.is_empty()
            || endpoint.receivers.first().is_some()
            || !wanted.is_there(&mut self.machine, Arrival::MESSAGE)
        {
            cold_path();
            return None;
        }
        own.wanted = *wanted;
        own.calls = false;
        own.stage = Stage::Receiving(from);
        running.thread.park(Wait::Exchange);
        endpoint.receivers.enter(running.entry());
        match self.caller_at_once(running) {
            Some(short) => Some(short),
            None => Some(Short::Flow(Flow::Park)),
        }
    }

    /// Goes on with the only thread that could run, if that is a caller in
    /// another process which has its reply.
    #[inline(always)]
    fn caller_at_once(&mut self, running: &mut Running<P>) -> Option<Short> {
        let (next, _) = self.ready.only?;
        let slot = self.threads.slot(next)?;
        let thread = slot.as_deref_mut()?;
        if thread.exchange.as_deref()?.stage != Stage::Answered {
            cold_path();
            return None;
        }
        // One that was told has gone on, and its exchange is its last one still.
        if thread.wait != Some(Wait::Exchange) || thread.call.is_some() {
            cold_path();
            return None;
        }
        let place = self.processes.slot(thread.process)?;
        let process = Some(place.take()?);
        let thread = slot.take()?;
        self.ready.only = None;
        self.put_on(running, thread, process);
        if let Some(exchange) = running.thread.exchange.as_deref()
            && exchange.tell_at_once(&mut self.machine, exchange.arrival.of_reply())
        {
            return Some(told(running));
        }
        Some(Short::Flow(self.resume(running)))
    }

    /// REPLY to a caller that waits; it is made ready.
    #[inline(always)]
    pub fn reply_at_once(
        &mut self,
        running: &mut Running<P>,
        token: u64,
        parcel: &Parcel,
    ) -> Option<()> {
        let Process {
            id,
            space,
            key,
            holdings,
            ..
        } = &mut *running.process;
        let debt = holdings.as_deref_mut()?.replies.debt(token)?;
        let entry = debt.caller;
        let thread = self.threads.get_mut(entry.thread)?;
        let receiver = thread.process;
        let theirs = thread.waiting(entry.wait)?;
        let processes = &mut self.processes;
        theirs.leave_at_once(&mut self.machine, space, parcel, || {
            match receiver == *key {
                true => Some(None),
                false => Some(Some(&mut processes.get_mut(receiver)?.space)),
            }
        })?;
        debt.settle();
        theirs.arrival = Arrival::new(*id, parcel.length);
        theirs.stage = Stage::Answered;
        let priority = thread.end_wait();
        self.timers.cancel(entry.thread);
        self.ready.push(entry.thread, priority);
        self.slice();
        Some(())
    }
}

/// The running thread's wait is over: it goes on in ring 3.
#[inline(always)]
fn told<P: Port>(running: &mut Running<P>) -> Short {
    running.thread.wait = None;
    P::Machine::registers_mut(&mut running.context).rax = 0;
    Short::Over
}

impl Wanted {
    /// Where what comes is to go can be written: two bytes tell of a range that
    /// is no longer than a page. The rest of it takes so many words.
    #[inline(always)]
    fn is_there<M: Machine>(&self, machine: &mut M, words: u64) -> bool {
        let Wanted {
            buffer,
            room,
            result,
            ..
        } = *self;
        let places = [
            result,
            result + (words - 1) * 8,
            buffer,
            buffer + (room - 1),
        ];
        machine.probe_user_all(places)
    }
}

impl Exchange {
    /// Leaves a message or a reply without a capability here, or in the buffer
    /// in the space that `space` says, which is the running one if it says
    /// none; nothing if that cannot be done at once.
    #[inline(always)]
    fn leave_at_once<'s, M: Machine + 's>(
        &mut self,
        machine: &mut M,
        source: &mut Space<M>,
        parcel: &Parcel,
        space: impl FnOnce() -> Option<Option<&'s mut Space<M>>>,
    ) -> Option<()> {
        let Parcel {
            address, length, ..
        } = *parcel;
        if length > self.wanted.room {
            cold_path();
            return None;
        }
        self.in_place = length > SMALL_BYTES as u64;
        if self.in_place {
            let buffer = self.wanted.buffer;
            user::carry(machine, source, address, space()?, buffer, length).ok()?;
        } else {
            let bytes = self.bytes.get_mut(..usize::try_from(length).ok()?)?;
            if !machine.read_user_inline(address, bytes) {
                cold_path();
                return None;
            }
        }
        Some(())
    }

    /// Writes what came to where its thread said, the rest of it `words`; false
    /// if that cannot be done at once.
    #[inline(always)]
    fn tell_at_once<M: Machine>(&self, machine: &mut M, words: &[u64]) -> bool {
        let Wanted { buffer, result, .. } = self.wanted;
        let length = match self.in_place {
            true => 0,
            false => usize::try_from(self.arrival.length()).unwrap_or(usize::MAX),
        };
        let bytes = self.bytes.get(..length);
        bytes.is_some_and(|bytes| machine.write_user_both((buffer, bytes), (result, words)))
    }
}

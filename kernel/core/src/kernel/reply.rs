//! Replies, and how receives and calls end: with what came, or because time,
//! a token, an endpoint or a process is over.

use alloc::boxed::Box;
use core::mem;

use super::ipc::{Brought, Parcel};
use super::{Kernel, Running};
use crate::error::KernelError;
use crate::object::capability::{Object, Tree};
use crate::object::ipc::{Arrival, EndpointKey, Exchange, Stage, small_length};
use crate::object::process::Process;
use crate::object::thread::{Thread, ThreadKey, Wait};
use crate::object::wait::Entry;
use crate::port::Port;
use crate::user;

impl<P: Port> Kernel<P> {
    /// Answers the caller that a token is for; that token is used up.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when the running process owes no such reply,
    /// [`KernelError::NotFound`] when the caller does not wait any more, and
    /// those of the sender's memory, with which the token stays.
    #[inline(always)]
    pub fn reply(
        &mut self,
        running: &mut Running<P>,
        token: u64,
        parcel: &Parcel,
    ) -> Result<(), KernelError> {
        let caller = running.process.owed(token)?;
        // That it does not fit is the caller's to know.
        match self.bring_back(running, caller, parcel)? {
            Brought::Taken(_, priority) | Brought::Refused(priority) => {
                running.process.settle(token);
                self.ready.push(caller.thread, priority);
                self.slice();
                Ok(())
            }
            Brought::Gone => Err(self.reply_to_nobody(running, token, parcel)),
        }
    }

    #[cold]
    #[inline(never)]
    fn reply_to_nobody(
        &mut self,
        running: &mut Running<P>,
        token: u64,
        parcel: &Parcel,
    ) -> KernelError {
        let error = self.refusal(running, parcel, KernelError::NotFound);
        if error == KernelError::NotFound {
            running.process.settle(token);
        }
        error
    }

    /// Tells the running thread what its receive or call ended with: the bytes
    /// go to its buffer, the rest to where it said.
    ///
    /// # Errors
    /// Whatever ended it; of [`KernelError::TooSmall`] it is told how much.
    #[inline(always)]
    pub fn arrived(&mut self, running: &mut Running<P>) -> Result<(), KernelError> {
        running.thread.timed_out = false;
        let Some(exchange) = running.thread.exchange.as_deref_mut() else {
            return Err(KernelError::Interrupted);
        };
        if !matches!(exchange.stage, Stage::Answered | Stage::Done(Ok(()))) {
            return Err(self.ended(running));
        }
        let (machine, process) = (&mut self.machine, &mut running.process);
        let length = exchange.arrival.length();
        let mut copied = Ok(());
        if !exchange.in_place && length > 0 {
            let bytes = &exchange.bytes[..small_length(length)];
            let buffer = exchange.wanted.buffer;
            copied = user::write_short(machine, &mut process.space, buffer, bytes);
        }
        let token = exchange.arrival.capability();
        if token != 0 && process.capabilities.find(token).is_err() {
            // It has been revoked since.
            exchange.arrival.set_capability(0);
        }
        if copied.is_ok() {
            copied = exchange.tell(machine, process);
        }
        match copied {
            Ok(()) => Ok(()),
            Err(error) => Err(self.not_told(running, error)),
        }
    }

    /// A message came, and its receiver's memory is gone meanwhile.
    #[cold]
    #[inline(never)]
    fn not_told(&mut self, running: &mut Running<P>, error: KernelError) -> KernelError {
        if let Some(exchange) = running.thread.exchange.as_deref() {
            let arrival = exchange.arrival;
            self.turn_away(running, &arrival);
        }
        error
    }

    /// Why a receive or a call of the running thread ended without a message.
    #[cold]
    #[inline(never)]
    fn ended(&mut self, running: &mut Running<P>) -> KernelError {
        let Some(exchange) = running.thread.exchange.as_deref_mut() else {
            return KernelError::Interrupted;
        };
        match exchange.stage {
            Stage::Done(Err(KernelError::TooSmall)) => {
                let told = exchange.tell(&mut self.machine, &mut running.process);
                told.err().unwrap_or(KernelError::TooSmall)
            }
            Stage::Done(Err(error)) => error,
            // Whoever ends a wait says how.
            _ => KernelError::Interrupted,
        }
    }

    /// Takes back the tokens of a message that cannot be told to its receiver.
    #[cold]
    pub fn turn_away(&mut self, running: &mut Running<P>, arrival: &Arrival) {
        let tokens = &mut running.process.capabilities;
        if let Ok(capability) = tokens.find(arrival.capability()) {
            let (node, slot) = (capability.node, capability.slot());
            self.capabilities.take_out(node);
            if let Some(capability) = tokens.clear(slot) {
                self.released(capability.object);
            }
        }
        if let Some(caller) = running.process.settle(arrival.reply()) {
            self.fail(caller, KernelError::Interrupted);
        }
    }

    /// The time of a thread's receive or call has come: from now on it waits for
    /// nothing, even if others have a turn before it.
    #[cold]
    pub(super) fn give_up(&mut self, key: ThreadKey) {
        let thread = self.threads.get_mut(key);
        let Some(exchange) = thread.and_then(|thread| thread.exchange.as_deref_mut()) else {
            return;
        };
        let timed_out = Stage::Done(Err(KernelError::TimedOut));
        let stage = mem::replace(&mut exchange.stage, timed_out);
        self.withdraw(stage, key);
    }

    /// Takes a thread, or its request, out of where it waits.
    fn withdraw(&mut self, stage: Stage, thread: ThreadKey) {
        match stage {
            Stage::Receiving(endpoint) => {
                if let Some(endpoint) = self.ipc.endpoint(endpoint) {
                    endpoint.receivers.leave(thread);
                }
            }
            Stage::Queued(endpoint) => {
                let endpoint = self.ipc.endpoint(endpoint);
                let message = endpoint.and_then(|endpoint| endpoint.withdraw(thread));
                if let Some(message) = message {
                    self.drop_message(message);
                }
            }
            Stage::Served(_) | Stage::Answered | Stage::Done(_) => {}
        }
    }

    /// Ends the wait of a receive or a call, if that is what the thread waits for still.
    fn fail(&mut self, entry: Entry, error: KernelError) {
        if !self.waits(entry) {
            return;
        }
        let thread = self.threads.get_mut(entry.thread);
        if let Some(exchange) = thread.and_then(|thread| thread.exchange.as_mut()) {
            exchange.stage = Stage::Done(Err(error));
        }
        self.wake(entry.thread);
        self.slice();
    }

    /// A process may not use a token any more: its threads that wait for a
    /// message, or to be received, with that token do not wait any more.
    pub(super) fn end_waits(&mut self, process: &Process<P>, token: u64) {
        for key in &process.threads {
            let Some(thread) = self.threads.get(*key) else {
                continue;
            };
            let entry = Entry {
                thread: *key,
                wait: thread.wait_number,
            };
            let Some(exchange) = thread.exchange.as_deref() else {
                continue;
            };
            let stage = exchange.stage;
            let pending = matches!(stage, Stage::Receiving(_) | Stage::Queued(_));
            // One that waits for something else now has its last exchange still.
            let pending = pending && thread.wait == Some(Wait::Exchange);
            if pending && exchange.wanted.token == token && self.waits(entry) {
                self.withdraw(stage, *key);
                self.fail(entry, KernelError::BadHandle);
            }
        }
    }

    /// An endpoint has lost a token; without any it ends.
    #[inline(never)]
    pub(super) fn endpoint_released(&mut self, key: EndpointKey) {
        let Some(endpoint) = self.ipc.endpoint(key) else {
            return;
        };
        endpoint.tokens -= 1;
        if endpoint.tokens > 0 {
            return;
        }
        self.ipc.doomed.push(key);
        if self.ipc.doomed.len() > 1 {
            // A message that is dropped below held it: whoever drops goes on.
            return;
        }
        while let Some(key) = self.ipc.doomed.first().copied() {
            self.close_endpoint(key);
            self.ipc.doomed.swap_remove(0);
        }
    }

    /// Ends an endpoint: what is queued is lost, and nobody waits for it any more.
    pub(crate) fn close_endpoint(&mut self, key: EndpointKey) {
        let Some(endpoint) = self.ipc.close(key) else {
            return;
        };
        for receiver in endpoint.receivers.into_all() {
            self.fail(receiver, KernelError::NotFound);
        }
        for message in endpoint.queue {
            if let Some(caller) = message.caller {
                self.fail(caller, KernelError::NotFound);
            }
            self.drop_message(message);
        }
    }

    /// A process has ended: so do its endpoints and the calls that it serves.
    #[cold]
    pub(super) fn end_holdings(&mut self, process: &mut Process<P>) {
        let Some(holdings) = process.holdings.take() else {
            return;
        };
        for endpoint in &holdings.endpoints {
            self.close_endpoint(*endpoint);
        }
        for caller in holdings.replies.callers() {
            self.fail(caller, KernelError::Interrupted);
        }
        if self.processes.is_empty() {
            self.ipc.forget_spare();
        }
    }

    /// A thread has ended that has received or called before.
    #[cold]
    pub(super) fn end_exchange(&mut self, thread: &Thread<P>) {
        if let Some(exchange) = thread.exchange.as_deref() {
            self.withdraw(exchange.stage, thread.key);
        }
    }
}

impl Exchange {
    /// Writes what came to where its thread said.
    #[inline(always)]
    fn tell<P: Port>(
        &self,
        machine: &mut P::Machine,
        process: &mut Process<P>,
    ) -> Result<(), KernelError> {
        let (space, result) = (&mut process.space, self.wanted.result);
        match self.calls {
            true => user::write_words(machine, space, result, self.arrival.of_reply()),
            false => user::write_words(machine, space, result, self.arrival.of_message()),
        }
    }
}

impl<P: Port> Process<P> {
    /// Who waits for the reply of a token.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when the process owes no such reply.
    #[inline(always)]
    pub fn owed(&self, token: u64) -> Result<Entry, KernelError> {
        let holdings = self.holdings.as_deref();
        holdings.ok_or(KernelError::BadHandle)?.replies.find(token)
    }

    /// Notes that a caller waits for a reply; says the token for it.
    #[inline(always)]
    pub(super) fn owe(&mut self, caller: Entry, serial: u64) -> Result<u64, KernelError> {
        match self.holdings.as_deref_mut() {
            Some(holdings) => holdings.replies.owe(caller, serial),
            None => self
                .holdings
                .insert(Box::default())
                .replies
                .owe(caller, serial),
        }
    }

    /// Uses a token for a reply up.
    #[inline(always)]
    pub(super) fn settle(&mut self, token: u64) -> Option<Entry> {
        self.holdings.as_deref_mut()?.replies.settle(token)
    }

    /// The capability of a token, to pass on; 0 is none.
    pub(super) fn passed(&self, token: u64) -> Option<Passed> {
        if token == 0 {
            return None;
        }
        let capability = self.capabilities.find(token).ok()?;
        let object = capability.object.clone();
        Some((object, capability.rights, capability.node))
    }

    /// Takes the tokens of a message: for a capability that the sender holds,
    /// and for the reply to a caller, with its serial number.
    pub(super) fn take_tokens(
        &mut self,
        tree: &mut Tree,
        capability: Option<Passed>,
        caller: Option<(Entry, u64)>,
        arrival: &mut Arrival,
    ) -> Result<(), KernelError> {
        if caller.is_some() {
            self.holdings.get_or_insert_default().replies.make_room()?;
        }
        if let Some((object, rights, node)) = capability {
            let tokens = &mut self.capabilities;
            let token = tree.insert(self.key, tokens, object, rights, Some(node))?;
            arrival.set_capability(token);
        }
        if let Some((caller, serial)) = caller {
            arrival.set_reply(self.owe(caller, serial)?);
        }
        Ok(())
    }
}

/// A capability that is passed on: what it names, what it allows, its node.
pub(super) type Passed = (
    Object,
    crate::object::capability::Rights,
    crate::object::capability::NodeKey,
);

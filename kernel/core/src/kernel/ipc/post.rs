//! Where a message goes: to the thread that waits for it, or into the queue.

use super::{Parcel, Posted};
use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::object::ipc::{Arrival, Body, EndpointKey, MESSAGE_MAX, Message, SMALL_BYTES, Stage};
use crate::object::memory::Touch;
use crate::object::process::ProcessKey;
use crate::object::thread::ThreadKey;
use crate::object::wait::Entry;
use crate::port::{Machine, PAGE_SIZE, Port};
use crate::user::{self, Side};

/// Share of memory that queued messages may take of the kernel's heap, and its
/// bound in bytes.
const MEMORY_SHARE: u64 = 32;
const MEMORY_MAX: u64 = 16 << 20;

impl<P: Port> Kernel<P> {
    /// Moves a message to the thread that has waited longest, else to the queue.
    pub(super) fn post(
        &mut self,
        running: &mut Running<P>,
        to: Option<EndpointKey>,
        parcel: &Parcel,
        caller: Option<Entry>,
    ) -> Result<Posted, KernelError> {
        let Some(to) = to else {
            return Err(self.refusal(running, parcel, KernelError::NotFound));
        };
        loop {
            let Some(endpoint) = self.ipc.endpoint(to) else {
                return Err(self.refusal(running, parcel, KernelError::NotFound));
            };
            let Some(entry) = endpoint.receivers.front().copied() else {
                break;
            };
            if !self.waits(entry) {
                self.forget_receiver(to);
                continue;
            }
            let taken = self.deposit(running, entry.thread, parcel, caller)?;
            self.forget_receiver(to);
            match taken {
                Ok(process) => return Ok(Posted::Taken(entry.thread, process)),
                Err(_) => self.wake(entry.thread),
            }
        }
        self.queue(running, to, parcel, caller)?;
        Ok(Posted::Queued(to))
    }

    /// Takes the thread out that has waited longest.
    fn forget_receiver(&mut self, endpoint: EndpointKey) {
        if let Some(endpoint) = self.ipc.endpoint(endpoint) {
            endpoint.receivers.pop_front();
        }
    }

    /// Leaves a message or a reply with a thread that waits for it. Inside is
    /// the thread's process, or why the thread cannot take it: its wait is over
    /// in both cases, and it is to be woken.
    ///
    /// # Errors
    /// When the sender's memory cannot be read or memory is full; the thread
    /// waits still.
    pub(in crate::kernel) fn deposit(
        &mut self,
        running: &mut Running<P>,
        thread: ThreadKey,
        parcel: &Parcel,
        caller: Option<Entry>,
    ) -> Result<Result<ProcessKey, KernelError>, KernelError> {
        let Some(thread) = self.threads.get_mut(thread) else {
            return Ok(Err(KernelError::NotFound));
        };
        let receiver = thread.process;
        let Some(exchange) = thread.exchange.as_deref_mut() else {
            return Ok(Err(KernelError::NotFound));
        };
        exchange.arrival = Arrival {
            sender: running.process.id,
            length: parcel.length,
            ..Arrival::default()
        };
        let carried = if parcel.length > exchange.wanted.room {
            Err(KernelError::TooSmall)
        } else if parcel.length == 0 {
            Ok(())
        } else if parcel.length <= SMALL_BYTES as u64 {
            exchange.in_place = false;
            let bytes = &mut exchange.bytes[..parcel.length.min(64) as usize];
            let space = &mut running.process.space;
            user::read(&mut self.machine, space, parcel.address, bytes)?;
            Ok(())
        } else {
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
                Ok(()) => Ok(()),
                Err(Side::Source(error)) => return Err(error),
                Err(Side::Destination(error)) => Err(error),
            }
        };
        let taken = carried.and_then(|()| match (parcel.capability, caller) {
            (0, None) => Ok(()),
            (token, caller) => {
                let passed = running.process.passed(token);
                let caller = caller.map(|caller| (caller, self.ipc.next_serial()));
                let process = match receiver == running.process.key {
                    true => &mut running.process,
                    false => self
                        .processes
                        .get_mut(receiver)
                        .ok_or(KernelError::NotFound)?,
                };
                process.take_tokens(
                    &mut self.capabilities,
                    passed,
                    caller,
                    &mut exchange.arrival,
                )
            }
        });
        exchange.stage = Stage::Done(taken);
        if parcel.capability != 0 && taken.is_ok() {
            let passed = running.process.passed(parcel.capability);
            self.gained(passed.and_then(|(object, ..)| object.endpoint()));
        }
        Ok(taken.map(|()| receiver))
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
        endpoint.ok_or(KernelError::NotFound)?.make_room()
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

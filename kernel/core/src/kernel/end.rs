//! Faults in ring 3, and the end of a process.

use alloc::vec::Vec;

use super::{Flow, Kernel, Running};
use crate::error::KernelError;
use crate::event::Event;
use crate::object::capability::Object;
use crate::object::collect::Ended;
use crate::object::exit::{ExitRef, Exited};
use crate::object::memory::Touch;
use crate::object::process::{Cause, Fault, Gate, Process, ProcessBox, ProcessKey};
use crate::personality;
use crate::port::{Host, Machine, PAGE_SIZE, Port};

/// Invalid opcode: where probes stop.
const INVALID_OPCODE: u64 = 6;
/// Page fault.
const PAGE_FAULT: u64 = 14;
/// Page-fault error code: the access was a store.
const STORE: u64 = 1 << 1;
/// Page-fault error code: the access was an instruction fetch.
const FETCH: u64 = 1 << 4;

impl<P: Port> Kernel<P> {
    /// Ring 3 faulted: a page that its region promises is brought in; anything
    /// else ends the process.
    pub(super) fn fault(&mut self, running: &mut Running<P>) -> Flow {
        let frame = P::Machine::registers(&running.context);
        if let (INVALID_OPCODE, Some(probe)) = (frame.vector, &running.process.probe)
            && probe.stop == frame.rip
            && running.process.threads.first() == Some(&running.thread.key)
        {
            return self.probe_stopped(running);
        }
        let mut fault = Fault {
            vector: frame.vector,
            error: frame.error,
            address: 0,
            rip: frame.rip,
            rsp: frame.rsp,
        };
        if fault.vector == PAGE_FAULT {
            fault.address = self.machine.fault_address();
            let touch = match fault.error {
                error if error & FETCH != 0 => Touch::Execute,
                error if error & STORE != 0 => Touch::Write,
                _ => Touch::Read,
            };
            let present = fault.error & 1 != 0;
            match running
                .process
                .space
                .resolve(&mut self.machine, fault.address, touch)
            {
                // A page that is there may be a copy now.
                Ok((_, changed)) if changed || !present => return Flow::Resume,
                Err(KernelError::NoMemory) => {
                    let status = personality::fault_status(running.process.abi, fault.vector);
                    return running.end(Cause::OutOfMemory, status);
                }
                _ => {}
            }
        }
        let status = personality::fault_status(running.process.abi, fault.vector);
        running.end(Cause::Fault(fault), status)
    }

    /// Ends a process that is not running now; false if there is none.
    pub fn kill(&mut self, key: ProcessKey) -> bool {
        let Some(process) = self.processes.take(key) else {
            return false;
        };
        let status = personality::killed_status(process.abi);
        self.bury_other(process, Cause::Killed, status);
        true
    }

    /// Ends processes and all that came of them, the running one apart.
    pub(crate) fn kill_families(&mut self, of: &[ProcessKey], status: i64) {
        let all = self.processes.iter();
        let mut by_age: Vec<_> = all.map(|(key, it)| (it.number, it.parent, key)).collect();
        by_age.sort_unstable_by_key(|(number, ..)| *number);
        let mut numbers: Vec<u64> = Vec::new();
        // Whoever makes a process is older.
        for (number, parent, key) in by_age {
            if !of.contains(&key) && !numbers.contains(&parent) {
                continue;
            }
            numbers.push(number);
            if let Some(process) = self.processes.take(key) {
                self.bury_other(process, Cause::Killed, status);
            }
        }
    }

    /// Ends the process of that number and, if the host started it, every one
    /// that came of it: what the host ends is over. False if there is none.
    /// Nothing runs now.
    pub fn kill_program(&mut self, number: u64) -> bool {
        let all = self.processes.iter();
        let doomed = all.filter(|(_, it)| it.number == number || it.console == number);
        let doomed: Vec<ProcessKey> = doomed.map(|(key, _)| key).collect();
        for key in &doomed {
            self.kill(*key);
        }
        !doomed.is_empty()
    }

    /// Ends the running process.
    pub(super) fn end(&mut self, running: Running<P>) {
        let Running {
            thread,
            mut process,
            ending,
            ..
        } = running;
        if !self.records.is_empty() {
            self.note_turn(&mut process);
        }
        self.threads.remove(thread.key);
        drop(thread);
        let (cause, status) = ending.expect("only `Running::end` makes a flow that ends");
        self.bury(process, cause, status);
    }

    /// The running thread's turn is over: its time is its process's.
    pub(super) fn note_turn(&self, process: &mut Process<P>) {
        let turn = self.machine.ticks().wrapping_sub(self.dispatched);
        process.spent.running += turn;
    }

    /// Notes the end of a process for whoever collects it, and that it
    /// collects nothing itself any more.
    fn record_end(&mut self, process: &Process<P>, cause: Cause, status: i64) {
        let spent = process.spent;
        let user = spent.running.saturating_sub(spent.calls);
        let ended = Ended {
            cause,
            status,
            user_time: self.machine.nanoseconds(user),
            kernel_time: self.machine.nanoseconds(spent.calls),
            memory: P::Machine::most_owned(process.space.tables()) * PAGE_SIZE,
        };
        // Its record is under the id that its creator was told.
        let id = process.alias.map_or(process.id, |(_, id)| id);
        for entry in self.records.end(id, process.key, ended) {
            self.wake_entry(entry);
        }
        if process.calls == 0 {
            // It never ran, and has neither made nor waited for any.
            return;
        }
        let orphans = self.records.leave(process.key, &process.threads);
        if !orphans.is_empty() {
            self.end_orphans(&orphans);
        }
    }

    /// Processes lost their creator: those that were not started, and that
    /// nobody else has a token for or is being sent one, go.
    #[cold]
    fn end_orphans(&mut self, orphans: &[ProcessKey]) {
        let mut named: Vec<ProcessKey> = self
            .capabilities
            .on_their_way()
            .filter_map(|object| match object {
                Object::Process { key, .. } => Some(*key),
                _ => None,
            })
            .collect();
        for process in self.all_processes() {
            let tokens = process.capabilities.iter();
            named.extend(tokens.filter_map(|token| match token.object {
                Object::Process { key, .. } if key != process.key => Some(key),
                _ => None,
            }));
        }
        for orphan in orphans {
            if self.is_unstarted(*orphan) && !named.contains(orphan) {
                self.kill(*orphan);
            }
        }
    }

    /// A process has ended that did run: whoever waits to reap it has done so.
    fn reapable(&mut self) {
        let mut reaped = false;
        for entry in self.reaper.waiters.take() {
            reaped |= self.wake_entry(entry);
        }
        self.reaper.unreaped |= !reaped;
    }

    /// As [`bury`](Self::bury), of a process that is not the running one.
    pub(super) fn bury_other(&mut self, process: ProcessBox<P>, cause: Cause, status: i64) {
        self.bury(process, cause, status);
        // What the host is told of it waits for the end of the turn, which whoever
        // runs alone may never come to.
        self.slice();
    }

    /// Gives back all that a process has, and says so.
    pub(super) fn bury(&mut self, mut process: ProcessBox<P>, cause: Cause, status: i64) {
        self.processes.remove(process.key);
        if !process.capabilities.is_empty() {
            self.surrender(&mut process);
        }
        for thread in &process.threads {
            if self.loaded == Some(*thread) {
                self.loaded = None;
            }
            // The running thread is out of the table already, and in no queue.
            if let Some(thread) = self.threads.remove(*thread)
                && thread.exchange.is_some()
            {
                self.end_exchange(&thread);
            }
            self.ready.remove(*thread);
            self.timers.cancel(*thread);
            if !self.notes.is_empty() {
                self.notes.forget(*thread);
            }
        }
        if let Some(endpoint) = process.endpoint {
            self.close_endpoint(endpoint);
        }
        if process.holdings.is_some() {
            self.end_holdings(&mut process);
        }
        // Children come and go; the host hears of those that it traces, or that did
        // not simply exit. That an image is none is told to whoever loads it.
        let dull = match cause {
            Cause::LoadFailed => !personality::loads_late(process.abi),
            cause => cause == Cause::Exit,
        };
        let quiet = process.parent != 0 && process.gate != Gate::Watched && dull;
        let dies = !dull && cause != Cause::Killed;
        if dies && process.parent != 0 && process.gate != Gate::Watched {
            // Nobody has told the host yet what that is.
            self.name(&process);
        }
        let event = (!quiet).then(|| Event::Exited {
            number: process.number,
            cause,
            status,
            calls: process.calls,
            records: process.records,
            ran_ticks: self.machine.ticks().wrapping_sub(process.started),
        });
        if !self.records.is_empty() {
            self.record_end(&process, cause, status);
        }
        process.exit.status.set(Some(status));
        self.wake_all(&process.exit.waiters);
        if process.loaded && cause != Cause::LoadFailed {
            self.reapable();
        }
        if !self.slots.is_empty() {
            self.drop_slots(process.number);
        }
        if self.processes.is_empty() {
            // Nobody is left to ask how others ended.
            self.exited = Exited::default();
            self.reaper.unreaped = false;
        } else {
            let (now, exit) = (self.machine.now(), ExitRef::clone(&process.exit));
            let id = (process.abi, process.id);
            self.exited.note(now, id, process.alias, exit);
        }
        let mapped = !self.segments.is_empty() && process.space.maps_objects();
        process.space.release(&mut self.machine);
        if mapped {
            self.segments.sweep();
            self.machine.reap();
        }
        if let Some(event) = event {
            self.host.event(event);
        }
    }
}

//! What one process does to another, or to itself: priority, notes, the end.

use core::mem;

use super::{Flow, Kernel, Running};
use crate::error::KernelError;
use crate::object::note::Note;
use crate::object::process::{Cause, Process, ProcessKey, Spent};
use crate::object::thread::{ThreadKey, Wait};
use crate::personality;
use crate::port::Port;

impl<P: Port> Kernel<P> {
    /// Processes, all but the running one.
    pub(crate) fn all_processes(&self) -> impl Iterator<Item = &Process<P>> {
        self.processes.iter().map(|(_, process)| &**process)
    }

    /// The running process or another, with the machine.
    ///
    /// # Errors
    /// [`KernelError::InvalidArgument`] when it has ended.
    pub(crate) fn either<'a>(
        &'a mut self,
        running: &'a mut Running<P>,
        key: ProcessKey,
    ) -> Result<(&'a mut P::Machine, &'a mut Process<P>), KernelError> {
        let process = if running.process.key == key {
            &mut running.process
        } else {
            let other = self.processes.get_mut(key);
            other.ok_or(KernelError::InvalidArgument)?
        };
        Ok((&mut self.machine, process))
    }

    /// Priority of a process's first thread.
    ///
    /// # Errors
    /// As [`Kernel::either`].
    pub(crate) fn priority_of(
        &mut self,
        running: &mut Running<P>,
        key: ProcessKey,
    ) -> Result<u8, KernelError> {
        let first = self.either(running, key)?.1.threads.first().copied();
        let first = first.ok_or(KernelError::InvalidArgument)?;
        Ok(match self.threads.get(first) {
            Some(thread) => thread.priority,
            None => running.thread.priority,
        })
    }

    /// Gives all threads of a process another priority. It counts at once: who
    /// does this lets others have a turn if they come first now.
    ///
    /// # Errors
    /// As [`Kernel::either`].
    pub(crate) fn set_priority(
        &mut self,
        running: &mut Running<P>,
        key: ProcessKey,
        priority: u8,
    ) -> Result<(), KernelError> {
        let threads = self.either(running, key)?.1.threads.clone();
        for key in threads {
            let thread = match self.threads.get_mut(key) {
                Some(thread) => thread,
                None => &mut running.thread,
            };
            thread.priority = priority;
            if self.ready.contains(key) {
                self.ready.remove(key);
                self.ready.push(key, priority);
            }
        }
        Ok(())
    }

    /// What a process has spent; from now on its calls are timed.
    ///
    /// # Errors
    /// As [`Kernel::either`].
    pub(crate) fn time(
        &mut self,
        running: &mut Running<P>,
        key: ProcessKey,
    ) -> Result<Spent, KernelError> {
        let spent = self.spent_by(running);
        let is_running = running.process.key == key;
        let (_, process) = self.either(running, key)?;
        process.gate = process.gate.timed();
        Ok(if is_running { spent } else { process.spent })
    }

    /// From now on the calls of a process that is not running are timed.
    pub(crate) fn time_calls(&mut self, key: ProcessKey) {
        if let Some(process) = self.processes.get_mut(key) {
            process.gate = process.gate.timed();
        }
    }

    /// Sends a note to a process's first thread. The one that is not running
    /// stops waiting; `kill` ends it.
    ///
    /// # Errors
    /// As [`Kernel::either`], [`Note::new`] and
    /// [`Notes::leave`](crate::object::note::Notes::leave).
    pub(crate) fn send_note(
        &mut self,
        running: &mut Running<P>,
        key: ProcessKey,
        text: &[u8],
    ) -> Result<Flow, KernelError> {
        let (_, process) = self.either(running, key)?;
        let first = process.threads.first().copied();
        let first = first.ok_or(KernelError::InvalidArgument)?;
        let id = personality::process_id(process).unwrap_or(process.id);
        let waits = personality::notes_disturb(process.abi);
        let note = Note::new(first, id, text)?;
        let is_self = first == running.thread.key;
        if text == b"kill" {
            if is_self {
                return Ok(Flow::EndThread);
            }
            self.kill_thread(running, key, first);
        } else if is_self {
            // It runs, so the note is there at once.
            self.log_note(&note);
        } else {
            self.notes.leave(note)?;
            if waits {
                self.disturb(first);
            }
        }
        Ok(Flow::Return(text.len() as u64))
    }

    /// Signals a process's first thread: it goes on if it waits for that, and
    /// otherwise does not wait the next time.
    ///
    /// # Errors
    /// As [`Kernel::either`], and for a process that was not loaded yet.
    pub(crate) fn signal(
        &mut self,
        running: &mut Running<P>,
        key: ProcessKey,
    ) -> Result<(), KernelError> {
        let (_, process) = self.either(running, key)?;
        let first = process.threads.first().filter(|_| process.loaded);
        let first = *first.ok_or(KernelError::InvalidArgument)?;
        let Some(thread) = self.threads.get_mut(first) else {
            running.thread.signalled = true;
            return Ok(());
        };
        let is_told = mem::replace(&mut thread.signalled, true);
        if !is_told && thread.wait == Some(Wait::Pause) {
            self.wake(first);
            self.slice();
        }
        Ok(())
    }

    /// Ends the wait of a thread that is parked in a call.
    fn disturb(&mut self, key: ThreadKey) {
        let Some(thread) = self.threads.get_mut(key) else {
            return;
        };
        let in_call = matches!(
            thread.wait,
            Some(Wait::Sleep | Wait::Retry | Wait::Futex { .. })
        );
        // One that was woken already has what it waited for.
        if in_call && !self.ready.contains(key) {
            thread.interrupted = true;
            self.wake(key);
            self.slice();
        }
    }

    /// Ends a thread that is not the running one; its process ends with its last.
    fn kill_thread(&mut self, running: &mut Running<P>, process: ProcessKey, key: ThreadKey) {
        if running.process.key == process {
            // The running thread is one more.
            return self.drop_thread(&mut running.process, key);
        }
        let Some(mut other) = self.processes.take(process) else {
            return;
        };
        if other.threads.len() == 1 {
            let status = personality::killed_status(other.abi);
            return self.bury_other(other, Cause::Killed, status);
        }
        self.drop_thread(&mut other, key);
        self.processes.put(process, other);
    }

    fn drop_thread(&mut self, process: &mut Process<P>, key: ThreadKey) {
        let Some(thread) = self.threads.take(key) else {
            return;
        };
        self.ready.remove(key);
        self.timers.cancel(key);
        if let Some(Wait::Futex { address }) = thread.wait {
            process.futexes.leave(address, key);
        }
        if thread.exchange.is_some() {
            self.end_exchange(&thread);
        }
        self.take_out(process, &thread);
    }

    /// Brings the notes of a thread that is about to run.
    #[inline(always)]
    pub(super) fn deliver_notes(&mut self, thread: ThreadKey) {
        if !self.notes.is_empty() {
            self.log_notes(thread);
        }
    }

    #[cold]
    fn log_notes(&mut self, thread: ThreadKey) {
        while let Some(note) = self.notes.take(thread) {
            self.log_note(&note);
        }
    }

    fn log_note(&mut self, note: &Note) {
        let mut line = alloc::format!("note to process {}: ", note.process).into_bytes();
        let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        line.extend(
            note.text()
                .iter()
                .map(|byte| if printable(byte) { *byte } else { b'?' }),
        );
        line.push(b'\n');
        self.log(&line);
    }
}

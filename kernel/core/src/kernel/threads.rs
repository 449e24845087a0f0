//! More threads of a process, and the end of one.

use alloc::boxed::Box;

use super::{Flow, Kernel, Running};
use crate::error::KernelError;
use crate::frame::TrapFrame;
use crate::object::process::{Cause, Process};
use crate::object::thread::Thread;
use crate::port::{Machine, Port};

impl<P: Port> Running<P> {
    /// Ends the thread, and leaves its exit code to whoever joins it.
    pub(crate) fn end_thread(&mut self, code: i32) -> Flow {
        self.ending = Some((Cause::Exit, code.into()));
        Flow::EndThread
    }
}

impl<P: Port> Kernel<P> {
    /// Makes another thread of the running process, with the running thread's
    /// priority; it runs when its turn comes.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub(crate) fn add_thread(
        &mut self,
        running: &mut Running<P>,
        id: u64,
        prepare: impl FnOnce(&mut TrapFrame),
    ) -> Result<(), KernelError> {
        let process = &mut running.process;
        if self.machine.heap_low() || process.threads.try_reserve(1).is_err() {
            return Err(KernelError::NoMemory);
        }
        self.make_room_for_thread()?;
        let key = self.threads.reserve();
        let place = process.threads.len();
        let mut thread = Box::new(Thread::new(key, process.key, id, place));
        thread.priority = running.thread.priority;
        let mut context = self.machine.context();
        P::Machine::name(&mut context, thread.owner(process));
        prepare(P::Machine::registers_mut(&mut context));
        thread.context = Some(context);
        process.threads.push(key);
        self.ready.push(key, thread.priority);
        self.threads.put(key, thread);
        // Whoever runs now was alone perhaps, and had no end of its slice.
        self.slice();
        Ok(())
    }

    /// An id for a thread, where all processes' threads share one space of them.
    pub(crate) fn thread_id(&mut self) -> u64 {
        self.ids.thread()
    }

    /// Makes sure that all tables have a place for one more thread: several of
    /// them double at once.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    #[inline(always)]
    pub(super) fn make_room_for_thread(&mut self) -> Result<(), KernelError> {
        match self.threads.is_full() {
            true => self.grow_thread_tables(),
            false => Ok(()),
        }
    }

    #[cold]
    fn grow_thread_tables(&mut self) -> Result<(), KernelError> {
        let threads = self.threads.make_room()?;
        match self.ready.make_room(threads) && self.timers.make_room(threads) {
            true => Ok(()),
            false => Err(KernelError::NoMemory),
        }
    }

    /// A thread of the running process has that id.
    pub(crate) fn has_thread(&self, running: &Running<P>, id: u64) -> bool {
        let mut others = running.process.threads.iter();
        running.thread.id == id
            || others.any(|key| self.threads.get(*key).is_some_and(|thread| thread.id == id))
    }

    /// Ends the running thread; its process ends with its last one.
    pub(super) fn end_thread(&mut self, running: Running<P>) {
        let Running {
            thread,
            mut process,
            ending,
            ..
        } = running;
        self.note_turn(&mut process);
        if process.threads.len() == 1 {
            let (cause, status) = ending.unwrap_or((Cause::Exit, 0));
            self.threads.remove(thread.key);
            return self.bury(process, cause, status);
        }
        self.take_out(&mut process, &thread);
        let code = ending.and_then(|(_, status)| i32::try_from(status).ok());
        let joins = code.map(|code| process.joins.get_or_insert_default().end(thread.id, code));
        self.processes.put(process.key, process);
        if let Some(joiner) = joins.flatten() {
            self.wake_entry(joiner);
        }
    }

    /// Takes a thread, which is out of its table, out of its process.
    pub(super) fn take_out(&mut self, process: &mut Process<P>, thread: &Thread<P>) {
        if self.loaded == Some(thread.key) {
            self.loaded = None;
        }
        process.threads.swap_remove(thread.place);
        let moved = process.threads.get(thread.place);
        if let Some(moved) = moved.and_then(|key| self.threads.get_mut(*key)) {
            moved.place = thread.place;
        }
        self.threads.remove(thread.key);
        self.notes.forget(thread.key);
    }
}

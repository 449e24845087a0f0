//! From one thread to the next without a turn of the loop around the kernel.
//!
//! A thread that yields, parks or hands over in a system call leaves nothing
//! for that loop to do: interrupts come in ring 3 only. What ends a turn
//! otherwise (an interrupt, an end) goes by way of [`Kernel::dispatch`].

use alloc::boxed::Box;

use super::{Flow, Kernel, Running};
use crate::object::process::Process;
use crate::object::thread::{Thread, ThreadKey};
use crate::port::{Machine, Port};
use crate::{personality, trace};

impl<P: Port> Kernel<P> {
    /// Goes on with a thread that has its turn: with the call that it waited
    /// in, if that is so. [`Flow::Resume`] is ring 3.
    #[inline(never)]
    pub(super) fn resume(&mut self, running: &mut Running<P>) -> Flow {
        self.resume_here(running)
    }

    #[inline(always)]
    fn resume_here(&mut self, running: &mut Running<P>) -> Flow {
        let Some(wait) = running.thread.wait.take() else {
            return Flow::Resume;
        };
        match personality::resume(self, running, wait) {
            Flow::Return(value) => {
                trace::end(self, running, Some(value));
                P::Machine::registers_mut(&mut running.context).rax = value;
                Flow::Resume
            }
            flow => flow,
        }
    }

    /// Goes from a thread that does not go on now to the next one, and on with
    /// that: [`Flow::Resume`]. Any other flow is for [`Kernel::leave`] and
    /// [`Kernel::dispatch`].
    #[inline(never)]
    pub(super) fn pass_on(&mut self, running: &mut Running<P>, mut flow: Flow) -> Flow {
        loop {
            let Some(next) = self.next_after(running, flow) else {
                return flow;
            };
            if next != running.thread.key {
                self.wake_hung_up();
                if !self.switch(running, next) {
                    // That thread is gone: the loop finds another one.
                    self.ready.remove(running.thread.key);
                    return flow;
                }
            }
            flow = self.resume_here(running);
            if flow == Flow::Resume {
                return flow;
            }
        }
    }

    /// Who runs after a thread that does not go on now, which may be itself.
    #[inline(always)]
    fn next_after(&mut self, running: &mut Running<P>, flow: Flow) -> Option<ThreadKey> {
        match flow {
            Flow::HandOver => self.next.take(),
            Flow::Park => self.ready.pop(),
            Flow::ParkUntil(deadline) => {
                let next = self.ready.pop()?;
                self.timers.set(deadline, running.thread.key);
                self.arm_by(deadline);
                Some(next)
            }
            Flow::Yield(value) => {
                P::Machine::registers_mut(&mut running.context).rax = value;
                let (key, priority) = (running.thread.key, running.thread.priority);
                Some(self.ready.exchange(key, priority))
            }
            _ => None,
        }
    }

    /// Puts the running thread away, and makes another one the running one.
    #[inline(always)]
    fn switch(&mut self, running: &mut Running<P>, key: ThreadKey) -> bool {
        let Some(thread) = self.threads.take(key) else {
            return false;
        };
        let mut process = None;
        if thread.process != running.process.key {
            process = self.processes.take(thread.process);
            if process.is_none() {
                self.threads.put(key, thread);
                return false;
            }
        }
        self.put_on(running, thread, process);
        if !self.ready.is_empty() {
            self.slice();
        }
        true
    }

    /// Puts the running thread away, and makes another one the running one,
    /// whose process is taken out too if it is another.
    #[inline(always)]
    pub(super) fn put_on(
        &mut self,
        running: &mut Running<P>,
        mut thread: Box<Thread<P>>,
        process: Option<Box<Process<P>>>,
    ) {
        let key = thread.key;
        let now = self.machine.ticks();
        running.process.spent.running += now.wrapping_sub(self.dispatched);
        self.dispatched = now;
        if let Some(process) = process {
            let previous = core::mem::replace(&mut running.process, process);
            self.processes.put_back(previous.key, previous);
        }
        let context = thread
            .context
            .take()
            .expect("a thread that is not running keeps its registers");
        running.thread_id = thread.id;
        let mut previous = core::mem::replace(&mut running.thread, thread);
        let mut registers = core::mem::replace(&mut running.context, context);
        let tables = running.process.space.tables();
        self.machine
            .switch(Some(&mut registers), &running.context, tables);
        // As in a table: there are none.
        core::mem::forget(previous.context.replace(registers));
        self.threads.put_back(previous.key, previous);
        self.deliver_notes(key);
    }
}

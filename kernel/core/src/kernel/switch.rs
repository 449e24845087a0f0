//! From one thread to the next without a turn of the loop around the kernel.
//!
//! A thread that yields, parks or hands over in a system call leaves nothing
//! for that loop to do: interrupts come in ring 3 only. What ends a turn
//! otherwise (an interrupt, an end) goes by way of [`Kernel::dispatch`].

use super::{Flow, Kernel, Running};
use crate::object::thread::ThreadKey;
use crate::port::{Host, Machine, Port};

impl<P: Port> Kernel<P> {
    /// Goes from a thread that does not go on now to the next one; false when
    /// that is for [`Kernel::leave`] and [`Kernel::dispatch`] to do.
    #[inline(never)]
    pub(super) fn pass_on(&mut self, running: &mut Running<P>, flow: Flow) -> bool {
        let next = match flow {
            Flow::Yield(value) => {
                P::Machine::registers_mut(&mut running.context).rax = value;
                let (key, priority) = (running.thread.key, running.thread.priority);
                match self.ready.exchange(key, priority) {
                    // Nobody else could run.
                    next if next == key => return true,
                    next => next,
                }
            }
            Flow::HandOver => match self.next.take() {
                Some(next) => next,
                None => return false,
            },
            Flow::Park | Flow::ParkUntil(_) => match self.ready.pop() {
                Some(next) => next,
                None => return false,
            },
            _ => return false,
        };
        if let Flow::ParkUntil(deadline) = flow {
            self.timers.set(deadline, running.thread.key);
            self.arm_by(deadline);
        }
        self.wake_hung_up();
        let switched = self.switch(running, next);
        if !switched {
            // That thread is gone: the loop finds another one.
            self.ready.remove(running.thread.key);
        }
        switched
    }

    /// Puts the running thread away, and makes another one the running one.
    #[inline(always)]
    fn switch(&mut self, running: &mut Running<P>, key: ThreadKey) -> bool {
        let Some(mut thread) = self.threads.take(key) else {
            return false;
        };
        let now = self.machine.ticks();
        running.process.spent.running += now.wrapping_sub(self.dispatched);
        self.dispatched = now;
        let other = thread.process != running.process.key;
        if other {
            let Some(process) = self.processes.take(thread.process) else {
                self.threads.put(key, thread);
                return false;
            };
            let previous = core::mem::replace(&mut running.process, process);
            self.processes.put(previous.key, previous);
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
        self.loaded = Some(key);
        previous.context = Some(registers);
        self.threads.put(previous.key, previous);
        if !self.ready.is_empty() {
            self.slice();
        }
        self.deliver_notes(key);
        let process = &running.process;
        self.host
            .runs(process.number, running.thread.id, process.abi);
        true
    }
}

//! Who goes on: waking parked threads, and the timer.

use super::{Flow, Kernel, Running};
use crate::object::thread::{ThreadKey, Wait};
use crate::object::wait::{Entry, WaitQueue};
use crate::port::{Machine, Port};
use crate::schedule::SLICE;

impl<P: Port> Kernel<P> {
    /// Wakes everyone who waits in a queue: they look again.
    pub fn wake_all(&mut self, queue: &WaitQueue) {
        if queue.is_empty() {
            return;
        }
        for entry in queue.take() {
            self.wake_entry(entry);
        }
    }

    /// As [`wake_all`](Self::wake_all), while nothing runs: whoever is dispatched
    /// gets an end of its slice then, if others could run too.
    pub(crate) fn wake_all_between_turns(&mut self, queue: &WaitQueue) {
        for entry in queue.take() {
            if self.waits(entry) {
                self.wake(entry.thread);
            }
        }
    }

    /// Wakes the thread of an entry, unless it has gone on for another reason.
    pub(crate) fn wake_entry(&mut self, entry: Entry) -> bool {
        let waits = self.waits(entry);
        if waits {
            self.wake(entry.thread);
            // Whoever runs now was alone perhaps, and had no end of its slice.
            self.slice();
        }
        waits
    }

    /// The thread of an entry waits still: it has not gone on for another reason.
    pub(super) fn waits(&self, entry: Entry) -> bool {
        let thread = self.threads.get(entry.thread);
        thread.is_some_and(|thread| thread.waits(entry.wait))
    }

    /// Makes a parked thread run again; its wait says how it goes on.
    pub(super) fn wake(&mut self, key: ThreadKey) {
        if let Some(thread) = self.threads.get_mut(key) {
            let priority = thread.end_wait();
            self.timers.cancel(key);
            self.ready.push(key, priority);
        }
    }

    /// The timer fired: wakes whoever it was for, and sets it again.
    pub fn timer_fired(&mut self) {
        self.armed = None;
        self.sliced = false;
        let now = self.machine.now();
        while let Some(key) = self.timers.expired(now) {
            if let Some(thread) = self.threads.get_mut(key) {
                // A sleep has no other end.
                thread.timed_out = thread.wait != Some(Wait::Sleep);
                if thread.wait == Some(Wait::Exchange) {
                    self.give_up(key);
                }
            }
            self.wake(key);
        }
        if let Some(deadline) = self.timers.next() {
            self.arm(deadline);
        }
        self.expire_shares();
    }

    /// Lets others have a turn in the middle of a call that takes long: it is
    /// made again, and finds in `Thread::done` how far it has come.
    pub(crate) fn go_on_later(&mut self, running: &mut Running<P>, done: u64) -> Flow {
        running.thread.done = done;
        running.thread.park(Wait::Retry);
        self.long = true;
        Flow::Preempt
    }

    /// A call took long: interrupts may wait that are nothing to whoever runs
    /// next. Says so once.
    pub fn took_long(&mut self) -> bool {
        core::mem::take(&mut self.long)
    }

    /// The timer would have fired, were interrupts let in: a slice is over, or
    /// a sleep.
    pub(crate) fn is_due(&self) -> bool {
        self.armed.is_some_and(|armed| armed <= self.machine.now())
    }

    /// Makes sure that the running thread's slice has an end.
    #[inline(always)]
    pub(super) fn slice(&mut self) {
        if !self.sliced {
            self.begin_slice();
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_slice(&mut self) {
        self.sliced = true;
        // A timer set for a later sleeper is no end of this slice.
        self.arm_by(self.machine.now() + SLICE);
    }

    /// Makes sure that the timer fires by then.
    pub(crate) fn arm_by(&mut self, deadline: u64) {
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.arm(deadline);
        }
    }

    pub(super) fn arm(&mut self, deadline: u64) {
        self.armed = Some(deadline);
        self.machine.arm_timer(Some(deadline));
    }
}

//! Who runs next: priorities, round robin within one, and timers.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::object::thread::ThreadKey;

/// Priorities, as PatchworkOS counts them (specs/patchwork.md §3).
pub const PRIORITIES: usize = 64;
/// Priority of a new thread.
pub const PRIORITY_DEFAULT: u8 = 16;
/// Nanoseconds a thread runs before another of its priority has a turn.
pub const SLICE: u64 = 5_000_000;

/// A queue's ends; links between are in [`RunQueue::next`].
#[derive(Clone, Copy, Default)]
struct Level {
    /// The thread's index and one; 0 is none.
    first: u32,
    last: u32,
}

/// Threads that could run, by priority, first come first served within one.
#[derive(Default)]
pub struct RunQueue {
    /// As many as the highest priority that was ever queued needs.
    levels: Vec<Level>,
    /// Bit n: level n is not empty.
    filled: u64,
    /// For the thread of that index: its key, and who is behind it.
    links: Vec<Link>,
}

/// A thread's place in its queue.
#[derive(Clone, Copy)]
struct Link {
    thread: ThreadKey,
    /// The next thread's index and one; 0 is none.
    next: u32,
}

impl RunQueue {
    /// Nothing could run.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Appends a thread, which is in no queue, to the queue of its priority.
    pub fn push(&mut self, thread: ThreadKey, priority: u8) {
        let index = thread.index();
        let link = Link { thread, next: 0 };
        if self.links.len() <= index as usize {
            self.links.resize(index as usize + 1, link);
        }
        self.links[index as usize] = link;
        let priority = usize::from(priority) % PRIORITIES;
        if self.levels.len() <= priority {
            self.levels.resize(priority + 1, Level::default());
        }
        let level = &mut self.levels[priority];
        match core::mem::replace(&mut level.last, index + 1) {
            0 => level.first = index + 1,
            last => self.links[last as usize - 1].next = index + 1,
        }
        self.filled |= 1 << priority;
    }

    /// Takes the thread that has waited longest of the highest priority.
    pub fn pop(&mut self) -> Option<ThreadKey> {
        let priority = self.filled.checked_ilog2()?;
        let level = &mut self.levels[priority as usize];
        let link = self.links[level.first as usize - 1];
        level.first = link.next;
        if link.next == 0 {
            level.last = 0;
            self.filled &= !(1 << priority);
        }
        Some(link.thread)
    }

    /// Takes a thread of that priority out, if it is queued. A thread that ends
    /// must not stay: its index is the next thread's, and that would be linked twice.
    pub fn remove(&mut self, thread: ThreadKey, priority: u8) {
        let priority = usize::from(priority) % PRIORITIES;
        let Some(level) = self.levels.get_mut(priority) else {
            return;
        };
        let (mut before, mut at) = (0, level.first);
        while at != 0 {
            let link = self.links[at as usize - 1];
            if link.thread != thread {
                (before, at) = (at, link.next);
                continue;
            }
            match before {
                0 => level.first = link.next,
                before => self.links[before as usize - 1].next = link.next,
            }
            if level.last == at {
                level.last = before;
            }
            if level.first == 0 {
                self.filled &= !(1 << priority);
            }
            return;
        }
    }
}

/// A time at which a parked thread wakes, if it still is in that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alarm {
    deadline: u64,
    thread: ThreadKey,
    wait: u32,
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        let order = |alarm: &Self| (alarm.deadline, alarm.thread.index(), alarm.wait);
        order(self).cmp(&order(other))
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Times at which parked threads wake.
#[derive(Default)]
pub struct Timers {
    alarms: BinaryHeap<Reverse<Alarm>>,
}

impl Timers {
    /// Wakes `thread` at `deadline` out of its wait of that number.
    pub fn add(&mut self, deadline: u64, thread: ThreadKey, wait: u32) {
        self.alarms.push(Reverse(Alarm {
            deadline,
            thread,
            wait,
        }));
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<u64> {
        Some(self.alarms.peek()?.0.deadline)
    }

    /// Takes an alarm whose time has come: the thread and the number of its wait.
    pub fn expired(&mut self, now: u64) -> Option<(ThreadKey, u32)> {
        if self.next()? > now {
            return None;
        }
        let Reverse(alarm) = self.alarms.pop()?;
        Some((alarm.thread, alarm.wait))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::object::thread::ThreadMark;
    use crate::slab::Table;

    fn keys(count: usize) -> Vec<ThreadKey> {
        let mut slab: Table<ThreadMark, ()> = Table::default();
        (0..count).map(|_| slab.reserve()).collect()
    }

    proptest! {
        #[test]
        fn the_queue_is_first_come_first_served_by_priority(
            steps in proptest::collection::vec((0..20usize, 0..64u8, 0..5u8), 0..200),
        ) {
            let keys = keys(20);
            let mut queue = RunQueue::default();
            let mut model: Vec<VecDeque<ThreadKey>> = vec![VecDeque::new(); PRIORITIES];
            for (thread, priority, step) in steps {
                let key = keys[thread];
                let queued = model.iter().position(|level| level.contains(&key));
                if step < 2 {
                    if queued.is_none() {
                        queue.push(key, priority);
                        model[usize::from(priority)].push_back(key);
                    }
                } else if step == 2 {
                    let level = queued.unwrap_or(priority.into());
                    queue.remove(key, u8::try_from(level).unwrap());
                    model[level].retain(|queued| *queued != key);
                } else {
                    let expected = model.iter_mut().rev().find_map(VecDeque::pop_front);
                    prop_assert_eq!(queue.pop(), expected);
                }
                prop_assert_eq!(queue.is_empty(), model.iter().all(VecDeque::is_empty));
            }
        }

        #[test]
        fn alarms_come_in_order_and_never_early(deadlines in proptest::collection::vec(0..100u64, 0..50)) {
            let key = keys(1)[0];
            let mut timers = Timers::default();
            for deadline in &deadlines {
                timers.add(*deadline, key, 0);
            }
            let mut fired = 0;
            for now in 0..=100 {
                while timers.expired(now).is_some() {
                    fired += 1;
                }
                prop_assert_eq!(fired, deadlines.iter().filter(|deadline| **deadline <= now).count());
            }
        }
    }
}

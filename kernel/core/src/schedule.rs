//! Who runs next: priorities, round robin within one, and timers.

use alloc::vec::Vec;

use crate::object::thread::ThreadKey;

/// Priorities, as PatchworkOS counts them (specs/patchwork.md §3), and their bits.
pub const PRIORITIES: usize = 64;
const PRIORITY_MASK: u8 = 63;
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
    /// The only thread that could run, and its priority: all levels are empty.
    pub(crate) only: Option<(ThreadKey, u8)>,
    /// As many as the highest priority that was ever queued needs.
    levels: Vec<Level>,
    /// Bit n: level n is not empty.
    filled: u64,
    /// Threads in all levels.
    queued: usize,
    /// For the thread of that index: its key, and who is behind it.
    links: Vec<Link>,
}

/// A thread's place in its queue.
#[derive(Clone, Copy)]
struct Link {
    thread: ThreadKey,
    /// The threads before and behind it: index and one; 0 is none.
    previous: u32,
    next: u32,
    /// Its queue, while it is in one.
    level: Option<u8>,
}

impl RunQueue {
    /// Makes room for threads of so many indices; false when memory is out.
    pub fn make_room(&mut self, threads: usize) -> bool {
        let more = threads.saturating_sub(self.links.len());
        self.links.try_reserve(more).is_ok()
    }

    /// Nothing could run.
    pub fn is_empty(&self) -> bool {
        self.only.is_none() && self.filled == 0
    }

    /// Some thread of a higher priority could run.
    pub fn is_above(&self, priority: u8) -> bool {
        match self.only {
            Some((_, only)) => only > priority,
            None => self.filled >> (priority & PRIORITY_MASK) > 1,
        }
    }

    /// Appends a thread, which is in no queue, to the queue of its priority.
    #[inline]
    pub fn push(&mut self, thread: ThreadKey, priority: u8) {
        debug_assert!(!self.contains(thread), "it is queued already");
        if self.is_empty() {
            self.only = Some((thread, priority));
        } else {
            self.append(thread, priority);
        }
    }

    /// Appends a thread, and takes the first one, which may be the same.
    #[inline]
    pub fn exchange(&mut self, thread: ThreadKey, priority: u8) -> ThreadKey {
        match self.only {
            None if self.filled == 0 => thread,
            Some((only, above)) if above >= priority => {
                self.only = Some((thread, priority));
                only
            }
            Some(_) => thread,
            None => {
                self.append(thread, priority);
                self.pop_first().unwrap_or(thread)
            }
        }
    }

    #[inline(never)]
    fn append(&mut self, thread: ThreadKey, priority: u8) {
        if let Some((first, priority)) = self.only.take() {
            self.append(first, priority);
        }
        let index = thread.index();
        let priority = priority & PRIORITY_MASK;
        let mut link = Link {
            thread,
            previous: 0,
            next: 0,
            level: Some(priority),
        };
        if self.levels.len() <= usize::from(priority) {
            self.levels
                .resize(usize::from(priority) + 1, Level::default());
        }
        let level = &mut self.levels[usize::from(priority)];
        link.previous = core::mem::replace(&mut level.last, index + 1);
        if self.links.len() <= index as usize {
            self.links.resize(
                index as usize + 1,
                Link {
                    level: None,
                    ..link
                },
            );
        }
        self.links[index as usize] = link;
        self.queued += 1;
        match link.previous {
            0 => level.first = index + 1,
            last => self.links[last as usize - 1].next = index + 1,
        }
        self.filled |= 1 << priority;
    }

    /// Takes the thread that has waited longest of the highest priority.
    #[inline]
    pub fn pop(&mut self) -> Option<ThreadKey> {
        match self.only.take() {
            Some((thread, _)) => Some(thread),
            None if self.filled == 0 => None,
            None => self.pop_first(),
        }
    }

    #[inline(never)]
    fn pop_first(&mut self) -> Option<ThreadKey> {
        let first = self.take_first()?.0;
        if self.queued == 1 {
            self.only = self.take_first();
        }
        Some(first)
    }

    /// Takes the first thread of the levels, and says its priority.
    fn take_first(&mut self) -> Option<(ThreadKey, u8)> {
        let priority = self.filled.checked_ilog2()?;
        let level = &mut self.levels[priority as usize];
        let link = &mut self.links[level.first as usize - 1];
        link.level = None;
        let (thread, next) = (link.thread, link.next);
        level.first = next;
        match next {
            0 => {
                level.last = 0;
                self.filled &= !(1 << priority);
            }
            next => self.links[next as usize - 1].previous = 0,
        }
        self.queued -= 1;
        // There are fewer levels than a byte has values.
        Some((thread, u8::try_from(priority).unwrap_or(PRIORITY_MASK)))
    }

    /// A thread is queued.
    pub fn contains(&self, thread: ThreadKey) -> bool {
        let link = self.links.get(thread.index() as usize);
        self.only.is_some_and(|(only, _)| only == thread)
            || link.is_some_and(|link| link.thread == thread && link.level.is_some())
    }

    /// Takes a thread out, if it is queued. A thread that ends must not stay:
    /// its index is the next thread's, and that would be linked twice.
    pub fn remove(&mut self, thread: ThreadKey) {
        if self.only.is_some_and(|(only, _)| only == thread) {
            self.only = None;
            return;
        }
        let Some(link) = self.links.get_mut(thread.index() as usize) else {
            return;
        };
        if link.thread != thread {
            return;
        }
        let Some(priority) = link.level.take() else {
            return;
        };
        let Link { previous, next, .. } = *link;
        self.queued -= 1;
        let level = &mut self.levels[usize::from(priority)];
        match previous {
            0 => level.first = next,
            previous => self.links[previous as usize - 1].next = next,
        }
        match next {
            0 => level.last = previous,
            next => self.links[next as usize - 1].previous = previous,
        }
        if level.first == 0 {
            self.filled &= !(1 << priority);
        }
    }
}

/// A time at which a parked thread wakes.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    deadline: u64,
    thread: ThreadKey,
}

/// Times at which parked threads wake: at most one for each thread, so that
/// waits which end early leave nothing behind.
#[derive(Default)]
pub struct Timers {
    /// A binary heap, earliest first.
    alarms: Vec<Alarm>,
    /// For the thread of that index: its alarm's index and one; 0 is none.
    places: Vec<u32>,
}

impl Timers {
    /// Makes room for threads of so many indices; false when memory is out.
    pub fn make_room(&mut self, threads: usize) -> bool {
        let more = |length| threads.saturating_sub(length);
        let alarms = self.alarms.try_reserve(more(self.alarms.len()));
        let places = self.places.try_reserve(more(self.places.len()));
        alarms.and(places).is_ok()
    }

    /// Wakes `thread` at `deadline`, and at no other time.
    pub fn set(&mut self, deadline: u64, thread: ThreadKey) {
        self.cancel(thread);
        let index = thread.index() as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, 0);
        }
        self.alarms.push(Alarm { deadline, thread });
        self.rise(self.alarms.len() - 1);
    }

    /// Does not wake `thread` any more.
    #[inline(always)]
    pub fn cancel(&mut self, thread: ThreadKey) {
        match self.places.get(thread.index() as usize) {
            None | Some(0) => {}
            Some(place) => self.remove(*place as usize - 1),
        }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<u64> {
        Some(self.alarms.first()?.deadline)
    }

    /// Takes a thread whose time has come.
    pub fn expired(&mut self, now: u64) -> Option<ThreadKey> {
        let first = *self.alarms.first()?;
        if first.deadline > now {
            return None;
        }
        self.remove(0);
        Some(first.thread)
    }

    fn remove(&mut self, at: usize) {
        let gone = self.alarms.swap_remove(at);
        self.places[gone.thread.index() as usize] = 0;
        if at < self.alarms.len() {
            self.sink(at);
            self.rise(at);
        }
    }

    /// Moves the alarm at `at` towards the root as far as it belongs.
    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.alarms[parent].deadline <= self.alarms[at].deadline {
                break;
            }
            self.alarms.swap(parent, at);
            self.note(at);
            at = parent;
        }
        self.note(at);
    }

    /// Moves the alarm at `at` away from the root as far as it belongs.
    fn sink(&mut self, mut at: usize) {
        loop {
            let children = (2 * at + 1..2 * at + 3).filter(|child| *child < self.alarms.len());
            let Some(least) = children.min_by_key(|child| self.alarms[*child].deadline) else {
                break;
            };
            if self.alarms[at].deadline <= self.alarms[least].deadline {
                break;
            }
            self.alarms.swap(at, least);
            self.note(at);
            at = least;
        }
        self.note(at);
    }

    /// Notes where an alarm is.
    fn note(&mut self, at: usize) {
        let index = self.alarms[at].thread.index() as usize;
        // There are fewer alarms than thread indices, which are 32 bits wide.
        self.places[index] = u32::try_from(at + 1).unwrap_or(u32::MAX);
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
                } else if step == 4 && queued.is_none() {
                    model[usize::from(priority)].push_back(key);
                    let expected = model.iter_mut().rev().find_map(VecDeque::pop_front);
                    prop_assert_eq!(Some(queue.exchange(key, priority)), expected);
                } else if step == 2 {
                    queue.remove(key);
                    for level in &mut model {
                        level.retain(|queued| *queued != key);
                    }
                } else {
                    let expected = model.iter_mut().rev().find_map(VecDeque::pop_front);
                    prop_assert_eq!(queue.pop(), expected);
                }
                for key in &keys {
                    let queued = model.iter().any(|level| level.contains(key));
                    prop_assert_eq!(queue.contains(*key), queued);
                }
                prop_assert_eq!(queue.is_empty(), model.iter().all(VecDeque::is_empty));
            }
        }

        #[test]
        fn alarms_come_in_order_and_never_early(
            steps in proptest::collection::vec((0..20usize, 0..100u64, 0..4u8), 0..100),
        ) {
            let keys = keys(20);
            let mut timers = Timers::default();
            let mut model = [None; 20];
            for (thread, deadline, step) in steps {
                if step == 0 {
                    timers.cancel(keys[thread]);
                    model[thread] = None;
                } else {
                    timers.set(deadline, keys[thread]);
                    model[thread] = Some(deadline);
                }
                prop_assert_eq!(timers.next(), model.iter().flatten().min().copied());
            }
            for now in 0..=100 {
                while let Some(thread) = timers.expired(now) {
                    let index = keys.iter().position(|key| *key == thread).unwrap();
                    prop_assert_eq!(model[index].take(), Some(now));
                }
            }
            prop_assert_eq!(model, [None; 20]);
        }
    }
}

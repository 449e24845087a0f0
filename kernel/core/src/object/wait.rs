//! Wait queues: threads that wait for something to change.
//!
//! An object keeps a queue for each thing that can be waited for. A call that
//! cannot go on enters its thread there and parks it; whoever changes the
//! object wakes the queue, and every thread in it looks again. Entries are not
//! removed when a thread goes on for another reason: their number tells.

use alloc::vec::{self, Vec};
use core::cell::{Cell, RefCell};

use crate::object::thread::ThreadKey;

/// Threads that wait for one thing.
#[derive(Debug, Default)]
pub struct WaitQueue {
    /// The first of them; there is seldom another one, and this needs no heap.
    first: Cell<Option<Entry>>,
    /// The others: none without a first one.
    rest: RefCell<Vec<Entry>>,
}

/// A thread, and which of its waits this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The thread.
    pub thread: ThreadKey,
    /// Number of its wait; another number means that it no longer waits here.
    pub wait: u32,
}

/// As long as there are no more, each new entry looks at all of them.
const FEW: usize = 8;

impl WaitQueue {
    /// Enters a thread.
    #[inline]
    pub fn enter(&self, entry: Entry) {
        match self.first.get() {
            None => self.first.set(Some(entry)),
            Some(first) => self.enter_behind(first, entry),
        }
    }

    #[inline(never)]
    fn enter_behind(&self, first: Entry, entry: Entry) {
        let mut rest = self.rest.borrow_mut();
        if rest.len() < FEW {
            // By index: a thread that is gone must not stay here for ever.
            let is_same = |other: &Entry| other.thread.index() == entry.thread.index();
            rest.retain(|other| !is_same(other));
            if is_same(&first) {
                if rest.is_empty() {
                    return self.first.set(Some(entry));
                }
                self.first.set(Some(rest.remove(0)));
            }
        } else if rest.len() == rest.capacity() {
            keep_last(&mut rest);
        }
        rest.push(entry);
    }

    /// Takes everyone who waits, first come first.
    #[inline]
    pub fn take(&self) -> Taken {
        Taken {
            first: self.first.take(),
            rest: self.rest.take().into_iter(),
        }
    }

    /// Nobody has entered since the queue was last woken.
    pub fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }
}

/// Everyone who waited in a queue, first come first.
#[derive(Debug, Default)]
pub struct Taken {
    first: Option<Entry>,
    rest: vec::IntoIter<Entry>,
}

impl Iterator for Taken {
    type Item = Entry;

    #[inline]
    fn next(&mut self) -> Option<Entry> {
        self.first.take().or_else(|| self.rest.next())
    }
}

/// Drops every entry but the last one of each thread: no more are left than
/// there are threads.
fn keep_last(entries: &mut Vec<Entry>) {
    let mut places: Vec<usize> = (0..entries.len()).collect();
    places.sort_unstable_by_key(|place| (entries[*place].thread.index(), *place));
    let mut last = alloc::vec![true; entries.len()];
    for pair in places.windows(2) {
        last[pair[0]] = entries[pair[0]].thread.index() != entries[pair[1]].thread.index();
    }
    let mut last = last.into_iter();
    entries.retain(|_| last.next().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::object::thread::ThreadMark;
    use crate::slab::Table;

    proptest! {
        /// A queue is a list in which every thread has one place: that of its last entry.
        #[test]
        fn who_entered_last_is_last_and_nobody_is_lost(
            threads in proptest::collection::vec(0..40usize, 0..300),
        ) {
            let mut slab: Table<ThreadMark, ()> = Table::default();
            let keys: Vec<ThreadKey> = (0..40).map(|_| slab.reserve()).collect();
            let queue = WaitQueue::default();
            let mut model: Vec<(ThreadKey, u32)> = Vec::new();
            for (wait, thread) in (0..).zip(threads) {
                let thread = keys[thread];
                queue.enter(Entry { thread, wait });
                model.retain(|(other, _)| *other != thread);
                model.push((thread, wait));
                prop_assert!(queue.rest.borrow().len() <= 2 * model.len().max(FEW));
            }
            let mut taken: Vec<Entry> = queue.take().collect();
            keep_last(&mut taken);
            let taken: Vec<_> = taken.iter().map(|entry| (entry.thread, entry.wait)).collect();
            prop_assert_eq!(taken, model);
        }
    }
}

//! Wait queues: threads that wait for something to change.
//!
//! An object keeps a queue for each thing that can be waited for. A call that
//! cannot go on enters its thread there and parks it; whoever changes the
//! object wakes the queue, and every thread in it looks again. Entries are not
//! removed when a thread goes on for another reason: their number tells.

use alloc::vec::Vec;
use core::cell::RefCell;

use crate::object::thread::ThreadKey;

/// Threads that wait for one thing.
#[derive(Debug, Default)]
pub struct WaitQueue {
    entries: RefCell<Vec<Entry>>,
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
    pub fn enter(&self, entry: Entry) {
        let mut entries = self.entries.borrow_mut();
        if entries.len() < FEW {
            // By index: a thread that is gone must not stay here for ever.
            entries.retain(|other| other.thread.index() != entry.thread.index());
        } else if entries.len() == entries.capacity() {
            keep_last(&mut entries);
        }
        entries.push(entry);
    }

    /// Takes everyone who waits, first come first.
    pub fn take(&self) -> Vec<Entry> {
        self.entries.take()
    }

    /// Nobody has entered since the queue was last woken.
    pub fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
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
                prop_assert!(queue.entries.borrow().len() <= 2 * model.len().max(FEW));
            }
            let mut taken = queue.take();
            keep_last(&mut taken);
            let taken: Vec<_> = taken.iter().map(|entry| (entry.thread, entry.wait)).collect();
            prop_assert_eq!(taken, model);
        }
    }
}

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

impl WaitQueue {
    /// Enters a thread.
    pub fn enter(&self, entry: Entry) {
        let mut entries = self.entries.borrow_mut();
        // By index: a thread that is gone must not stay here for ever.
        entries.retain(|other| other.thread.index() != entry.thread.index());
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

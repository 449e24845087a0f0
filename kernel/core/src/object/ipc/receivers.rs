//! Threads that wait for a message, first come first.
//!
//! Most often it is one, and it has a place of its own: entering, finding and
//! taking out that one is a word or two. Threads that have gone on for another
//! reason may still be here; the number of their wait tells.

use alloc::collections::VecDeque;

use crate::object::thread::ThreadKey;
use crate::object::wait::Entry;

/// Threads that wait for a message.
#[derive(Debug, Default)]
pub struct Receivers {
    /// Without it there are no others.
    first: Option<Entry>,
    others: VecDeque<Entry>,
}

impl Receivers {
    /// Who has waited longest.
    #[inline(always)]
    pub fn first(&self) -> Option<Entry> {
        self.first
    }

    /// Takes out who has waited longest.
    #[inline(always)]
    pub fn leave_first(&mut self) {
        self.first = None;
        if !self.others.is_empty() {
            self.move_up();
        }
    }

    /// Enters a thread that waits for a message.
    #[inline(always)]
    pub fn enter(&mut self, entry: Entry) {
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.enter_behind(entry),
        }
    }

    /// Takes out a thread that waits no more.
    pub fn leave(&mut self, thread: ThreadKey) {
        self.retain(|entry| entry.thread != thread);
    }

    /// All of them, first come first.
    pub fn into_all(self) -> impl Iterator<Item = Entry> {
        self.first.into_iter().chain(self.others)
    }

    #[cold]
    fn enter_behind(&mut self, entry: Entry) {
        // By index: a thread that is gone must not stay here for ever.
        self.retain(|other| other.thread.index() != entry.thread.index());
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.others.push_back(entry),
        }
    }

    fn retain(&mut self, stays: impl Fn(&Entry) -> bool) {
        self.others.retain(&stays);
        if !self.first.as_ref().is_some_and(stays) {
            self.move_up();
        }
    }

    #[cold]
    fn move_up(&mut self) {
        self.first = self.others.pop_front();
    }
}

//! Ends of processes, kept until they are collected.
//!
//! A process that has a record here is collected once: by the first who asks
//! after its end, and by everyone who waited for it then. What its creator has
//! not collected goes with the creator. Neighbours: [`crate::object::exit`] has
//! the ends that are only looked at.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::error::KernelError;
use crate::object::process::{Cause, ProcessKey};
use crate::object::thread::ThreadKey;
use crate::object::wait::{Entry, Taken, WaitQueue};

/// Most records at a time (specs/veridian.md §16).
pub const RECORDS_MAX: usize = 1024;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub cause: Cause,
    /// Exit status, as its ABI has it.
    pub status: i64,
    /// Nanoseconds in ring 3.
    pub user_time: u64,
    /// Nanoseconds in its calls.
    pub kernel_time: u64,
    /// Most bytes of memory that it had at a time.
    pub memory: u64,
}

/// A process that was created and is not collected.
#[derive(Debug)]
pub struct Record {
    /// Whoever made it, while that lives.
    pub creator: Option<ProcessKey>,
    /// The process.
    pub process: ProcessKey,
    /// How it ended, once it has.
    pub ended: Option<Ended>,
    collected: bool,
    /// Threads that waited before it was collected.
    waiting: Vec<ThreadKey>,
    queue: WaitQueue,
}

/// Records by the id that creators know.
#[derive(Debug, Default)]
pub struct Records {
    records: BTreeMap<u64, Record>,
    /// Those that have made a process that was not collected, each once, and
    /// threads that are in a record, as often: whoever is in neither leaves
    /// without a look at every record.
    creators: Vec<ProcessKey>,
    waiting: Vec<ThreadKey>,
}

impl Records {
    /// Records that there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// There is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// No record can be added.
    pub fn is_full(&self) -> bool {
        self.records.len() >= RECORDS_MAX
    }

    /// A process was created.
    pub fn add(&mut self, id: u64, creator: ProcessKey, process: ProcessKey) {
        let record = Record {
            creator: Some(creator),
            process,
            ended: None,
            collected: false,
            waiting: Vec::new(),
            queue: WaitQueue::default(),
        };
        self.records.insert(id, record);
        if !self.creators.contains(&creator) {
            self.creators.push(creator);
        }
    }

    /// The record of a process, collected or not.
    pub fn find(&self, id: u64) -> Option<&Record> {
        self.records.get(&id)
    }

    /// The process ended that its creator knows by this id; says whom that wakes.
    pub fn end(&mut self, id: u64, process: ProcessKey, ended: Ended) -> Taken {
        let record = self.records.get_mut(&id);
        // Another interface may know another process by that id.
        let Some(record) = record.filter(|record| record.process == process) else {
            return Taken::default();
        };
        record.ended = Some(ended);
        let woken = record.queue.take();
        if record.creator.is_none() {
            // Those who wait have it; nobody else is left to ask.
            record.collected = true;
            self.tidy(id);
        }
        woken
    }

    /// What `thread` is told of a process; `None` while it lives.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when there is none, or it was collected before
    /// the thread asked.
    pub fn look(&self, id: u64, thread: ThreadKey) -> Result<Option<Ended>, KernelError> {
        let record = self.records.get(&id).ok_or(KernelError::NotFound)?;
        match record.collected && !record.waiting.contains(&thread) {
            true => Err(KernelError::NotFound),
            false => Ok(record.ended),
        }
    }

    /// A thread waited for the end before.
    pub fn is_waiting(&self, id: u64, thread: ThreadKey) -> bool {
        let record = self.records.get(&id);
        record.is_some_and(|record| record.waiting.contains(&thread))
    }

    /// A thread waits for the end.
    pub fn wait(&mut self, id: u64, entry: Entry) {
        if let Some(record) = self.records.get_mut(&id) {
            if !record.waiting.contains(&entry.thread) {
                record.waiting.push(entry.thread);
                self.waiting.push(entry.thread);
            }
            record.queue.enter(entry);
        }
    }

    /// A thread was told of the end.
    pub fn collect(&mut self, id: u64, thread: ThreadKey) {
        if let Some(record) = self.records.get_mut(&id) {
            record.collected = true;
        }
        self.give_up(id, thread);
    }

    /// A thread does not wait any more.
    pub fn give_up(&mut self, id: u64, thread: ThreadKey) {
        if let Some(record) = self.records.get_mut(&id)
            && remove(&mut record.waiting, thread)
        {
            remove(&mut self.waiting, thread);
        }
        self.tidy(id);
    }

    /// A process is gone, with its threads: what it created is its no more, and
    /// what it waited for it waits for no more. Says which of what it created
    /// has not ended.
    pub fn leave(&mut self, creator: ProcessKey, threads: &[ThreadKey]) -> Vec<ProcessKey> {
        let mut orphans = Vec::new();
        let created = remove(&mut self.creators, creator);
        let waits = |thread: &ThreadKey| self.waiting.contains(thread);
        if !created && !threads.iter().any(waits) {
            return orphans;
        }
        self.waiting.retain(|thread| !threads.contains(thread));
        self.records.retain(|_, record| {
            record.waiting.retain(|thread| !threads.contains(thread));
            if record.creator == Some(creator) {
                record.creator = None;
                record.collected |= record.ended.is_some();
                if record.ended.is_none() {
                    orphans.push(record.process);
                }
            }
            !(record.collected && record.waiting.is_empty())
        });
        self.forget_creators();
        orphans
    }

    /// Without records there is no creator to know.
    fn forget_creators(&mut self) {
        if self.records.is_empty() {
            self.creators.clear();
        }
    }

    /// A record that nobody can ask for goes.
    fn tidy(&mut self, id: u64) {
        let record = self.records.get(&id);
        if record.is_some_and(|record| record.collected && record.waiting.is_empty()) {
            self.records.remove(&id);
            self.forget_creators();
        }
    }
}

/// Removes one; false if there is none.
fn remove<T: PartialEq>(all: &mut Vec<T>, one: T) -> bool {
    let at = all.iter().position(|other| *other == one);
    at.map(|at| all.swap_remove(at)).is_some()
}

#[cfg(test)]
mod tests;

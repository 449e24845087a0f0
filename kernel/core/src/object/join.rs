//! The ends of a process's threads, for the threads that join them.
//!
//! A thread that ends leaves its exit code here until another one takes it, or
//! the process ends. Who joins one that still runs enters itself, and is woken
//! at its end; only one can.

use alloc::collections::BTreeMap;

use crate::error::KernelError;
use crate::object::thread::ThreadKey;
use crate::object::wait::Entry;

/// Most codes of a process that nobody has taken.
pub const CODES_MAX: usize = 4096;

/// Exit codes not taken, and who waits for others.
#[derive(Debug, Default)]
pub struct Joins {
    codes: BTreeMap<u64, i32>,
    waiting: BTreeMap<u64, Entry>,
}

impl Joins {
    /// Thread `id` ended; says whom that wakes.
    pub fn end(&mut self, id: u64, code: i32) -> Option<Entry> {
        self.codes.insert(id, code);
        self.waiting.get(&id).copied()
    }

    /// `joiner` takes the code of thread `id`; `None` while it runs.
    ///
    /// # Errors
    /// [`KernelError::Busy`] when another thread joins it,
    /// [`KernelError::NotFound`] when it is neither here nor, as `runs` says,
    /// running.
    pub fn take(
        &mut self,
        id: u64,
        joiner: ThreadKey,
        runs: impl FnOnce() -> bool,
    ) -> Result<Option<i32>, KernelError> {
        let other = self.waiting.get(&id);
        if other.is_some_and(|entry| entry.thread != joiner) {
            return Err(KernelError::Busy);
        }
        if let Some(code) = self.codes.remove(&id) {
            self.waiting.remove(&id);
            return Ok(Some(code));
        }
        match runs() {
            true => Ok(None),
            false => Err(KernelError::NotFound),
        }
    }

    /// Wakes `joiner` when thread `id` ends.
    pub fn wait(&mut self, id: u64, joiner: Entry) {
        self.waiting.insert(id, joiner);
    }

    /// Nobody waits for thread `id` any more.
    pub fn give_up(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    /// Codes that nobody has taken.
    pub fn codes(&self) -> usize {
        self.codes.len()
    }
}

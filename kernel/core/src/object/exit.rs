//! The ends of processes: their status, for whoever waits for it.
//!
//! A process's [`Exit`] outlives it: an open file may hold it, and the kernel
//! keeps those of the last processes for a while, so that a parent that asks
//! late still finds them (specs/patchwork.md §6).

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::{Cell, OnceCell};

use mayfly_abi::Abi;

use crate::object::inode::Inode;
use crate::object::wait::WaitQueue;

/// Nanoseconds that an ended process is still found.
const KEPT_FOR: u64 = 2_000_000_000;
/// Most ended processes that are still found.
const KEPT: usize = 64;

/// How a process ended, once it has.
#[derive(Debug, Default)]
pub struct Exit {
    /// Its exit status; `None` while it lives.
    pub status: Cell<Option<i64>>,
    /// Woken when it ends.
    pub waiters: WaitQueue,
    /// Its directory among those of all processes, once somebody has looked
    /// there ([`crate::object::processes`]).
    pub directory: OnceCell<Rc<Inode>>,
}

/// Ends are shared.
pub type ExitRef = Rc<Exit>;

/// The last processes that ended.
#[derive(Debug, Default)]
pub struct Exited {
    records: VecDeque<Record>,
}

#[derive(Debug)]
struct Record {
    abi: Abi,
    id: u64,
    alias: Option<(Abi, u64)>,
    since: u64,
    exit: ExitRef,
}

impl Record {
    fn is_kept(&self, now: u64) -> bool {
        now.saturating_sub(self.since) <= KEPT_FOR
    }
}

impl Exited {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Notes the end of a process now, by its id and by the one that it has
    /// for another interface.
    pub fn note(
        &mut self,
        now: u64,
        (abi, id): (Abi, u64),
        alias: Option<(Abi, u64)>,
        exit: ExitRef,
    ) {
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        self.forget(now);
        self.records.push_back(Record {
            abi,
            id,
            alias,
            since: now,
            exit,
        });
    }

    /// The end of a process that ended not long ago.
    pub fn find(&self, now: u64, abi: Abi, id: u64) -> Option<ExitRef> {
        let mut records = self.records.iter();
        let found = records.find(|record| {
            (record.abi, record.id) == (abi, id) || record.alias == Some((abi, id))
        })?;
        found.is_kept(now).then(|| Rc::clone(&found.exit))
    }

    fn forget(&mut self, now: u64) {
        while let Some(oldest) = self.records.front()
            && !oldest.is_kept(now)
        {
            self.records.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: i64) -> ExitRef {
        let exit = Exit::default();
        exit.status.set(Some(status));
        Rc::new(exit)
    }

    #[test]
    fn an_end_is_found_for_a_while() {
        let mut exited = Exited::default();
        let alias = Some((Abi::Veridian, 9));
        exited.note(5, (Abi::Patchwork, 7), alias, ended(3));
        let found = |exited: &Exited, now, abi, id| {
            let exit = exited.find(now, abi, id);
            exit.and_then(|exit| exit.status.get())
        };
        assert_eq!(found(&exited, 5, Abi::Patchwork, 7), Some(3));
        assert_eq!(found(&exited, 5, Abi::Veridian, 9), Some(3));
        assert_eq!(found(&exited, 5, Abi::Veridian, 7), None);
        assert_eq!(found(&exited, 5, Abi::Xeneva, 7), None);
        assert_eq!(found(&exited, 5, Abi::Patchwork, 8), None);
        assert_eq!(found(&exited, KEPT_FOR + 5, Abi::Patchwork, 7), Some(3));
        assert_eq!(found(&exited, KEPT_FOR + 6, Abi::Patchwork, 7), None);
    }

    #[test]
    fn only_so_many_ends_are_kept() {
        let mut exited = Exited::default();
        for id in 0..=KEPT as u64 {
            exited.note(id, (Abi::Patchwork, id), None, ended(0));
        }
        assert!(exited.find(KEPT as u64, Abi::Patchwork, 0).is_none());
        assert!(exited.find(KEPT as u64, Abi::Patchwork, 1).is_some());
        assert_eq!(exited.records.len(), KEPT);
    }
}

//! Ends of processes that are reaped, whoever's they were.
//!
//! Nothing is kept of an end but that there was one: whoever reaps is told no
//! more. Neighbours: [`crate::object::collect`] has ends that are told of.

use core::mem;

use crate::object::wait::WaitQueue;

/// Ends that nobody has reaped, and who waits to reap the next.
#[derive(Debug, Default)]
pub struct Reaper {
    /// A process has ended and nobody has reaped it.
    pub unreaped: bool,
    /// Woken by the next end, which they reap.
    pub waiters: WaitQueue,
}

impl Reaper {
    /// Reaps all ends so far; false if there was none.
    pub fn reap(&mut self) -> bool {
        mem::take(&mut self.unreaped)
    }
}

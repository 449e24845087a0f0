//! Takes all of something that it can get.
//!
//! Purpose: shows that others have theirs. The first argument says what is
//! taken: handles, memory, threads or processes. Says `full` when no more is to
//! be had, with how often there was, and keeps it all. Neighbours: each
//! interface's `exhaust.rs` says how one more is taken.

use crate::entry::Process;
use crate::say;
use crate::system::System;

/// How a program of an interface takes things.
pub trait Greedy {
    /// The interface.
    type System: System;

    /// One descriptor or token more; false when there is none.
    fn handle() -> bool;

    /// Some pages more, without a touch: where they lie, and how many bytes.
    fn memory() -> Option<(u64, u64)>;

    /// One thread more, which does nothing.
    fn thread() -> bool;

    /// One process more, which does nothing.
    fn process() -> bool;

    /// Does nothing for a while.
    fn idle();
}

/// The program; it does not end by itself.
pub fn run<G: Greedy>(process: &Process<G::System>) -> i32 {
    let one_more = match process.arguments().get(1).unwrap_or(b"") {
        b"handles" => G::handle,
        b"memory" => touched::<G>,
        b"threads" => G::thread,
        b"processes" => G::process,
        _ => return 1,
    };
    let mut count = 0_u64;
    while one_more() {
        count += 1;
    }
    say!(process, "full {count}");
    loop {
        G::idle();
    }
}

/// Takes memory and touches it.
fn touched<G: Greedy>() -> bool {
    let Some((start, length)) = G::memory() else {
        return false;
    };
    for page in (start..start + length).step_by(4096) {
        // SAFETY: the memory is new and the program's own.
        unsafe { (page as *mut u64).write_volatile(1) };
    }
    true
}

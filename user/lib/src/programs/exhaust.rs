//! Takes all of something that it can get.
//!
//! Purpose: shows that others have theirs. The first argument says what is
//! taken: handles, memory, threads, processes, or processes laden with as much as
//! their maker can give them. Says `full` when no more is to be had, with how
//! often there was, and keeps it all. Neighbours: each interface's `exhaust.rs`
//! says how one more is taken.

use core::ffi::CStr;

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

    /// One process more, with the longest arguments and as many open files as its
    /// maker can give it; it does nothing, or is asked to be [`IDLE`].
    fn laden() -> bool;

    /// Does nothing for a while.
    fn idle();
}

/// First argument of a program that is to take nothing.
pub const IDLE: &CStr = c"idle";

/// The longest string that all interfaces take as an argument, but one.
pub static LONG: [u8; LONG_SIZE] = {
    let mut long = [b'x'; LONG_SIZE];
    long[LONG_SIZE - 1] = 0;
    long
};
const LONG_SIZE: usize = 250;

/// Addresses of arguments that lie together: all are [`LONG`].
pub fn long_arguments<const COUNT: usize>() -> [usize; COUNT] {
    [LONG.as_ptr().expose_provenance(); COUNT]
}

/// The program; it does not end by itself.
pub fn run<G: Greedy>(process: &Process<G::System>) -> i32 {
    let one_more = match process.arguments().get(1).unwrap_or(b"") {
        b"handles" => G::handle,
        b"memory" => touched::<G>,
        b"threads" => G::thread,
        b"processes" => G::process,
        b"laden" => G::laden,
        first if first == IDLE.to_bytes() => idle::<G>(),
        _ => return 1,
    };
    let mut count = 0_u64;
    while one_more() {
        count += 1;
    }
    say!(process, "full {count}");
    idle::<G>()
}

fn idle<G: Greedy>() -> ! {
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

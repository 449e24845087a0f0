//! Makes the cheapest call over and over.
//!
//! Purpose: measures the way into the kernel and back.
//! Neighbours: `System::NULL` says which call it is.

use crate::entry::Process;
use crate::system::System;

/// How often without an argument.
const TIMES: u64 = 1000;

/// The program: as often as its first argument says. Status 0.
pub fn run<S: System>(process: &Process<S>) -> i32 {
    let times = process.arguments().number(1).unwrap_or(TIMES);
    for _ in 0..times {
        // SAFETY: the call takes no argument and has no effect.
        unsafe { S::call(S::NULL, [0; 6]) };
    }
    0
}

//! Recurses until its stack ends.
//!
//! Purpose: shows that a stack ends in a guard page.
//! Neighbours: `fault.rs` has the other ways to fault.

use core::arch::asm;

use crate::entry::Process;
use crate::say;
use crate::system::System;

/// The program. The kernel ends it with a page fault.
pub fn run<S: System>(process: &Process<S>) -> i32 {
    say!(process, "about to overflow");
    // SAFETY: it never returns; return addresses go to the stack, downward,
    // until the page below the stack's last one stops it.
    unsafe { asm!("2: call 2b", options(noreturn)) }
}

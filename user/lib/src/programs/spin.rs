//! Runs in ring 3 and makes no call.
//!
//! Purpose: shows that a program cannot keep the processor.
//! Neighbours: `preempt.rs` does so and looks at its registers.

use core::arch::asm;

use crate::entry::Process;
use crate::system::System;

/// The program: for ever, or as many turns as its first argument says; then
/// status 0.
pub fn run<S: System>(process: &Process<S>) -> i32 {
    let turns = process.arguments().number(1);
    let mut left = turns.unwrap_or(u64::MAX);
    while left > 0 {
        // SAFETY: it does nothing; the compiler may not leave it out.
        unsafe { asm!("", options(nomem, nostack, preserves_flags)) };
        if turns.is_some() {
            left -= 1;
        }
    }
    0
}

//! Ends with the status that its first argument says, 0 without one.
//!
//! Purpose: shows that a whole status arrives at who waits for it.
//! Neighbours: `user/{patchwork,veridian}/exit.rs`; XenevaOS has no status.

use crate::entry::Process;
use crate::say;
use crate::system::System;

/// The program. A status is an `i32`; `-1` and `0xffffffff` are the same.
pub fn run<S: System>(process: &Process<S>) -> i32 {
    let Some(text) = process.arguments().get(1) else {
        return 0;
    };
    let low = crate::arguments::number(text).map(|status| status & u64::from(u32::MAX));
    match low.and_then(|status| u32::try_from(status).ok()) {
        Some(status) => status.cast_signed(),
        None => {
            say!(process, "exit: the status is no number");
            2
        }
    }
}

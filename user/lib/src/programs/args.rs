//! Prints each argument on a line of its own.
//!
//! Purpose: shows how each interface passes arguments.
//! Neighbours: `user/*/args.rs`.

use crate::console::Bytes;
use crate::entry::Process;
use crate::say;
use crate::system::System;

/// The program. Status 0.
pub fn run<S: System>(process: &Process<S>) -> i32 {
    for argument in process.arguments().iter() {
        say!(process, "{}", Bytes(argument));
    }
    0
}

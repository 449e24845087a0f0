//! The command-line tool `mayfly`.
//!
//! Purpose: runs guest programs and single system calls in microVMs, prints
//! what they did, and says what this host can do. Reads the command line, runs
//! one command, exits with its code. Neighbours: `cli` has the commands, the
//! library `mayfly` does the work.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::begin().into()
}

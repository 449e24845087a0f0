//! The three interfaces, called through the fake machine as ring 3 calls them.
//!
//! - `table`: every row and every other number; errors and their spelling.
//! - `start`: the state a program starts in, to the letter of its spec.
//! - `children`: processes that XenevaOS programs make and wait for.
//! - `capabilities`: tokens of VeridianOS, call by call.
//! - `identity`: who am I, and the error number of a thread.
//! - `joins`: threads of VeridianOS, and the codes they leave.
//! - `time`: clocks and sleeps.
//! - `write`: output, and the order of its checks. `long`: what takes several turns.
//! - `memory`: memory calls of PatchworkOS. `threads`: its threads and futexes.
//! - `pipes`, `sockets`: calls that wait for another process. `duo`: two of them.
//! - `crowd`: a pipe with many at both ends, against a model.
//! - `spawn`: calls that start one. `input`: what the host sends.
//! - `proc`: what processes see of each other. `notes`: what they tell each other.
//! - `tree`: names, links and mounts against a model.
//! - `text`: the formatter of XenevaOS.

mod capabilities;
mod children;
mod crowd;
mod duo;
mod identity;
mod input;
mod joins;
mod long;
mod memory;
mod notes;
mod pipes;
mod proc;
mod sockets;
mod spawn;
mod start;
mod table;
mod text;
mod threads;
mod time;
mod tree;
mod write;

use mayfly_abi::{Abi, patchwork};

use crate::fake::bench::Bench;
use crate::object::process::ProcessKey;

/// A kernel with one process of an interface.
fn one(abi: Abi) -> (Bench, ProcessKey) {
    let mut bench = Bench::new();
    let key = bench.spawn(abi);
    (bench, key)
}

/// Error number of a PatchworkOS process's only thread.
fn errno(bench: &mut Bench, key: ProcessKey) -> u64 {
    bench.call(key, patchwork::nr::ERRNO, &[])
}

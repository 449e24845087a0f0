//! Spins with every register set and looks at what is left of them.
//!
//! Purpose: an interrupt may take the processor away at any instruction; two
//! copies of this program, run at once, see each other's registers if the
//! kernel mixes them up, as each fills them by a pattern of its own.
//! Neighbours: `registers.rs` compares, `exchange.rs` below spins.

use core::arch::x86_64::_rdtsc;

use super::registers::compare;
use crate::check::Checks;
use crate::entry::Process;
use crate::exchange;
use crate::system::System;

/// Turns between two looks: a fraction of a timer period, so that most looks
/// come soon after a preemption.
const TURNS: u64 = 200_000;
/// TSC ticks to spin for, without an argument: 50 ms at 2 GHz.
const TICKS: u64 = 100_000_000;

/// The program: for as many TSC ticks as its first argument says. Status 0
/// when nothing was lost.
pub fn run<S: System>(process: &Process<S>) -> i32 {
    let ticks = process.arguments().number(1).unwrap_or(TICKS);
    let mut checks = Checks::new(process, "preempt");
    let started = now();
    let mut seed = started;
    while now().wrapping_sub(started) < ticks {
        seed = seed.wrapping_add(1);
        // SAFETY: no interface starts a program with a second thread.
        let exchanged = unsafe { exchange::count(seed, TURNS) };
        compare(&mut checks, "spinning", &exchanged, &[]);
    }
    checks.finish()
}

fn now() -> u64 {
    // SAFETY: every processor that this can be built for has RDTSC, and no
    // interface forbids it to programs.
    unsafe { _rdtsc() }
}

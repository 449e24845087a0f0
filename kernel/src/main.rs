//! The guest kernel: a bare-metal image for x86_64 microVMs.
//!
//! Purpose: bring the machine up, then alternate between programs, the clock
//! and the host's requests. The folder's README walks from power-on to
//! shutdown. Neighbours: `kernel/arch` does, `kernel/core` decides,
//! `kernel/wire` is what the host hears.
//!
//! - `start`: boot to ready. `runner`: the kernel loop.
//! - `agent`: the host's requests. `link`: what the host is told, `spelling` in
//!   which words.
//! - `standstill`: the machine can be copied. `panic`: last words.
//! - `terminal`: the line that the terminal is on.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod agent;
#[cfg(target_os = "none")]
mod link;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod runner;
#[cfg(target_os = "none")]
mod spelling;
#[cfg(target_os = "none")]
mod standstill;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
mod terminal;

/// The kernel is a guest: on a host there is nothing to run.
#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "mayfly-kernel is a guest kernel and runs in a microVM, not on a host.\n\
         Start one with: cargo run --release -- demo"
    );
    std::process::ExitCode::from(2)
}

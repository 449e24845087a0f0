//! Makes PatchworkOS calls with every register set.
//!
//! Purpose: all but RAX, RCX and R11 survive a call (spec §1).
//! Neighbours: `user/lib/src/programs/registers.rs` compares.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::patchwork::nr;
use mayfly_user::patchwork::STDOUT;
use mayfly_user::programs::{badptr::Bad, registers};
use mayfly_user::{Patchwork, Process};

mayfly_user::program!(Patchwork, run);

fn run(process: &Process<Patchwork>) -> i32 {
    let mut time = 0_u64;
    let time = (&raw mut time).expose_provenance() as u64;
    let calls: [(u64, &[u64]); 12] = [
        (nr::NANOSLEEP, &[1_000_000]),
        (nr::NANOSLEEP, &[0]),
        (nr::ERRNO, &[]),
        (nr::GETPID, &[]),
        (nr::GETTID, &[]),
        (nr::UPTIME, &[]),
        (nr::UNIX_EPOCH, &[0]),
        (nr::UNIX_EPOCH, &[time]),
        (nr::WRITE, &[STDOUT, time, 0]),
        (nr::WRITE, &[STDOUT, Bad::Kernel.address(), 16]),
        (nr::YIELD, &[]),
        (u64::MAX, &[]),
    ];
    // SAFETY: the only memory that these calls write to is `time`.
    unsafe { registers::run(process, &calls) }
}

//! Makes VeridianOS calls with every register set.
//!
//! Purpose: all but RAX, RCX and R11 survive a call (spec §1, C1 to C4).
//! Neighbours: `user/lib/src/programs/registers.rs` compares.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{Timespec, UNASSIGNED, clock, nr};
use mayfly_user::programs::{badptr::Bad, registers};
use mayfly_user::veridian::capability;
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

fn run(process: &Process<Veridian>) -> i32 {
    let console = veridian::console();
    let millisecond = Timespec {
        seconds: 0,
        nanoseconds: 1_000_000,
    };
    let mut time = Timespec::default();
    let millisecond = (&raw const millisecond).expose_provenance() as u64;
    let time = (&raw mut time).expose_provenance() as u64;
    let info = veridian::start_info();
    let device = capability::kind::DEVICE;
    let write = capability::right::WRITE;
    let revocable = capability::right::REVOKE;
    // The errors come through other paths than the results.
    let derived = capability::derive(console, revocable).unwrap_or(0);
    let calls: [(u64, &[u64]); 20] = [
        (nr::WRITE, &[console, time, 0, 0]),
        (nr::WRITE, &[console, Bad::Kernel.address(), 16, 0]),
        (nr::CLOCK_GET, &[clock::MONOTONIC, time]),
        (nr::CLOCK_GET, &[u64::MAX, time]),
        (nr::NANOSLEEP, &[millisecond]),
        (nr::YIELD, &[]),
        (nr::CAPABILITY_CREATE, &[device, 1, write, info.space_token]),
        (nr::CAPABILITY_CREATE, &[device, 9, write, info.space_token]),
        (nr::CAPABILITY_DERIVE, &[console, write]),
        (nr::CAPABILITY_DERIVE, &[console, u64::MAX]),
        (nr::CAPABILITY_VALIDATE, &[console, write]),
        (nr::CAPABILITY_REVOKE, &[derived]),
        (nr::CAPABILITY_REVOKE, &[derived]),
        (nr::THREAD_CREATE, &[0, 0, 0, 0]),
        (nr::THREAD_JOIN, &[9, 0]),
        (nr::PROCESS_CREATE, &[time, 16, 0, 0, 0, 0]),
        (nr::PROCESS_START, &[1 << 40]),
        (nr::PROCESS_WAIT, &[1 << 40, 1_000_000, time & !15]),
        (nr::PROCESS_WAIT, &[info.process_id, 0, time]),
        (UNASSIGNED, &[]),
    ];
    // SAFETY: the only memory that these calls write to is `time`.
    unsafe { registers::run(process, &calls) }
}

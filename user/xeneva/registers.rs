//! Makes XenevaOS services with every register set.
//!
//! Purpose: all but RAX, RCX and R11 survive a service (spec §8).
//! Neighbours: `user/lib/src/programs/registers.rs` compares.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_abi::xeneva::{LIMIT, nr};
use mayfly_user::programs::{badptr::Bad, registers};
use mayfly_user::{Process, Xeneva};

mayfly_user::program!(Xeneva, run);

fn run(process: &Process<Xeneva>) -> i32 {
    let empty = c"".as_ptr().expose_provenance() as u64;
    let calls: [(u64, &[u64]); 8] = [
        (nr::null_call, &[]),
        (nr::SeTextOut, &[empty, 1, 2, 3, 4, 5]),
        (nr::SeTextOut, &[Bad::Kernel.address()]),
        (nr::GetThreadID, &[]),
        (nr::GetProcessID, &[]),
        (nr::ProcessSleep, &[1]),
        (LIMIT - 1, &[]),
        (LIMIT, &[]),
    ];
    // SAFETY: none of these services writes to the caller's memory.
    unsafe { registers::run(process, &calls) }
}

//! Makes XenevaOS services with addresses that are bad.
//!
//! Purpose: a service that cannot read what it is given answers -1 (spec §8),
//! and one that takes nothing from memory does not care.
//! Neighbours: `user/lib/src/programs/badptr.rs` has the addresses.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_abi::xeneva::{FAILED, nr};
use mayfly_user::check::Checks;
use mayfly_user::exchange::{self, Stack};
use mayfly_user::programs::badptr::{Bad, refuse};
use mayfly_user::{Process, System, Xeneva};

mayfly_user::program!(Xeneva, run);

/// Where the main thread's stack ends.
const STACK_END: u64 = 0x7000_0008_0000;

fn run(process: &Process<Xeneva>) -> i32 {
    let mut checks = Checks::new(process, "badptr");
    let failed = Xeneva::error(FAILED);
    let string = c"%s".as_ptr().expose_provenance() as u64;
    for bad in Bad::ALL.map(Bad::address) {
        refuse(&mut checks, nr::SeTextOut, [bad, 0, 0, 0, 0, 0], failed);
        refuse(
            &mut checks,
            nr::SeTextOut,
            [string, bad, 0, 0, 0, 0],
            failed,
        );
        refuse(&mut checks, nr::null_call, [bad; 6], 0);
    }

    // The fourth value lies on the stack, and only then is the stack read.
    let bad = Stack::At(Bad::Unmapped.address());
    let empty = c"".as_ptr().expose_provenance() as u64;
    for (format, wanted) in [(c"%s%s%s", 0), (c"%s%s%s%d", FAILED)] {
        let format = format.as_ptr().expose_provenance() as u64;
        let values = [format, empty, empty, empty];
        // SAFETY: the service writes to no memory of the caller.
        let exchanged = unsafe { exchange::call::<Xeneva>(bad, 1, nr::SeTextOut, &values) };
        checks.equal(
            format_args!("SeTextOut on a bad stack"),
            exchanged.after.rax,
            wanted,
        );
    }

    // So do the fifth and sixth words of a mapping: both, or the sixth alone.
    let values = [0, 4096, 0, 0];
    for stack in [
        Bad::Unmapped.address(),
        Bad::NonCanonical.address(),
        STACK_END - 48,
    ] {
        // SAFETY: what is mapped is not used.
        let mapped =
            unsafe { exchange::call::<Xeneva>(Stack::At(stack), 1, nr::CreateMemMapping, &values) };
        checks.equal(
            format_args!("CreateMemMapping on the stack {stack:#x}"),
            mapped.after.rax,
            FAILED,
        );
    }
    checks.finish()
}

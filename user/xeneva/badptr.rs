//! Makes XenevaOS services with addresses that are bad.
//!
//! Purpose: a service that cannot read what it is given answers -1 (spec §8),
//! and one that takes nothing from memory does not care.
//! Neighbours: `user/lib/src/programs/badptr.rs` has the addresses.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_abi::xeneva::{FAILED, nr};
use mayfly_user::check::Checks;
use mayfly_user::programs::badptr::{Bad, refuse};
use mayfly_user::{Process, System, Xeneva};

mayfly_user::program!(Xeneva, run);

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
    checks.finish()
}

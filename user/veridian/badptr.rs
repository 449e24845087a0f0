//! Makes VeridianOS calls with addresses that are bad.
//!
//! Purpose: a bad address is InvalidAddress, after the checks of numbers and
//! tokens (spec §2.5, §2.7). Neighbours: `user/lib/src/programs/badptr.rs` has
//! the addresses.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{SyscallError, Timespec, clock, nr};
use mayfly_user::check::Checks;
use mayfly_user::programs::badptr::{Bad, LENGTH, refuse};
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

fn run(process: &Process<Veridian>) -> i32 {
    let mut checks = Checks::new(process, "badptr");
    let mut expect = |number, [a1, a2, a3]: [u64; 3], wanted: Option<SyscallError>| {
        let wanted = wanted.map_or(0, SyscallError::code);
        refuse(&mut checks, number, [a1, a2, a3, 0, 0, 0], wanted);
    };
    let (console, invalid) = (veridian::console(), Some(SyscallError::InvalidAddress));

    for bad in Bad::ALL.map(Bad::address) {
        expect(nr::WRITE, [console, bad, LENGTH], invalid);
        expect(nr::WRITE, [console, bad, 0], None);
        let token = Some(SyscallError::InvalidCapability);
        expect(nr::WRITE, [0, bad, LENGTH], token);
        let parameter = Some(SyscallError::InvalidParameter);
        expect(nr::WRITE, [0, bad, u64::MAX], parameter);

        expect(nr::CLOCK_GET, [clock::MONOTONIC, bad, 0], invalid);
        expect(nr::CLOCK_GET, [u64::MAX, bad, 0], parameter);
        expect(nr::NANOSLEEP, [bad, 0, 0], invalid);
    }

    // A structure must be aligned, and one that is written to writable.
    let time = [Timespec::default(); 2];
    let unaligned = (&raw const time).expose_provenance() as u64 + 4;
    expect(nr::CLOCK_GET, [clock::MONOTONIC, unaligned, 0], invalid);
    expect(nr::NANOSLEEP, [unaligned, 0, 0], invalid);
    let text = (run as *const ()).expose_provenance() as u64 & !7;
    expect(nr::CLOCK_GET, [clock::MONOTONIC, text, 0], invalid);
    checks.finish()
}

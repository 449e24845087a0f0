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
    let mut expect = |number, words: &[u64], wanted: Option<SyscallError>| {
        let wanted = wanted.map_or(0, SyscallError::code);
        let mut all = [0; 6];
        all[..words.len()].copy_from_slice(words);
        refuse(&mut checks, number, all, wanted);
    };
    let (console, invalid) = (veridian::console(), Some(SyscallError::InvalidAddress));

    let room = [0_u64; 1024];
    let good = (&raw const room).expose_provenance() as u64;
    let code = (run as *const ()).expose_provenance() as u64;
    for bad in Bad::ALL.map(Bad::address) {
        expect(nr::WRITE, &[console, bad, LENGTH], invalid);
        expect(nr::WRITE, &[console, bad, 0], None);
        let token = Some(SyscallError::InvalidCapability);
        expect(nr::WRITE, &[0, bad, LENGTH], token);
        let parameter = Some(SyscallError::InvalidParameter);
        expect(nr::WRITE, &[0, bad, u64::MAX], parameter);

        expect(nr::CLOCK_GET, &[clock::MONOTONIC, bad, 0], invalid);
        expect(nr::CLOCK_GET, &[u64::MAX, bad, 0], parameter);
        expect(nr::NANOSLEEP, &[bad, 0, 0], invalid);

        // An entry, a stack: neither runs anything.
        expect(nr::THREAD_CREATE, &[bad.max(8), good, 4096, 0], invalid);
        expect(nr::THREAD_CREATE, &[code, bad, 4096, 0], stack_error(bad));

        // An image, arguments, an argument, tokens; each alone.
        expect(nr::PROCESS_CREATE, &[bad, LENGTH, 0, 0, 0, 0], invalid);
        expect(nr::PROCESS_CREATE, &[good, LENGTH, bad, 2, 0, 0], invalid);
        let pointer = [bad];
        let pointer = (&raw const pointer).expose_provenance() as u64;
        // A string may end in the last bytes of the image; the image is none.
        let wanted = match bad == Bad::Straddling.address() {
            true => parameter,
            false => invalid,
        };
        expect(
            nr::PROCESS_CREATE,
            &[good, LENGTH, pointer, 1, 0, 0],
            wanted,
        );
        expect(nr::PROCESS_CREATE, &[good, LENGTH, 0, 0, bad, 2], invalid);
        // Nobody has that id; the place for the result is looked at before.
        expect(nr::PROCESS_WAIT, &[1 << 40, 0, bad], invalid);
    }

    // A structure must be aligned, and one that is written to writable.
    let time = [Timespec::default(); 2];
    let unaligned = (&raw const time).expose_provenance() as u64 + 4;
    expect(nr::CLOCK_GET, &[clock::MONOTONIC, unaligned, 0], invalid);
    expect(nr::NANOSLEEP, &[unaligned, 0, 0], invalid);
    let text = code & !7;
    expect(nr::CLOCK_GET, &[clock::MONOTONIC, text, 0], invalid);
    expect(nr::PROCESS_WAIT, &[1 << 40, 0, text], invalid);
    expect(nr::PROCESS_WAIT, &[1 << 40, 0, unaligned], invalid);
    checks.finish()
}

/// A stack that wraps is no size at all; any other is no memory.
fn stack_error(base: u64) -> Option<SyscallError> {
    match base.checked_add(4096) {
        None => Some(SyscallError::InvalidParameter),
        Some(_) => Some(SyscallError::InvalidAddress),
    }
}

//! Makes PatchworkOS calls with addresses that are bad.
//!
//! Purpose: the checks of a call come in the order that the specification has
//! them in (§5): EBADF, then EINVAL, EOVERFLOW and EFAULT of a buffer.
//! Stacks, one's own and another thread's, come with the call that names them.
//! Neighbours: `user/lib/src/programs/badptr.rs` has the addresses,
//! `harness/tests/patchwork/pointers.rs` every call.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::AtomicU64;

use mayfly_abi::patchwork::{Errno, nr};
use mayfly_user::check::Checks;
use mayfly_user::patchwork::{self, STDOUT};
use mayfly_user::programs::badptr::{Bad, LENGTH, refuse};
use mayfly_user::{Patchwork, Process};

mayfly_user::program!(Patchwork, run);
mayfly_user::thread!(waiting, wait);

/// Top of the main thread's stack, and the way to the next thread's (§6).
const TOP: u64 = 0x7fff_ffff_f000;
const STRIDE: u64 = 0x6_5000;
const PAGE: u64 = 4096;
/// Nobody opens it.
static GATE: AtomicU64 = AtomicU64::new(0);

fn wait(_: u64) {
    let _ = patchwork::futex_wait(&GATE, 0, u64::MAX);
}

fn run(process: &Process<Patchwork>) -> i32 {
    let mut checks = Checks::new(process, "badptr");
    let mut expect = |number, [a1, a2, a3]: [u64; 3], wanted: Option<Errno>| {
        let wanted = wanted.map_or(0, Errno::code);
        refuse(&mut checks, number, [a1, a2, a3, 0, 0, 0], wanted);
    };

    for bad in Bad::ALL {
        let buffer = match bad {
            Bad::Null => Errno::EINVAL,
            Bad::Wrapping => Errno::EOVERFLOW,
            _ => Errno::EFAULT,
        };
        let address = bad.address();
        expect(nr::WRITE, [STDOUT, address, LENGTH], Some(buffer));
        expect(nr::WRITE, [u64::MAX, address, LENGTH], Some(Errno::EBADF));

        match bad {
            // No time is asked for.
            Bad::Null => expect(nr::UNIX_EPOCH, [address, 0, 0], None),
            // A time is half as long; the image's end may be writable.
            Bad::Straddling => {}
            _ => expect(nr::UNIX_EPOCH, [address, 0, 0], Some(Errno::EFAULT)),
        }
    }
    // A null buffer is EINVAL even when it is empty (§13 shows why).
    expect(nr::WRITE, [STDOUT, 0, 0], Some(Errno::EINVAL));
    let bytes = [0_u8; 16];
    let good = bytes.as_ptr().expose_provenance() as u64;
    expect(nr::WRITE, [STDOUT, good, u64::MAX], Some(Errno::EOVERFLOW));
    expect(nr::WRITE, [STDOUT, good, 1 << 46], Some(Errno::EFAULT));
    // The text of the program can be read and not written.
    let text = (run as *const ()).expose_provenance() as u64;
    expect(nr::UNIX_EPOCH, [text, 0, 0], Some(Errno::EFAULT));
    // A second thread's stack lies below the first one's guard page.
    expect(
        nr::UNIX_EPOCH,
        [TOP - STRIDE - PAGE, 0, 0],
        Some(Errno::EFAULT),
    );
    let thread = patchwork::thread_create(waiting, 0);
    let _ = patchwork::yield_now();
    for (address, wanted) in [
        (TOP - STRIDE + PAGE, None),
        (TOP - STRIDE, Some(Errno::EFAULT)),
        (TOP - STRIDE - 50 * PAGE, None),
        (TOP - 2 * STRIDE, Some(Errno::EFAULT)),
        (TOP - 2 * STRIDE - PAGE, Some(Errno::EFAULT)),
    ] {
        expect(nr::UNIX_EPOCH, [address, 0, 0], wanted);
    }
    checks.equal(format_args!("thread"), thread.unwrap_or(0), 1);
    checks.finish()
}

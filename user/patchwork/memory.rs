//! Maps and unmaps memory of PatchworkOS over and over.
//!
//! Purpose: what its `benchmark` does (`specs/patchwork.md` §14): pairs of MMAP
//! and MUNMAP of several sizes, some of them touched at both ends; a kernel
//! that leaks a page or a table would not survive it.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_user::check::Checks;
use mayfly_user::{Patchwork, Process, patchwork};

mayfly_user::program!(Patchwork, run);

/// Sizes of the mappings, in pages.
const SIZES: [u64; 4] = [1, 4, 64, 1024];
/// One pair of so many is touched.
const TOUCHED: u64 = 8;
const PAGE: u64 = 4096;
/// READ and WRITE (§3).
const READ_WRITE: u64 = 3;

fn run(process: &Process<Patchwork>) -> i32 {
    let pairs = process.arguments().number(1).unwrap_or(10_000);
    let mut checks = Checks::new(process, "memory");
    let Ok(zero) = patchwork::open(c"/dev/zero") else {
        checks.holds(format_args!("/dev/zero can be opened"), false);
        return checks.finish();
    };
    for pages in SIZES {
        for pair in 0..pairs {
            let length = pages * PAGE;
            let Ok(start) = patchwork::map(zero, length, READ_WRITE) else {
                checks.holds(format_args!("{pages} pages are mapped"), false);
                continue;
            };
            let ends = [start, start + length - 8];
            for place in ends.into_iter().filter(|_| pair % TOUCHED == 0) {
                checks.equal(format_args!("{place:#x}"), exchange(place, place), 0);
            }
            // SAFETY: nothing refers to it.
            let unmapped = unsafe { patchwork::unmap(start, length) };
            checks.equal(format_args!("unmapped"), unmapped.unwrap_or(0), start);
        }
    }
    checks.finish()
}

/// Stores a word in mapped memory; says what was there.
fn exchange(address: u64, value: u64) -> u64 {
    let place = address as *mut u64;
    // SAFETY: the caller mapped it, to read and to write, for itself alone.
    unsafe { place.replace(value) }
}

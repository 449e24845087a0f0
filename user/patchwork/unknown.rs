//! Makes every PatchworkOS call that has no number.
//!
//! Purpose: all of them fail with ENOSYS, the first number after the last call
//! included (spec §1).
//! Neighbours: `user/lib/src/programs/unknown.rs` makes the calls.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::patchwork::{ERR, Errno};
use mayfly_user::programs::unknown;
use mayfly_user::{Patchwork, Process, patchwork};

mayfly_user::program!(Patchwork, run);

fn run(process: &Process<Patchwork>) -> i32 {
    // The thread's error number becomes another one, so that a call which does
    // not set it shows.
    let _ = patchwork::write(u64::MAX, b"");
    unknown::run(process, |_| ERR, |_| Errno::ENOSYS.code())
}

//! Makes every VeridianOS call that has no number.
//!
//! Purpose: all of them answer InvalidSyscall (spec §2.6).
//! Neighbours: `user/lib/src/programs/unknown.rs` makes the calls.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::SyscallError;
use mayfly_user::programs::unknown;
use mayfly_user::{Process, Veridian};

mayfly_user::program!(Veridian, run);

fn run(process: &Process<Veridian>) -> i32 {
    let error = SyscallError::InvalidSyscall;
    unknown::run(process, |_| error.word(), |_| error.code())
}

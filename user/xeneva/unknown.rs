//! Makes every XenevaOS service that has no number.
//!
//! Purpose: an empty slot answers 0, a number out of range -1 (spec §1.2).
//! Neighbours: `user/lib/src/programs/unknown.rs` makes the calls.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_abi::xeneva::{FAILED, LIMIT};
use mayfly_user::programs::unknown;
use mayfly_user::{Process, System, Xeneva};

mayfly_user::program!(Xeneva, run);

fn run(process: &Process<Xeneva>) -> i32 {
    unknown::run(process, answer, |number| Xeneva::error(answer(number)))
}

/// The number is a signed integer of 32 bits; higher bits do not count.
fn answer(number: u64) -> u64 {
    let low = number & u64::from(u32::MAX);
    if low < LIMIT { 0 } else { FAILED }
}

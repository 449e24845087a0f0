//! Makes every call that has no number.
//!
//! Purpose: all unassigned numbers below 256 and some that are far beyond,
//! each with arguments that would do harm if they were taken for something.
//! Neighbours: each interface's `unknown.rs` says what the answer must be.

use crate::check::Checks;
use crate::entry::Process;
use crate::system::System;

/// Numbers below this are all tried.
const SMALL: u64 = 256;

/// Numbers beyond: the ends of 31, 32, 63 and 64 bits, and numbers
/// whose low 32 bits are small.
const LARGE: [u64; 9] = [
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    (1 << 32) + SMALL,
    i64::MAX.cast_unsigned(),
    1 << 63,
    u64::MAX,
];

/// The program, given the result word and the error code that the interface
/// must answer for a number. Status 0 when it does.
pub fn run<S: System>(
    process: &Process<S>,
    answer: impl Fn(u64) -> u64,
    error: impl Fn(u64) -> u32,
) -> i32 {
    let mut checks = Checks::new(process, "unknown");
    let unassigned = (0..SMALL).filter(|&number| S::ABI.row(number).is_none());
    for number in unassigned.chain(LARGE) {
        // SAFETY: a number without a call does nothing with its arguments; if
        // it does, this program is there to find it.
        let result = unsafe { S::call(number, [u64::MAX; 6]) };
        checks.equal(format_args!("number {number:#x}"), result, answer(number));
        checks.error(
            format_args!("error of number {number:#x}"),
            S::error(result),
            error(number),
        );
    }
    checks.finish()
}

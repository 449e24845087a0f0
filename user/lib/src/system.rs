//! What the three interfaces have in common.
//!
//! Purpose: the few things that a program needs whatever it runs on, so that
//! one source serves all three. Neighbours: `xeneva.rs`, `patchwork.rs` and
//! `veridian.rs` implement it, `programs/` and `entry.rs` use it.

use mayfly_abi::Abi;

use crate::arguments::Arguments;
use crate::entry::Registers;

/// One system-call interface, seen from a program.
pub trait System: Copy + 'static {
    /// Which one.
    const ABI: Abi;

    /// Number of the cheapest call; it takes no argument and has no effect.
    const NULL: u64;

    /// Finds the program's arguments and whatever else the kernel hands over.
    ///
    /// # Safety
    /// `registers` are those with which the kernel started this process.
    unsafe fn begin(registers: &Registers) -> Arguments;

    /// Writes to standard output as much as it takes.
    fn write(bytes: &[u8]);

    /// Ends the process. An interface without a status drops it.
    fn exit(status: i32) -> !;

    /// Makes a raw call.
    ///
    /// # Safety
    /// The call writes to no memory but such as the caller may write to.
    unsafe fn call(number: u64, arguments: [u64; 6]) -> u64;

    /// Error code, as the interface counts them, of the call that just
    /// answered `result`; 0 if that is no error.
    fn error(result: u64) -> u32;
}

//! PatchworkOS system calls for programs (`specs/patchwork.md`).
//!
//! Purpose: thin typed wrappers over the calls in use, and what [`System`]
//! asks for. Neighbours: `stub.rs` below; `xeneva.rs` and `veridian.rs` are
//! the same for their interfaces.

use core::ffi::c_char;
use core::ptr;

use mayfly_abi::Abi;
use mayfly_abi::patchwork::{ERR, Errno, nr};

use crate::arguments::Arguments;
use crate::entry::Registers;
use crate::stub;
use crate::system::System;

/// Standard output.
pub const STDOUT: u64 = 1;

/// Makes a call that writes to no memory but such as this module lends it.
fn call(number: u64, a1: u64, a2: u64, a3: u64) -> u64 {
    // SAFETY: the callers in this module only make such calls.
    unsafe { stub::number_in_rax(number, [a1, a2, a3, 0, 0, 0]) }
}

/// Success, or the thread's error number; `None` is a number that the
/// specification does not have.
fn outcome(result: u64) -> Result<u64, Option<Errno>> {
    if result == ERR {
        Err(Errno::from_code(errno()))
    } else {
        Ok(result)
    }
}

/// Ends the process.
pub fn process_exit(status: i32) -> ! {
    loop {
        call(nr::PROCESS_EXIT, u64::from(status.cast_unsigned()), 0, 0);
    }
}

/// Sleeps; the error of a sleep that was not disturbed is `ETIMEDOUT`.
pub fn nanosleep(nanoseconds: u64) -> Option<Errno> {
    outcome(call(nr::NANOSLEEP, nanoseconds, 0, 0)).err()?
}

/// Error number of the thread's last failed call.
pub fn errno() -> u32 {
    let code = call(nr::ERRNO, 0, 0, 0);
    u32::try_from(code).unwrap_or(u32::MAX)
}

/// Id of the process.
pub fn getpid() -> u64 {
    call(nr::GETPID, 0, 0, 0)
}

/// Id of the thread within the process; the first one is 0.
pub fn gettid() -> u64 {
    call(nr::GETTID, 0, 0, 0)
}

/// Nanoseconds since boot.
pub fn uptime() -> u64 {
    call(nr::UPTIME, 0, 0, 0)
}

/// Seconds since 1970, stored in `time` too.
///
/// # Errors
/// None is expected of a good address.
pub fn unix_epoch(time: Option<&mut u64>) -> Result<u64, Option<Errno>> {
    let address = time.map_or(ptr::null_mut(), ptr::from_mut);
    outcome(call(
        nr::UNIX_EPOCH,
        address.expose_provenance() as u64,
        0,
        0,
    ))
}

/// Writes to a file; says how many bytes it took.
///
/// # Errors
/// Those of `WRITE` (§5).
pub fn write(fd: u64, bytes: &[u8]) -> Result<u64, Option<Errno>> {
    let address = bytes.as_ptr().expose_provenance() as u64;
    outcome(call(nr::WRITE, fd, address, bytes.len() as u64))
}

/// Gives the processor away.
///
/// # Errors
/// None is expected.
pub fn yield_now() -> Result<u64, Option<Errno>> {
    outcome(call(nr::YIELD, 0, 0, 0))
}

/// The interface.
#[derive(Clone, Copy, Debug)]
pub struct Patchwork;

impl System for Patchwork {
    const ABI: Abi = Abi::Patchwork;
    const NULL: u64 = nr::GETPID;

    unsafe fn begin(registers: &Registers) -> Arguments {
        let count = usize::try_from(registers.rdi).unwrap_or(0);
        let vector = registers.rsi as *const *const c_char;
        // SAFETY: a new process finds argc in RDI and argv in RSI (§6), and
        // nothing changes them.
        unsafe { Arguments::new(count, vector) }
    }

    fn write(mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // Nowhere is left to report a console that fails.
            let Ok(taken) = write(STDOUT, bytes) else {
                return;
            };
            let taken = usize::try_from(taken).unwrap_or(usize::MAX);
            bytes = bytes.get(taken.max(1)..).unwrap_or(&[]);
        }
    }

    fn exit(status: i32) -> ! {
        process_exit(status)
    }

    unsafe fn call(number: u64, arguments: [u64; 6]) -> u64 {
        // SAFETY: the caller's promise is the one asked for.
        unsafe { stub::number_in_rax(number, arguments) }
    }

    fn error(result: u64) -> u32 {
        if result == ERR { errno() } else { 0 }
    }
}

//! XenevaOS services for programs (`specs/xeneva.md`).
//!
//! Purpose: thin typed wrappers over the services in use, and what
//! [`System`] asks for. Neighbours: `stub.rs` below; `patchwork.rs` and
//! `veridian.rs` are the same for their interfaces.

use core::ffi::{CStr, c_char};

use mayfly_abi::Abi;
use mayfly_abi::xeneva::{FAILED, nr};

use crate::arguments::Arguments;
use crate::entry::Registers;
use crate::stub;
use crate::system::System;

/// A service failed; it does not say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Makes a service call that writes to no memory of the caller.
fn call(number: u64, arguments: [u64; 6]) -> u64 {
    // SAFETY: the callers in this module only make such calls.
    unsafe { stub::number_in_r12(number, arguments) }
}

fn outcome(result: u64) -> Result<u64, Failed> {
    if result == FAILED {
        Err(Failed)
    } else {
        Ok(result)
    }
}

/// Does nothing; answers 0.
pub fn null_call() -> u64 {
    call(nr::null_call, [0; 6])
}

/// Prints `format`, a `printf` template, with up to five values. A `%s` value
/// is the address of a NUL-terminated string.
///
/// # Errors
/// When an address is bad.
pub fn text_out(format: &CStr, [v1, v2, v3, v4, v5]: [u64; 5]) -> Result<(), Failed> {
    let format = format.as_ptr().addr() as u64;
    outcome(call(nr::SeTextOut, [format, v1, v2, v3, v4, v5])).map(|_| ())
}

/// Id of the calling thread, 16 bits.
///
/// # Errors
/// When there is none.
pub fn get_thread_id() -> Result<u64, Failed> {
    outcome(call(nr::GetThreadID, [0; 6]))
}

/// Id of the calling process.
///
/// # Errors
/// When there is none.
pub fn get_process_id() -> Result<u64, Failed> {
    outcome(call(nr::GetProcessID, [0; 6]))
}

/// Ends the process, unless this is a sub-thread (1) or the first process (0).
pub fn process_exit() -> u64 {
    call(nr::ProcessExit, [0; 6])
}

/// Sleeps.
///
/// # Errors
/// When the time is zero.
pub fn process_sleep(milliseconds: u64) -> Result<u64, Failed> {
    outcome(call(nr::ProcessSleep, [milliseconds, 0, 0, 0, 0, 0]))
}

/// The interface.
#[derive(Clone, Copy, Debug)]
pub struct Xeneva;

impl System for Xeneva {
    const ABI: Abi = Abi::Xeneva;
    const NULL: u64 = nr::null_call;

    unsafe fn begin(registers: &Registers) -> Arguments {
        let words = registers.rsp as *const usize;
        // SAFETY: argc is the word at the stack pointer of a new process (§6).
        let count = unsafe { words.read() };
        // SAFETY: the word above it exists too: it is argv.
        let vector = unsafe { words.add(1) };
        // SAFETY: as above.
        let vector = unsafe { vector.cast::<*const *const c_char>().read() };
        // SAFETY: the kernel made argc and argv, and nothing changes them (§6).
        unsafe { Arguments::new(count, vector) }
    }

    /// Text goes through `%s`, as `SeTextOut` would interpret a `%` in it. A
    /// NUL cannot be passed and is left out.
    fn write(bytes: &[u8]) {
        let mut text = [0; 256];
        for piece in bytes.split(|&byte| byte == 0) {
            for piece in piece.chunks(text.len() - 1) {
                text[..piece.len()].copy_from_slice(piece);
                text[piece.len()] = 0;
                let address = text.as_ptr().expose_provenance() as u64;
                // Nowhere is left to report a console that fails.
                let _ = text_out(c"%s", [address, 0, 0, 0, 0]);
            }
        }
    }

    fn exit(_status: i32) -> ! {
        loop {
            // It returns only where a process may not end itself.
            process_exit();
        }
    }

    unsafe fn call(number: u64, arguments: [u64; 6]) -> u64 {
        // SAFETY: the caller's promise is the one asked for.
        unsafe { stub::number_in_r12(number, arguments) }
    }

    fn error(result: u64) -> u32 {
        u32::from(result == FAILED)
    }
}

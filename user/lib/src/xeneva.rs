//! XenevaOS services for programs (`specs/xeneva.md`).
//!
//! Purpose: thin typed wrappers over the services in use, and what
//! [`System`] asks for. Neighbours: `stub.rs` below; `patchwork.rs` and
//! `veridian.rs` are the same for their interfaces.

pub mod memory;
pub mod thread;

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

/// Makes a service call that writes to no memory but such as this module lends it.
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
    let format = format.as_ptr().expose_provenance() as u64;
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

/// Makes a process that has no image yet; says its id.
///
/// # Errors
/// When there is no memory for it.
pub fn create_process(name: &CStr) -> Result<i32, Failed> {
    let name = name.as_ptr().expose_provenance() as u64;
    let pid = outcome(call(nr::CreateProcess, [0, name, 0, 0, 0, 0]))?;
    i32::try_from(pid).map_err(|_| Failed)
}

/// Loads an executable, whose name ends with `.exe`, into a new process and
/// lets it run. Arguments come behind the path.
///
/// # Errors
/// When it cannot be loaded; the process is gone then.
pub fn load_exec(pid: i32, path: &CStr, arguments: &[*const c_char]) -> Result<u64, Failed> {
    let path = path.as_ptr().expose_provenance() as u64;
    let argv = arguments.as_ptr().expose_provenance() as u64;
    let (argc, pid) = (arguments.len() as u64, word(pid));
    outcome(call(nr::ProcessLoadExec, [pid, path, argc, argv, 0, 0]))
}

/// Waits until a process is over; -1 is any, which is reaped.
///
/// # Errors
/// None is expected.
pub fn wait_for_termination(pid: i32) -> Result<u64, Failed> {
    let words = [word(pid), 0, 0, 0, 0, 0];
    outcome(call(nr::ProcessWaitForTermination, words))
}

/// Gives another process an open file.
///
/// # Errors
/// When there is no such file, descriptor or process, or it has a file there.
pub fn set_file_to_process(fd: i32, dest: i32, pid: i32) -> Result<u64, Failed> {
    let words = [word(fd), word(dest), word(pid), 0, 0, 0];
    outcome(call(nr::SetFileToProcess, words))
}

/// Opens a file to read (2), to write (4), or made if it is not there (8).
///
/// # Errors
/// When that cannot be.
pub fn open_file(path: &CStr, mode: u64) -> Result<i32, Failed> {
    let path = path.as_ptr().expose_provenance() as u64;
    let fd = outcome(call(nr::OpenFile, [path, mode, 0, 0, 0, 0]))?;
    i32::try_from(fd).map_err(|_| Failed)
}

/// Closes a file.
pub fn close_file(fd: i32) {
    call(nr::CloseFile, [word(fd), 0, 0, 0, 0, 0]);
}

/// Reads from a file; says how many bytes came, 0 at its end or in vain.
pub fn read_file(fd: i32, buffer: &mut [u8]) -> usize {
    let address = buffer.as_mut_ptr().expose_provenance() as u64;
    let words = [word(fd), address, buffer.len() as u64, 0, 0, 0];
    let count = call(nr::ReadFile, words);
    usize::try_from(count).map_or(0, |count| count.min(buffer.len()))
}

/// Writes to a file; says how many bytes it took, 0 in vain.
pub fn write_file(fd: i32, bytes: &[u8]) -> u64 {
    let address = bytes.as_ptr().expose_provenance() as u64;
    let words = [word(fd), address, bytes.len() as u64, 0, 0, 0];
    call(nr::WriteFile, words)
}

/// A number as an argument; negative ones are sign-extended.
fn word(number: i32) -> u64 {
    i64::from(number).cast_unsigned()
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

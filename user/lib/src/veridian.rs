//! VeridianOS system calls for programs (`specs/veridian.md`).
//!
//! Purpose: thin typed wrappers over the calls that every program makes, and
//! what [`System`] asks for; the others are in `veridian/`. Neighbours: `stub.rs` below; `xeneva.rs` and `patchwork.rs` are
//! the same for their interfaces.

pub mod capability;
pub mod family;
pub mod image;
pub mod ipc;
pub mod memory;
pub mod process;
pub mod thread;

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use mayfly_abi::Abi;
use mayfly_abi::veridian::{
    ERROR_BIT, START_MAGIC, StartInfo, SyscallError, Timespec, UNASSIGNED, nr,
};

use crate::arguments::Arguments;
use crate::entry::Registers;
use crate::stub;
use crate::system::System;

/// Token of the console: the first that was granted (§7.4). 0 is none.
static CONSOLE: AtomicU64 = AtomicU64::new(0);
/// Address of the start info.
static START: AtomicU64 = AtomicU64::new(0);

/// Makes a call that writes to no memory but such as this module lends it.
fn call(number: u64, [a1, a2, a3, a4]: [u64; 4]) -> u64 {
    // SAFETY: the callers in this module only make such calls.
    unsafe { stub::number_in_rax(number, [a1, a2, a3, a4, 0, 0]) }
}

/// Makes a call that needs all six words; what it writes to is lent to it.
fn call_all(number: u64, words: [u64; 6]) -> u64 {
    // SAFETY: the callers in this module only make calls that write to memory
    // of their own.
    unsafe { stub::number_in_rax(number, words) }
}

/// Success, or the error; `None` is a code that the specification does not have.
fn outcome(result: u64) -> Result<u64, Option<SyscallError>> {
    match error_code(result) {
        0 => Ok(result),
        code => Err(SyscallError::from_code(code)),
    }
}

/// Low half of a result word whose top bit says "error" (§2.2), else 0.
fn error_code(result: u64) -> u32 {
    if result & ERROR_BIT == 0 {
        return 0;
    }
    u32::try_from(result & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Token of the console, 0 if the process has none.
pub fn console() -> u64 {
    CONSOLE.load(Ordering::Relaxed)
}

/// What the process was started with (§7.4).
pub fn start_info() -> StartInfo {
    let info = START.load(Ordering::Relaxed) as *const StartInfo;
    // SAFETY: the entry code has stored the address that the kernel gave it.
    unsafe { info.read() }
}

/// The tokens that the process was granted, in the order of its creator.
pub fn granted() -> &'static [u64] {
    let info = start_info();
    let count = usize::try_from(info.granted_count).unwrap_or(0);
    // SAFETY: so many tokens lie there, and nothing changes them.
    unsafe { core::slice::from_raw_parts(info.granted as *const u64, count) }
}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    loop {
        call(nr::EXIT, [u64::from(code.cast_unsigned()), 0, 0, 0]);
    }
}

/// Writes to a device, file or memory object; says how many bytes it took.
///
/// # Errors
/// Those of `SYS_WRITE` (§5).
pub fn write(token: u64, bytes: &[u8], offset: u64) -> Result<u64, Option<SyscallError>> {
    let address = bytes.as_ptr().expose_provenance() as u64;
    outcome(call(
        nr::WRITE,
        [token, address, bytes.len() as u64, offset],
    ))
}

/// Reads from a device, file or memory object; says how many bytes came.
///
/// # Errors
/// Those of `SYS_READ` (§5).
pub fn read(token: u64, buffer: &mut [u8], offset: u64) -> Result<u64, Option<SyscallError>> {
    let (address, room) = (buffer.as_mut_ptr().expose_provenance() as u64, buffer.len());
    outcome(call(nr::READ, [token, address, room as u64, offset]))
}

/// Reads a clock of [`mayfly_abi::veridian::clock`].
///
/// # Errors
/// When there is no such clock.
pub fn clock_get(clock: u64) -> Result<Timespec, Option<SyscallError>> {
    let mut time = Timespec::default();
    let address = ptr::from_mut(&mut time).expose_provenance() as u64;
    outcome(call(nr::CLOCK_GET, [clock, address, 0, 0]))?;
    Ok(time)
}

/// Sleeps.
///
/// # Errors
/// When the duration is none.
pub fn nanosleep(duration: &Timespec) -> Result<u64, Option<SyscallError>> {
    let address = ptr::from_ref(duration).expose_provenance() as u64;
    outcome(call(nr::NANOSLEEP, [address, 0, 0, 0]))
}

/// Gives the processor away.
///
/// # Errors
/// None is expected.
pub fn yield_now() -> Result<u64, Option<SyscallError>> {
    outcome(call(nr::YIELD, [0; 4]))
}

/// The interface.
#[derive(Clone, Copy, Debug)]
pub struct Veridian;

impl System for Veridian {
    const ABI: Abi = Abi::Veridian;
    /// A number without a row: §11.5 takes this as the empty call.
    const NULL: u64 = UNASSIGNED;

    unsafe fn begin(registers: &Registers) -> Arguments {
        START.store(registers.rdi, Ordering::Relaxed);
        let info = registers.rdi as *const StartInfo;
        // SAFETY: a new process finds the address of its StartInfo in RDI (§7.4).
        let info = unsafe { info.read() };
        assert_eq!(info.magic, START_MAGIC, "start info");
        if info.granted_count > 0 {
            // SAFETY: the start info says that a token lies there.
            let token = unsafe { (info.granted as *const u64).read() };
            CONSOLE.store(token, Ordering::Relaxed);
        }
        let count = usize::try_from(info.argc).unwrap_or(0);
        // SAFETY: the start info says that argc pointers lie at argv, and
        // nothing changes them.
        unsafe { Arguments::new(count, info.argv as *const _) }
    }

    fn write(mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // Nowhere is left to report a console that fails.
            let Ok(taken) = write(console(), bytes, 0) else {
                return;
            };
            let taken = usize::try_from(taken).unwrap_or(usize::MAX);
            bytes = bytes.get(taken.max(1)..).unwrap_or(&[]);
        }
    }

    fn exit(status: i32) -> ! {
        exit(status)
    }

    unsafe fn call(number: u64, arguments: [u64; 6]) -> u64 {
        // SAFETY: the caller's promise is the one asked for.
        unsafe { stub::number_in_rax(number, arguments) }
    }

    fn error(result: u64) -> u32 {
        error_code(result)
    }
}

//! PatchworkOS system calls for programs (`specs/patchwork.md`).
//!
//! Purpose: thin typed wrappers over the calls in use, and what [`System`]
//! asks for. Neighbours: `stub.rs` below; `xeneva.rs` and `veridian.rs` are
//! the same for their interfaces.

pub mod files;

use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::AtomicU64;

use mayfly_abi::Abi;
use mayfly_abi::patchwork::{ERR, Errno, nr};

use crate::arguments::Arguments;
use crate::entry::Registers;
use crate::stub;
use crate::system::System;

/// Standard input.
pub const STDIN: u64 = 0;
/// Standard output.
pub const STDOUT: u64 = 1;
/// Bytes that are read or written at once where a pipe may be: it refuses 4,096.
pub const PIPE_PART: usize = 2048;

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

/// Waits at most `timeout` nanoseconds until a file is ready for one of
/// `events`; says which came about, 0 for none.
///
/// # Errors
/// Those of `POLL` (§5).
pub fn poll(fd: u64, events: u32, timeout: u64) -> Result<u32, Option<Errno>> {
    // The descriptor, what is asked, what is answered.
    let mut pollfd = [fd, u64::from(events)];
    let address = pollfd.as_mut_ptr().expose_provenance() as u64;
    outcome(call(nr::POLL, address, 1, timeout))?;
    Ok(u32::try_from(pollfd[1] >> 32).unwrap_or(0))
}

/// Gives the processor away.
///
/// # Errors
/// None is expected.
pub fn yield_now() -> Result<u64, Option<Errno>> {
    outcome(call(nr::YIELD, 0, 0, 0))
}

/// Opens a file; `path` ends with a NUL.
///
/// # Errors
/// Those of `OPEN` (§5).
pub fn open(path: &CStr) -> Result<u64, Option<Errno>> {
    let address = path.as_ptr().expose_provenance() as u64;
    outcome(call(nr::OPEN, address, 0, 0))
}

/// Opens both ends of a file; `path` ends with a NUL.
///
/// # Errors
/// Those of `OPEN2` (§5).
pub fn open2(path: &CStr) -> Result<[u64; 2], Option<Errno>> {
    let mut ends = [0; 2];
    let (path, out) = (path.as_ptr().expose_provenance(), ends.as_mut_ptr());
    outcome(call(
        nr::OPEN2,
        path as u64,
        out.expose_provenance() as u64,
        0,
    ))?;
    Ok(ends)
}

/// Reads from a file; says how many bytes came, 0 at its end.
///
/// # Errors
/// Those of `READ` (§5).
pub fn read(fd: u64, buffer: &mut [u8]) -> Result<usize, Option<Errno>> {
    let address = buffer.as_mut_ptr().expose_provenance() as u64;
    let count = outcome(call(nr::READ, fd, address, buffer.len() as u64))?;
    Ok(usize::try_from(count).map_or(0, |count| count.min(buffer.len())))
}

/// Closes a descriptor.
///
/// # Errors
/// Those of `CLOSE` (§5).
pub fn close(fd: u64) -> Result<u64, Option<Errno>> {
    outcome(call(nr::CLOSE, fd, 0, 0))
}

/// Gives a file another descriptor.
///
/// # Errors
/// Those of `DUP` (§5).
pub fn dup(fd: u64) -> Result<u64, Option<Errno>> {
    outcome(call(nr::DUP, fd, 0, 0))
}

/// Gives a file that descriptor, whatever it named before.
///
/// # Errors
/// Those of `DUP2` (§5).
pub fn dup2(old: u64, new: u64) -> Result<u64, Option<Errno>> {
    outcome(call(nr::DUP2, old, new, 0))
}

/// Flags of [`spawn`] (§3).
pub mod spawn_flags {
    /// The child waits for `start`.
    pub const SUSPEND: u32 = 1;
    /// No descriptors.
    pub const EMPTY_FDS: u32 = 2;
    /// The standard descriptors only.
    pub const STDIO_FDS: u32 = 4;
    /// No namespace.
    pub const EMPTY_NS: u32 = 8;
    /// No environment.
    pub const EMPTY_ENV: u32 = 16;
    /// The root as working directory.
    pub const EMPTY_CWD: u32 = 32;
}

/// Most arguments of [`spawn`].
const ARGUMENTS_MAX: usize = 15;

/// Starts a process; says its id. The first argument is the executable's path.
///
/// # Errors
/// Those of `SPAWN` (§5); `E2BIG` for more than 15 arguments.
pub fn spawn(arguments: &[&CStr], flags: u32) -> Result<u64, Option<Errno>> {
    let mut array = [ptr::null(); ARGUMENTS_MAX + 1];
    let places = array[..ARGUMENTS_MAX].get_mut(..arguments.len());
    for (place, argument) in places.ok_or(Some(Errno::E2BIG))?.iter_mut().zip(arguments) {
        *place = argument.as_ptr();
    }
    let address = array.as_ptr().expose_provenance() as u64;
    outcome(call(nr::SPAWN, address, flags.into(), 0))
}

/// The same for any number of arguments: the words of `array` are addresses of
/// strings, and the last one is 0.
///
/// # Errors
/// Those of `SPAWN` (§5); `EINVAL` without a last 0.
pub fn spawn_array(array: &[usize], flags: u32) -> Result<u64, Option<Errno>> {
    if array.last() != Some(&0) {
        return Err(Some(Errno::EINVAL));
    }
    let address = array.as_ptr().expose_provenance() as u64;
    outcome(call(nr::SPAWN, address, flags.into(), 0))
}

/// Maps memory of a file wherever there is room; says where.
///
/// # Errors
/// Those of `MMAP` (§8).
pub fn map(fd: u64, length: u64, prot: u64) -> Result<u64, Option<Errno>> {
    // SAFETY: nothing that exists is replaced.
    let result = unsafe { stub::number_in_rax(nr::MMAP, [fd, 0, length, prot, 0, 0]) };
    address(result)
}

/// Ends a mapping.
///
/// # Errors
/// Those of `MUNMAP` (§5).
///
/// # Safety
/// Nothing in that memory is used any more.
pub unsafe fn unmap(start: u64, length: u64) -> Result<u64, Option<Errno>> {
    address(call(nr::MUNMAP, start, length, 0))
}

/// Success of a call that returns an address, or the error number.
fn address(result: u64) -> Result<u64, Option<Errno>> {
    match result {
        0 => Err(Errno::from_code(errno())),
        address => Ok(address),
    }
}

/// Starts a thread at an entry that [`thread!`](crate::thread) made.
///
/// # Errors
/// Those of `THREAD_CREATE` (§5).
pub fn thread_create(
    entry: unsafe extern "sysv64" fn() -> !,
    argument: u64,
) -> Result<u64, Option<Errno>> {
    let entry = (entry as *const ()).expose_provenance() as u64;
    outcome(call(nr::THREAD_CREATE, entry, argument, 0))
}

/// Ends the thread.
pub fn thread_exit() -> ! {
    loop {
        call(nr::THREAD_EXIT, 0, 0, 0);
    }
}

/// Waits until a word is woken, if it is `value`, at most so long.
///
/// # Errors
/// Those of `FUTEX` (§7).
pub fn futex_wait(word: &AtomicU64, value: u64, timeout: u64) -> Result<u64, Option<Errno>> {
    let address = word.as_ptr().expose_provenance() as u64;
    // SAFETY: the call writes nowhere.
    outcome(unsafe { stub::number_in_rax(nr::FUTEX, [address, value, 0, timeout, 0, 0]) })
}

/// Wakes everyone who waits at a word; says how many that were.
///
/// # Errors
/// None is expected.
pub fn futex_wake(word: &AtomicU64) -> Result<u64, Option<Errno>> {
    let address = word.as_ptr().expose_provenance() as u64;
    // SAFETY: the call writes nowhere.
    outcome(unsafe { stub::number_in_rax(nr::FUTEX, [address, u64::MAX, 1, 0, 0, 0]) })
}

/// Makes an entry for threads: `fn $body(argument: u64)` runs, then the thread ends.
#[macro_export]
macro_rules! thread {
    ($entry:ident, $body:ident) => {
        /// First instructions of a thread: the stack is brought into the shape
        /// that a function expects.
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $entry() -> ! {
            unsafe extern "sysv64" fn started(argument: u64) -> ! {
                $body(argument);
                $crate::patchwork::thread_exit()
            }
            core::arch::naked_asm!("call {started}", "ud2", started = sym started)
        }
    };
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

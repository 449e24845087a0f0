//! Prints its arguments with the calls of a PatchworkOS binary, in their order.
//!
//! Purpose: what `specs/patchwork.md` §13 and §14 say of a real `echo`: its
//! first calls look for the standard streams with empty writes, its last ones
//! flush and close them, and every lock and look at errno asks for the thread.
//! With `--closed` first, descriptors 0 to 2 are closed before it all begins.
//! Neighbours: `harness/tests/patchwork/golden.rs` has the transcript.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::patchwork::{ERR, Errno, nr};
use mayfly_user::{Patchwork, Process, System, patchwork};

mayfly_user::program!(Patchwork, run);

/// Descriptors of the standard streams.
const STREAMS: [u64; 3] = [0, 1, 2];
/// Bytes of a stream's buffer.
const BUFFER: usize = 1024;
/// The empty buffer that a stream is flushed from.
static EMPTY: [u8; 16] = [0; 16];

fn run(process: &Process<Patchwork>) -> i32 {
    let arguments = process.arguments();
    let closed = arguments.get(1) == Some(b"--closed");
    if closed {
        for fd in STREAMS {
            call(nr::CLOSE, [fd, 0, 0]);
        }
    }
    start();
    let mut line = [0; BUFFER];
    let mut length = 0;
    for (index, word) in arguments.iter().skip(1 + usize::from(closed)).enumerate() {
        let space: &[u8] = if index > 0 { b" " } else { b"" };
        for byte in space.iter().chain(word) {
            if let Some(place) = line.get_mut(length) {
                *place = *byte;
                length += 1;
            }
        }
    }
    locked(|| write(1, &line[..length]));
    finish();
    0
}

/// `_std_init`.
fn start() {
    patchwork::uptime();
    patchwork::gettid();
    for fd in STREAMS {
        if call(nr::WRITE, [fd, 0, 0]) == ERR {
            let error = patchwork::errno();
            // It is stored in the thread's errno, and read from there.
            patchwork::gettid();
            patchwork::gettid();
            if error == Errno::EBADF.code() {
                open(c"/dev/null");
            }
        }
    }
    for _ in STREAMS {
        // Each enters the list of all streams.
        locked(|| ());
    }
    open(c"/dev/zero");
}

/// `exit`, as far as the call that ends it all.
fn finish() {
    // The list of functions to be called is locked for good.
    patchwork::gettid();
    for fd in STREAMS {
        locked(|| {
            if fd > 0 {
                write(fd, &EMPTY[..0]);
            }
        });
        locked(|| {
            call(nr::CLOSE, [fd, 0, 0]);
        });
    }
}

/// Does something under a mutex, whose both ends ask which thread this is.
fn locked(work: impl FnOnce()) {
    patchwork::gettid();
    work();
    patchwork::gettid();
}

fn open(path: &core::ffi::CStr) {
    let path = path.as_ptr().expose_provenance() as u64;
    call(nr::OPEN, [path, 0, 0]);
}

fn write(fd: u64, bytes: &[u8]) {
    let address = bytes.as_ptr().expose_provenance() as u64;
    call(nr::WRITE, [fd, address, bytes.len() as u64]);
}

/// A raw call: what fails is not asked for its reason unless libstd would.
fn call(number: u64, [a1, a2, a3]: [u64; 3]) -> u64 {
    // SAFETY: no call of this program writes to its memory.
    unsafe { Patchwork::call(number, [a1, a2, a3, 0, 0, 0]) }
}

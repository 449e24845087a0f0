//! Copies between kernel and user memory that survive any pointer.
//!
//! The copy routine is in `trap.s`; a page fault or general-protection fault
//! inside it ends the copy and says how much is missing. With SMAP, user
//! memory is accessible only inside these brackets.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

use mayfly_core::frame::TrapFrame;

static SMAP: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn user_copy(to: *mut u8, from: *const u8, length: usize) -> usize;
    fn user_probe(address: u64, write: bool) -> u32;
    static user_copy_words: [u8; 0];
    static user_copy_bytes: [u8; 0];
    static user_copy_words_fault: [u8; 0];
    static user_copy_bytes_fault: [u8; 0];
    static user_probe_load: [u8; 0];
    static user_probe_store: [u8; 0];
    static user_probe_fault: [u8; 0];
}

pub(crate) fn set_smap(on: bool) {
    SMAP.store(on, Ordering::Relaxed);
}

/// Copies user memory at `address` to `buffer`; says how many bytes were copied.
pub(crate) fn read(address: u64, buffer: &mut [u8]) -> usize {
    // SAFETY: the buffer is ours, and a fault on the user side ends the copy.
    let missing =
        bracketed(|| unsafe { user_copy(buffer.as_mut_ptr(), address as *const u8, buffer.len()) });
    buffer.len() - missing
}

/// Copies `length` bytes of user memory at `address` to kernel memory; says how
/// many bytes were copied.
///
/// # Safety
/// `to..+length` is the caller's to write, and no reference to it exists.
pub(crate) unsafe fn read_raw(address: u64, to: *mut u8, length: usize) -> usize {
    // SAFETY: the caller has the destination, and a fault on the user side ends the copy.
    let missing = bracketed(|| unsafe { user_copy(to, address as *const u8, length) });
    length - missing
}

/// The byte of user memory at `address` can be read, and written if `write`.
pub(crate) fn probe(address: u64, write: bool) -> bool {
    // SAFETY: a byte in the user half, where no Rust object lives, is written
    // back as it was read; nobody writes in between on the one processor.
    bracketed(|| unsafe { user_probe(address, write) }) == 0
}

/// Copies `bytes` to user memory at `address`; says how many bytes were copied.
pub(crate) fn write(address: u64, bytes: &[u8]) -> usize {
    // SAFETY: core checked that the range is in the user half, where no Rust
    // object lives, and a fault there ends the copy.
    let missing =
        bracketed(|| unsafe { user_copy(address as *mut u8, bytes.as_ptr(), bytes.len()) });
    bytes.len() - missing
}

#[inline(always)]
fn bracketed<T>(copy: impl FnOnce() -> T) -> T {
    let smap = SMAP.load(Ordering::Relaxed);
    if smap {
        // SAFETY: STAC exists where SMAP does; it only sets RFLAGS.AC.
        unsafe { asm!("stac", options(nomem, nostack)) };
    }
    let result = copy();
    if smap {
        // SAFETY: as above; clears RFLAGS.AC again.
        unsafe { asm!("clac", options(nomem, nostack)) };
    }
    result
}

/// If `frame` is a fault inside the copy routine, sends it to the routine's end.
pub(crate) fn fix_up(frame: &mut TrapFrame) -> bool {
    if !matches!(frame.vector, 13 | 14) {
        return false;
    }
    let landing = if frame.rip == (&raw const user_copy_words) as u64 {
        &raw const user_copy_words_fault
    } else if frame.rip == (&raw const user_copy_bytes) as u64 {
        &raw const user_copy_bytes_fault
    } else if frame.rip == (&raw const user_probe_load) as u64
        || frame.rip == (&raw const user_probe_store) as u64
    {
        &raw const user_probe_fault
    } else {
        return false;
    };
    frame.rip = landing as u64;
    true
}

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
    static user_copy_words: [u8; 0];
    static user_copy_bytes: [u8; 0];
    static user_copy_words_fault: [u8; 0];
    static user_copy_bytes_fault: [u8; 0];
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

/// Copies `bytes` to user memory at `address`; says how many bytes were copied.
pub(crate) fn write(address: u64, bytes: &[u8]) -> usize {
    // SAFETY: core checked that the range is in the user half, where no Rust
    // object lives, and a fault there ends the copy.
    let missing =
        bracketed(|| unsafe { user_copy(address as *mut u8, bytes.as_ptr(), bytes.len()) });
    bytes.len() - missing
}

fn bracketed(copy: impl FnOnce() -> usize) -> usize {
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
    } else {
        return false;
    };
    frame.rip = landing as u64;
    true
}

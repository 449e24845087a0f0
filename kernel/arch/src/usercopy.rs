//! Copies between kernel and user memory that survive any pointer.
//!
//! The copy routine is in `trap.s`; a page fault or general-protection fault
//! inside it ends the copy and says how much is missing. A few words, and the
//! byte that a probe looks at, are accessed in place: a table of the image
//! (`fixups`) says where each such access goes on after a fault. With SMAP,
//! user memory is accessible only inside these brackets.

use core::arch::asm;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use mayfly_core::frame::TrapFrame;

static SMAP: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn user_copy(to: *mut u8, from: *const u8, length: usize) -> usize;
    static user_copy_words: [u8; 0];
    static user_copy_bytes: [u8; 0];
    static user_copy_words_fault: [u8; 0];
    static user_copy_bytes_fault: [u8; 0];
    /// From the linker script: all of `fixups`.
    static fixups_start: Fixup;
    static fixups_end: Fixup;
}

/// An instruction that may fault on user memory, and where to go on then.
#[derive(Clone, Copy)]
#[repr(C)]
struct Fixup {
    instruction: u64,
    landing: u64,
}

/// Enters the instruction at a local label in the table; it lands at `{fault}`.
macro_rules! fixup {
    ($label:literal) => {
        concat!(
            ".pushsection .fixups, \"a\", @progbits; .quad ",
            $label,
            "b, {fault}; .popsection"
        )
    };
}

pub(crate) fn set_smap(on: bool) {
    SMAP.store(on, Ordering::Relaxed);
}

/// SMAP is on: what the functions here ask for, as `smap`, so that whoever
/// copies often has it at hand.
pub(crate) fn smap() -> bool {
    SMAP.load(Ordering::Relaxed)
}

/// Copies user memory at `address` to `buffer`; says how many bytes were copied.
#[inline(always)]
pub(crate) fn read(smap: bool, address: u64, buffer: &mut [u8]) -> usize {
    let (to, from) = (buffer.as_mut_ptr(), address as *const u8);
    // SAFETY: the buffer is ours, and a fault on the user side ends the copy.
    let missing = bracketed(smap, || unsafe { user_copy(to, from, buffer.len()) });
    buffer.len() - missing
}

/// Copies `length` bytes of user memory at `address` to kernel memory; says how
/// many bytes were copied.
///
/// # Safety
/// `to..+length` is the caller's to write, and no reference to it exists.
pub(crate) unsafe fn read_raw(smap: bool, address: u64, to: *mut u8, length: usize) -> usize {
    // SAFETY: the caller has the destination, and a fault on the user side ends the copy.
    let missing = bracketed(smap, || unsafe {
        user_copy(to, address as *const u8, length)
    });
    length - missing
}

/// The byte of user memory at `address` can be read, and written if `write`.
#[inline(always)]
pub(crate) fn probe(smap: bool, address: u64, write: bool) -> bool {
    bracketed(smap, || {
        if !write {
            // SAFETY: only reads; a fault, anywhere in the user half, leads out.
            unsafe {
                asm!(
                    "2: mov {byte}, [{address}]",
                    fixup!(2),
                    byte = out(reg_byte) _,
                    address = in(reg) address,
                    fault = label { return false },
                    options(nostack, preserves_flags),
                );
            }
            return true;
        }
        // SAFETY: a byte in the user half, where no Rust object lives, is
        // written back as it was read; nobody writes in between on the one
        // processor. A fault leads out.
        unsafe {
            asm!(
                "2: mov {byte}, [{address}]",
                "3: mov [{address}], {byte}",
                fixup!(2),
                fixup!(3),
                byte = out(reg_byte) _,
                address = in(reg) address,
                fault = label { return false },
                options(nostack, preserves_flags),
            );
        }
        true
    })
}

/// Words of user memory at `address`; `None` after a fault.
#[inline(always)]
pub(crate) fn read_words<const N: usize>(smap: bool, address: u64) -> Option<[u64; N]> {
    let mut words = MaybeUninit::<[u64; N]>::uninit();
    let read = bracketed(smap, || {
        // SAFETY: the destination is ours and has room; a fault leads out.
        unsafe {
            asm!(
                "2: rep movsq",
                fixup!(2),
                inout("rcx") N => _,
                inout("rsi") address => _,
                inout("rdi") words.as_mut_ptr() => _,
                fault = label { return false },
                options(nostack, preserves_flags),
            );
        }
        true
    });
    // SAFETY: without a fault all of it was written.
    read.then(|| unsafe { words.assume_init() })
}

/// Copies words to user memory at `address`; false after a fault.
#[inline(always)]
pub(crate) fn write_words<const N: usize>(smap: bool, address: u64, words: &[u64; N]) -> bool {
    bracketed(smap, || {
        // SAFETY: core checked that the range is in the user half, where no
        // Rust object lives; a fault leads out.
        unsafe {
            asm!(
                "2: rep movsq",
                fixup!(2),
                inout("rcx") N => _,
                inout("rsi") words.as_ptr() => _,
                inout("rdi") address => _,
                fault = label { return false },
                options(nostack, preserves_flags),
            );
        }
        true
    })
}

/// Copies `bytes` to user memory at `address`; says how many bytes were copied.
#[inline(always)]
pub(crate) fn write(smap: bool, address: u64, bytes: &[u8]) -> usize {
    let (to, from) = (address as *mut u8, bytes.as_ptr());
    // SAFETY: core checked that the range is in the user half, where no Rust
    // object lives, and a fault there ends the copy.
    let missing = bracketed(smap, || unsafe { user_copy(to, from, bytes.len()) });
    bytes.len() - missing
}

#[inline(always)]
fn bracketed<T>(smap: bool, copy: impl FnOnce() -> T) -> T {
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

/// If `frame` is a fault inside the copy routine, sends it to the routine's
/// end; if it is one of the table's, to where that says.
pub(crate) fn fix_up(frame: &mut TrapFrame) -> bool {
    if !matches!(frame.vector, 13 | 14) {
        return false;
    }
    frame.rip = if frame.rip == (&raw const user_copy_words) as u64 {
        (&raw const user_copy_words_fault) as u64
    } else if frame.rip == (&raw const user_copy_bytes) as u64 {
        (&raw const user_copy_bytes_fault) as u64
    } else {
        match fixups().iter().find(|fixup| fixup.instruction == frame.rip) {
            Some(fixup) => fixup.landing,
            None => return false,
        }
    };
    true
}

fn fixups() -> &'static [Fixup] {
    let start = &raw const fixups_start;
    let bytes = (&raw const fixups_end) as usize - start as usize;
    // SAFETY: the linker script puts both symbols around whole entries, which
    // are constant.
    unsafe { core::slice::from_raw_parts(start, bytes / size_of::<Fixup>()) }
}

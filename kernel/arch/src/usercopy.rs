//! Copies between kernel and user memory that survive any pointer.
//!
//! The copy routine is in `trap.s`; a page fault or general-protection fault
//! inside it ends the copy and says how much is missing. A few words, and the
//! byte that a probe looks at, are accessed in place: a table of the image
//! (`fixups`) says where each such access goes on after a fault. With SMAP,
//! user memory is accessible only inside these brackets.

use core::arch::asm;
use core::hint::cold_path;

use mayfly_core::frame::TrapFrame;

use crate::cpu::Owned;

/// Not atomic, so that it is tested where it lies.
static SMAP: Owned<bool> = Owned::new(false);

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
    // SAFETY: boot, one processor: nothing reads it meanwhile.
    unsafe { SMAP.0.get().write(on) };
}

/// Shuts user memory after a trap: ring 3 may have set the flag that STAC sets, and
/// only SYSCALL clears it.
#[inline(always)]
pub(crate) fn close() {
    if smap() {
        // SAFETY: it is as it is whenever no copy is being made.
        unsafe { asm!("clac", options(nomem, nostack)) };
    }
}

/// SMAP is on: what the functions here ask for, as `smap`.
#[inline(always)]
pub(crate) fn smap() -> bool {
    // SAFETY: nothing writes it after boot.
    unsafe { SMAP.0.get().read() }
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
        if write {
            return probe_write(address);
        }
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
        true
    })
}

/// The bytes of user memory at all of these addresses can be written.
#[inline(always)]
pub(crate) fn probe_all<const N: usize>(smap: bool, addresses: [u64; N]) -> bool {
    bracketed(smap, || addresses.into_iter().all(probe_write))
}

/// See [`probe`].
#[inline(always)]
fn probe_write(address: u64) -> bool {
    // SAFETY: a byte in the user half, where no Rust object lives, is written
    // back as it was read; nobody writes in between on the one processor. A
    // fault leads out, as an address that is not canonical does.
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
}

/// As [`read`]; false after a fault. Whole words are copied where it is called.
#[inline(always)]
pub(crate) fn read_inline(smap: bool, address: u64, buffer: &mut [u8]) -> bool {
    if !buffer.len().is_multiple_of(8) {
        return read(smap, address, buffer) == buffer.len();
    }
    let (to, from) = (buffer.as_mut_ptr(), address as *const u64);
    // SAFETY: the destination is ours and has room, whatever its alignment; a
    // fault leads out.
    bracketed(smap, || unsafe {
        copy_words(to.cast(), from, buffer.len() / 8)
    })
}

/// Copies bytes to user memory, and words to another place of it; false after a
/// fault.
#[inline(always)]
pub(crate) fn write_both(
    smap: bool,
    (at, bytes): (u64, &[u8]),
    (place, words): (u64, &[u64]),
) -> bool {
    let is_whole = bytes.len().is_multiple_of(8);
    if !is_whole && write(smap, at, bytes) != bytes.len() {
        return false;
    }
    bracketed(smap, || {
        // SAFETY: core checked that the range is in the user half, where no
        // Rust object lives; a fault leads out.
        let done = !is_whole
            || unsafe { copy_words(at as *mut u64, bytes.as_ptr().cast(), bytes.len() / 8) };
        // SAFETY: as above.
        done && unsafe { copy_words(place as *mut u64, words.as_ptr(), words.len()) }
    })
}

/// Copies words; false after a fault.
///
/// # Safety
/// What is not user memory is the caller's to read or to write.
#[inline(always)]
unsafe fn copy_words(to: *mut u64, from: *const u64, count: usize) -> bool {
    // SAFETY: the caller's; a fault leads out.
    unsafe {
        asm!(
            "2: rep movsq",
            fixup!(2),
            inout("rcx") count => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            fault = label { return false },
            options(nostack, preserves_flags),
        );
    }
    true
}

/// Four words of user memory at `address`, the last of which is `u64::MAX` after
/// a fault. They come to registers, which an instruction that leads to a label
/// of Rust cannot have.
#[inline(always)]
pub(crate) fn read_four(smap: bool, address: u64) -> [u64; 4] {
    bracketed(smap, || {
        let (first, second, third, fourth): (u64, u64, u64, u64);
        // SAFETY: only reads; a fault, anywhere in the user half, leads to `6`.
        unsafe {
            asm!(
                "2: mov {first}, [{address}]",
                "3: mov {second}, [{address} + 8]",
                "4: mov {third}, [{address} + 16]",
                "5: mov {fourth}, [{address} + 24]",
                "7:",
                ".pushsection .text.fixups, \"ax\", @progbits",
                "6: mov {fourth}, -1",
                "jmp 7b",
                ".popsection",
                ".pushsection .fixups, \"a\", @progbits",
                ".quad 2b, 6b, 3b, 6b, 4b, 6b, 5b, 6b",
                ".popsection",
                address = in(reg) address,
                first = out(reg) first,
                second = out(reg) second,
                third = out(reg) third,
                fourth = lateout(reg) fourth,
                options(nostack, preserves_flags, readonly),
            );
        }
        [first, second, third, fourth]
    })
}

/// Copies words to user memory at `address`; false after a fault.
#[inline(always)]
pub(crate) fn write_words<const N: usize>(smap: bool, address: u64, words: &[u64; N]) -> bool {
    bracketed(smap, || {
        // SAFETY: core checked that the range is in the user half, where no
        // Rust object lives; a fault leads out.
        unsafe { copy_words(address as *mut u64, words.as_ptr(), N) }
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
        cold_path();
        // SAFETY: STAC exists where SMAP does; it only sets RFLAGS.AC.
        unsafe { asm!("stac", options(nomem, nostack)) };
    }
    let result = copy();
    if smap {
        cold_path();
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

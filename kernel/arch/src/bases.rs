//! FS and GS bases of threads, where ring 3 may set them.
//!
//! Without FSGSBASE no thread can have a base other than zero, and nothing is
//! saved. With it they are part of a thread's registers (specs/veridian.md C5).
//! The kernel's own GS is in place for three instructions of its entry only, so
//! what is read here is the thread's.

use core::arch::asm;

use crate::cpu::Owned;

/// Not atomic, so that it is tested where it lies.
static FSGSBASE: Owned<bool> = Owned::new(false);

/// Bases of a thread that is not running.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Bases {
    fs: u64,
    gs: u64,
}

/// CR4.FSGSBASE is set.
pub(crate) fn set_available() {
    // SAFETY: boot, one processor: nothing reads it meanwhile.
    unsafe { FSGSBASE.0.get().write(true) };
}

/// CR4.FSGSBASE is set: what [`switch`] asks for.
#[inline(always)]
pub(crate) fn available() -> bool {
    // SAFETY: nothing writes it after boot.
    unsafe { FSGSBASE.0.get().read() }
}

/// Takes the bases of `previous` and gives the processor those of `next`.
#[inline(always)]
pub(crate) fn switch(previous: Option<&mut Bases>, next: &Bases) {
    if let Some(previous) = previous {
        *previous = read();
    }
    write(next);
}

fn read() -> Bases {
    let (fs, gs);
    // SAFETY: the instruction exists where CR4.FSGSBASE is set; it only reads.
    unsafe { asm!("rdfsbase {}", out(reg) fs, options(nomem, nostack, preserves_flags)) };
    // SAFETY: as above.
    unsafe { asm!("rdgsbase {}", out(reg) gs, options(nomem, nostack, preserves_flags)) };
    Bases { fs, gs }
}

fn write(bases: &Bases) {
    // SAFETY: the instruction exists where CR4.FSGSBASE is set; the kernel uses
    // neither segment, and a base that was read is canonical.
    unsafe { asm!("wrfsbase {}", in(reg) bases.fs, options(nomem, nostack, preserves_flags)) };
    // SAFETY: as above.
    unsafe { asm!("wrgsbase {}", in(reg) bases.gs, options(nomem, nostack, preserves_flags)) };
}

//! Traps: the frame they leave, why ring 3 was left, faults of the kernel itself.
//!
//! The stubs are in `trap.s`. A trap from ring 3 ends `user::run`; a trap from
//! ring 0 comes to `kernel_trap` here: device interrupts in a window that the
//! kernel opened, faults of a user copy, and defects, which end the machine.

use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, Ordering};

use mayfly_core::frame::TrapFrame;
use mayfly_core::port::Owner;
use mayfly_machine::layout;
use x86_64::registers::control::Cr2;

use crate::cpu::{CpuLocal, USER_CS, USER_SS};
use crate::user::UserContext;
use crate::{apic, cpu, user, usercopy};

/// Page fault.
pub const PAGE_FAULT: u64 = 14;
/// First vector of an interrupt; exceptions are below.
pub(crate) const FIRST_INTERRUPT: u64 = 32;
/// Pseudo vector: the first system call by `SYSCALL` as the architecture has it.
pub(crate) const REASON_FIRST: u64 = 0xff;
/// Pseudo vector: a system call by `SYSCALL` as the architecture has it.
pub const REASON_SYSCALL: u64 = 0x100;
/// Pseudo vector: a system call on a host with the `SYSCALL` quirk.
pub const REASON_QUIRK: u64 = 0x101;

/// Flags that a program may set for itself: CF PF AF ZF SF TF DF OF AC ID.
const FLAGS_KEPT: u32 = 0x0024_0dd5;
/// Flags that are always set in ring 3: bit 1 and IF.
const FLAGS_SET: u32 = 0x202;

global_asm!(
    include_str!("trap.s"),
    kernel_rsp = const offset_of!(CpuLocal, kernel_rsp),
    frame_end = const offset_of!(CpuLocal, frame_end),
    scratch = const offset_of!(CpuLocal, scratch),
    frame_size = const size_of::<TrapFrame>(),
    vector = const offset_of!(TrapFrame, vector),
    leave = const user::LEAVE,
    r15 = const offset_of!(TrapFrame, r15),
    r11 = const offset_of!(TrapFrame, r11),
    rcx = const offset_of!(TrapFrame, rcx),
    error = const offset_of!(TrapFrame, error),
    rip = const offset_of!(TrapFrame, rip),
    cs = const offset_of!(TrapFrame, cs),
    rflags = const offset_of!(TrapFrame, rflags),
    rsp = const offset_of!(TrapFrame, rsp),
    flags_kept = const FLAGS_KEPT,
    flags_set = const FLAGS_SET,
    reason_first = const REASON_FIRST,
    reason_syscall = const REASON_SYSCALL,
    reason_quirk = const REASON_QUIRK,
    user_cs = const USER_CS,
    user_ss = const USER_SS,
    vectors_low = const (layout::KERNEL_BASE + layout::KERNEL_LOAD) & 0xffff_ffff,
);

/// What to do about a defect of the kernel: report and end the machine.
pub type FatalHandler = fn(&TrapFrame, u64) -> !;

static FATAL: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Installs the handler of faults inside the kernel. It gets the frame and CR2.
pub fn on_fatal(handler: FatalHandler) {
    FATAL.store(handler as *mut (), Ordering::Relaxed);
}

/// Called by `trap.s` for every trap from ring 0.
#[unsafe(no_mangle)]
extern "C" fn kernel_trap(frame: &mut TrapFrame) {
    if apic::acknowledge(frame.vector) || usercopy::fix_up(frame) {
        return;
    }
    let address = Cr2::read_raw();
    let handler = FATAL.load(Ordering::Relaxed);
    if !handler.is_null() {
        // SAFETY: only `on_fatal` stores here, and what it stores is a FatalHandler.
        let handler = unsafe { core::mem::transmute::<*mut (), FatalHandler>(handler) };
        handler(frame, address);
    }
    crate::serial::write(b"mayfly-kernel: fault before the panic handler was there\n");
    crate::exit::exit(mayfly_machine::exit::EXIT_FAULT)
}

/// Address that the last page fault accessed.
pub fn fault_address() -> u64 {
    Cr2::read_raw()
}

/// A copy of the frame of the thread that ran last, for last words.
pub fn last_frame() -> Option<TrapFrame> {
    let end = cpu::current_frame_end();
    let start = end.checked_sub(size_of::<TrapFrame>() as u64)?;
    // SAFETY: `cpu::install` was given a context that still exists.
    Some(unsafe { *(start as *const TrapFrame) })
}

/// The thread that ran last, for last words.
pub fn last_owner() -> Option<Owner> {
    let end = cpu::current_frame_end();
    if end == 0 {
        return None;
    }
    // SAFETY: as in `last_frame`.
    Some(unsafe { UserContext::owner_at(end) })
}

/// The pseudo vectors of a system call.
pub fn is_syscall(vector: u64) -> bool {
    matches!(vector, REASON_SYSCALL | REASON_QUIRK)
}

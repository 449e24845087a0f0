//! Ring 3 as a function that returns a reason.

use alloc::boxed::Box;
use core::arch::asm;
use core::mem::offset_of;

use mayfly_core::frame::TrapFrame;
use mayfly_core::port::{Owner, Reason};

use crate::bases::{self, Bases};
use crate::cpu::{self, USER_CS, USER_SS};
use crate::{apic, trap, usercopy};

unsafe extern "C" {
    fn user_enter(frame: *mut TrapFrame);
    fn user_leave_any();
}

/// Where a context has how its thread is left for, from its frame on: behind
/// the frame is no room.
#[expect(
    clippy::cast_possible_wrap,
    reason = "a context is a few hundred bytes"
)]
pub(crate) const LEAVE: isize =
    offset_of!(UserContext, leave) as isize - offset_of!(UserContext, frame) as isize;

/// Flags of a new thread: IF and bit 1.
const RFLAGS: u64 = 0x202;
/// Initial x87 control word (FNINIT) and MXCSR.
const FCW: u16 = 0x37f;
const MXCSR: u32 = 0x1f80;

/// FXSAVE image.
#[repr(C, align(16))]
struct Fpu {
    fcw: u16,
    state: [u16; 11],
    mxcsr: u32,
    rest: [u32; 121],
}

const _: () = assert!(size_of::<Fpu>() == 512);

/// Registers of a thread: general, vector and control, in a place that does
/// not move (the processor stores into it).
#[repr(C, align(64))]
pub struct UserContext {
    fpu: Fpu,
    bases: Bases,
    /// How ring 3 is entered: a routine of trap.s.
    leave: u64,
    /// Whose they are; all zeros is nobody yet.
    owner: Owner,
    /// Room for what IRETQ's own fault pushes below the frame (trap.s, `3:`).
    pad: [u64; 8],
    frame: TrapFrame,
}

impl UserContext {
    /// A context with all registers zero, ready for ring 3.
    pub fn boxed() -> Box<Self> {
        // SAFETY: all fields are integers, for which zeros are valid.
        let mut this = unsafe { Box::<Self>::new_zeroed().assume_init() };
        this.fpu.fcw = FCW;
        this.fpu.mxcsr = MXCSR;
        this.frame.cs = u64::from(USER_CS);
        this.frame.ss = u64::from(USER_SS);
        this.frame.rflags = RFLAGS;
        this.leave = leave_any();
        this
    }

    /// The general registers.
    pub fn frame(&self) -> &TrapFrame {
        &self.frame
    }

    /// The general registers, to change.
    pub fn frame_mut(&mut self) -> &mut TrapFrame {
        &mut self.frame
    }

    /// Notes whose registers these are.
    pub(crate) fn name(&mut self, owner: Owner) {
        self.owner = owner;
    }

    /// Whose frame ends at an address that [`frame_end`](Self::frame_end) said.
    ///
    /// # Safety
    /// Its context still exists.
    pub(crate) unsafe fn owner_at(frame_end: u64) -> Owner {
        let behind = offset_of!(Self, frame) + size_of::<TrapFrame>();
        let context = (frame_end - behind as u64) as *const Self;
        // SAFETY: the caller has the context, which is not borrowed: its thread
        // does not run.
        unsafe { (*context).owner }
    }

    /// Address just behind the frame.
    pub(crate) fn frame_end(&self) -> u64 {
        (&raw const self.frame) as u64 + size_of::<TrapFrame>() as u64
    }
}

/// Makes `context` the processor's: its frame receives traps, its vector
/// registers are loaded. The ones of `previous` are saved into it.
#[inline(always)]
pub(crate) fn switch(
    has_bases: bool,
    mut previous: Option<&mut UserContext>,
    context: &UserContext,
) {
    if has_bases {
        let saved = previous.as_deref_mut().map(|previous| &mut previous.bases);
        bases::switch(saved, &context.bases);
    }
    if let Some(previous) = previous {
        // SAFETY: the area is 512 bytes, 16-aligned, and the kernel itself is
        // built without vector registers, so they are still the thread's.
        unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut previous.fpu, options(nostack)) };
    }
    // SAFETY: the area was written by FXSAVE or by `new`, which is the initial state.
    unsafe { asm!("fxrstor64 [{}]", in(reg) &raw const context.fpu, options(nostack)) };
    // SAFETY: contexts are boxed, and the scheduler keeps the running one alive.
    unsafe { cpu::install(context) };
}

/// Runs ring 3 on `context`, which `switch` has installed, until it traps.
#[inline(always)]
pub(crate) fn run(context: &mut UserContext) -> Reason {
    // SAFETY: the frame holds user segments and harmless flags (its fields are
    // set only by `new`, by traps, and through `TrapFrame`, whose selectors and
    // flags core does not touch); `user_enter` keeps RBX, RBP and RSP.
    unsafe {
        asm!(
            "call {enter}",
            // Where trap.s goes on after anything but a call; the linker sees to it
            // that there is one.
            ".pushsection .user_trapped, \"a\", @progbits",
            ".quad {trap}",
            ".popsection",
            enter = sym user_enter,
            trap = label { return trapped(context) },
            inout("rdi") &raw mut context.frame => _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("C"),
        );
    }
    Reason::Syscall
}

/// Why ring 3 was left, if not for a call by the usual way.
#[inline(never)]
fn trapped(context: &mut UserContext) -> Reason {
    usercopy::close();
    if context.frame.vector == trap::REASON_FIRST {
        cpu::syscall_is_native();
        context.frame.vector = trap::REASON_SYSCALL;
        return Reason::Syscall;
    }
    context.leave = leave_any();
    match context.frame.vector {
        vector @ trap::FIRST_INTERRUPT.. => {
            apic::acknowledge(vector);
            Reason::Interrupt
        }
        _ => Reason::Fault,
    }
}

/// The way to ring 3 that needs nothing to be as a call leaves it.
fn leave_any() -> u64 {
    user_leave_any as *const () as u64
}

//! The registers of a thread as a trap leaves them.

/// General registers and the processor's own trap frame, lowest address first.
/// `kernel/arch/src/trap.s` pushes them in this order.
///
/// Core changes general registers, `rip` and `rsp` only; `cs`, `ss` and
/// `rflags` belong to `kernel/arch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(16))]
#[expect(
    missing_docs,
    reason = "the fields are the registers they are named after"
)]
pub struct TrapFrame {
    /// Why ring 3 was left: an exception or interrupt vector, or a pseudo
    /// vector of `kernel/arch` for a system call.
    pub vector: u64,
    /// Error code of an exception that has one, else 0. Not kept for a call.
    pub error: u64,
    /// Not kept for a call, which returns with RFLAGS here.
    pub r11: u64,
    /// Not kept for a call, which returns with RIP here.
    pub rcx: u64,
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rbx: u64,
    /// In the place where the processor pushes an error code.
    pub rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

// The processor aligns its stack to 16 bytes before it pushes a frame.
const _: () = assert!(size_of::<TrapFrame>().is_multiple_of(16));

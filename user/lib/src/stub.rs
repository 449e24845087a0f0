//! The SYSCALL instruction, once per convention.
//!
//! Purpose: put the words of a call where the convention says and take the
//! result. Neighbours: the interfaces' modules beside this file; the places
//! are those of `mayfly_abi::convention`, which the guest's own tests compare.

use core::arch::asm;

/// Number in RAX, arguments in RDI, RSI, RDX, R10, R8 and R9 (PatchworkOS
/// §1, VeridianOS §1). RAX, RCX and R11 change, nothing else.
///
/// # Safety
/// The call writes to no memory but such as the caller may write to.
#[inline(always)]
pub unsafe fn number_in_rax(number: u64, arguments: [u64; 6]) -> u64 {
    let [a1, a2, a3, a4, a5, a6] = arguments;
    let result;
    // SAFETY: the caller answers for what the call writes; the kernel changes
    // no register but those named, and no stack memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a1,
            in("rsi") a2,
            in("rdx") a3,
            in("r10") a4,
            in("r8") a5,
            in("r9") a6,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Number in R12, arguments in R13, R14, R15, RDI and on the stack at +40 and
/// +48 (XenevaOS §1.1). R12 to R15 and RDI stay the caller's (§1.4); RDX, R8,
/// R9 and R10 count as changed, as the original kernel changes them.
///
/// # Safety
/// The call writes to no memory but such as the caller may write to.
#[inline(always)]
pub unsafe fn number_in_r12(number: u64, arguments: [u64; 6]) -> u64 {
    let [a1, a2, a3, a4, a5, a6] = arguments;
    let result;
    // SAFETY: the caller answers for what the call writes; the stack words lie
    // below the stack pointer, which is put back.
    unsafe {
        asm!(
            "sub rsp, 64",
            "mov [rsp + 40], {a5}",
            "mov [rsp + 48], {a6}",
            "syscall",
            "add rsp, 64",
            a5 = in(reg) a5,
            a6 = in(reg) a6,
            in("r12") number,
            in("r13") a1,
            in("r14") a2,
            in("r15") a3,
            in("rdi") a4,
            lateout("rax") result,
            lateout("rcx") _,
            lateout("rdx") _,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
        );
    }
    result
}

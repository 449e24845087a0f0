//! The ring-3 code that makes raw system calls for the host.
//!
//! Purpose: make one call with the registers that the kernel's agent set, and
//! take the time on either side of the instruction. The agent (`kernel/src`)
//! starts a thread at the entry point with RBP = address of a mailbox and the
//! call's words in all other registers but RAX and RDX, which this code needs
//! and loads from the mailbox. It knows the call is over by the #UD at
//! `probe_done`, which lies `DONE` bytes before the entry point.
//!
//! The mailbox, in 64-bit words: 0 RAX of the call, 1 RDX of the call, 2 result,
//! 3 TSC before, 4 TSC after. The program has no stack, no data, and no ABI
//! note: it speaks whatever its process speaks.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod probe {
    use core::mem::offset_of;

    /// Words that the agent and the code below share.
    #[repr(C)]
    struct Mailbox {
        rax: u64,
        rdx: u64,
        result: u64,
        before_tsc: u64,
        after_tsc: u64,
    }

    /// Bytes from the UD2 that says "done" to the entry point.
    const DONE: usize = 2;

    core::arch::global_asm!(
        ".section .text.probe, \"ax\", @progbits",
        ".globl probe_done",
        "probe_done:",
        "ud2",
        ".globl _start",
        "_start:",
        ".if _start - probe_done - {done}",
        ".error \"the entry point is not where the agent expects it\"",
        ".endif",
        "lfence",
        "rdtsc",
        "shl rdx, 32",
        "or rax, rdx",
        "mov [rbp + {before}], rax",
        "mov rax, [rbp + {rax}]",
        "mov rdx, [rbp + {rdx}]",
        "syscall",
        "mov [rbp + {result}], rax",
        "lfence",
        "rdtsc",
        "shl rdx, 32",
        "or rax, rdx",
        "mov [rbp + {after}], rax",
        "jmp probe_done",
        done = const DONE,
        rax = const offset_of!(Mailbox, rax),
        rdx = const offset_of!(Mailbox, rdx),
        result = const offset_of!(Mailbox, result),
        before = const offset_of!(Mailbox, before_tsc),
        after = const offset_of!(Mailbox, after_tsc),
    );

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    mayfly_user::not_here!()
}

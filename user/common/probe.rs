//! The ring-3 code that makes raw system calls for the host.
//!
//! Purpose: make one call with the registers that it is told, and take the time
//! on either side of the instruction. The kernel starts a thread at the entry
//! point with RBP = address of the mailbox ([`mayfly_abi::mailbox`]) and the
//! call's words in all other registers but RAX and RDX, which this code needs
//! and loads from the mailbox; or `LOADING_ENTRY` bytes behind it, where all
//! words are loaded from there. It knows the call is over by the #UD at
//! `probe_done`, which lies just before the entry point.
//!
//! The program has no stack, no data, and no ABI note: it speaks whatever its
//! process speaks.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod probe {
    use core::mem::offset_of;

    use mayfly_abi::mailbox::{LOADING_ENTRY, Mailbox, STOP_BEFORE_ENTRY};

    core::arch::global_asm!(
        ".section .text.probe, \"ax\", @progbits",
        ".balign {loading}",
        ".skip {loading} - {stop}",
        ".globl probe_done",
        "probe_done:",
        "ud2",
        ".globl _start",
        "_start:",
        ".if _start - probe_done - {stop}",
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
        // Fails to assemble if the code above is longer.
        ".org _start + {loading}",
        "mov rdi, [rbp + {rdi}]",
        "mov rsi, [rbp + {rsi}]",
        "mov r8, [rbp + {r8}]",
        "mov r9, [rbp + {r9}]",
        "mov r10, [rbp + {r10}]",
        "mov r12, [rbp + {r12}]",
        "mov r13, [rbp + {r13}]",
        "mov r14, [rbp + {r14}]",
        "mov r15, [rbp + {r15}]",
        "jmp _start",
        stop = const STOP_BEFORE_ENTRY,
        loading = const LOADING_ENTRY,
        rax = const offset_of!(Mailbox, rax),
        rdx = const offset_of!(Mailbox, rdx),
        result = const offset_of!(Mailbox, result),
        before = const offset_of!(Mailbox, before_tsc),
        after = const offset_of!(Mailbox, after_tsc),
        rdi = const offset_of!(Mailbox, rdi),
        rsi = const offset_of!(Mailbox, rsi),
        r8 = const offset_of!(Mailbox, r8),
        r9 = const offset_of!(Mailbox, r9),
        r10 = const offset_of!(Mailbox, r10),
        r12 = const offset_of!(Mailbox, r12),
        r13 = const offset_of!(Mailbox, r13),
        r14 = const offset_of!(Mailbox, r14),
        r15 = const offset_of!(Mailbox, r15),
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

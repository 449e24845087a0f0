//! Sets every register, does something, reads every register back.
//!
//! Purpose: prove that a system call or a preemption changes nothing that it
//! must not: general registers, flags, XMM registers, both rounding controls,
//! and the stack around the stack pointer with its red zone. Neighbours:
//! `registers.rs` makes the patterns; `programs/registers.rs` and
//! `programs/preempt.rs` compare.

use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

use mayfly_abi::convention::Slot;

use crate::registers::{Frame, MXCSR, Noise};
use crate::system::System;

/// Words of the stack that lie below the stack pointer: twice the red zone.
const BELOW: usize = 32;
/// Words of the stack in all.
const STACK: usize = 64;

/// What the assembly below works on: at fixed addresses, as no register is
/// left to point anywhere.
struct Exchange {
    before: UnsafeCell<Frame>,
    after: UnsafeCell<Frame>,
    stack: UnsafeCell<[u64; STACK]>,
    /// The caller's stack pointer, meanwhile.
    caller: UnsafeCell<u64>,
    /// Turns that the spinning takes.
    turns: UnsafeCell<u64>,
}

// SAFETY: a program that exchanges its registers has one thread.
unsafe impl Sync for Exchange {}

static EXCHANGE: Exchange = Exchange {
    before: UnsafeCell::new(Frame::ZERO),
    after: UnsafeCell::new(Frame::ZERO),
    stack: UnsafeCell::new([0; STACK]),
    caller: UnsafeCell::new(0),
    turns: UnsafeCell::new(0),
};

/// A function that loads every register from `EXCHANGE.before`, executes some
/// instructions, and stores every register to `EXCHANGE.after`. By the System V
/// convention; callee-saved registers, flags and rounding controls are put back.
macro_rules! exchange {
    ($(#[$doc:meta])* $name:ident, $($instruction:literal),+ $(; $($extra:tt)+)?) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name() {
            naked_asm!(
                "push rbx", "push rbp", "push r12", "push r13", "push r14", "push r15",
                "mov [rip + {it} + {caller}], rsp",
                "push qword ptr [rip + {it} + {before} + {flags}]",
                "ldmxcsr [rip + {it} + {before} + {mxcsr}]",
                "fldcw [rip + {it} + {before} + {control}]",
                "movups xmm0, [rip + {it} + {before} + {vector}]",
                "movups xmm1, [rip + {it} + {before} + {vector} + 16]",
                "movups xmm2, [rip + {it} + {before} + {vector} + 32]",
                "movups xmm3, [rip + {it} + {before} + {vector} + 48]",
                "movups xmm4, [rip + {it} + {before} + {vector} + 64]",
                "movups xmm5, [rip + {it} + {before} + {vector} + 80]",
                "movups xmm6, [rip + {it} + {before} + {vector} + 96]",
                "movups xmm7, [rip + {it} + {before} + {vector} + 112]",
                "movups xmm8, [rip + {it} + {before} + {vector} + 128]",
                "movups xmm9, [rip + {it} + {before} + {vector} + 144]",
                "movups xmm10, [rip + {it} + {before} + {vector} + 160]",
                "movups xmm11, [rip + {it} + {before} + {vector} + 176]",
                "movups xmm12, [rip + {it} + {before} + {vector} + 192]",
                "movups xmm13, [rip + {it} + {before} + {vector} + 208]",
                "movups xmm14, [rip + {it} + {before} + {vector} + 224]",
                "movups xmm15, [rip + {it} + {before} + {vector} + 240]",
                "mov rax, [rip + {it} + {before} + {rax}]",
                "mov rbx, [rip + {it} + {before} + {rbx}]",
                "mov rcx, [rip + {it} + {before} + {rcx}]",
                "mov rdx, [rip + {it} + {before} + {rdx}]",
                "mov rsi, [rip + {it} + {before} + {rsi}]",
                "mov rdi, [rip + {it} + {before} + {rdi}]",
                "mov rbp, [rip + {it} + {before} + {rbp}]",
                "mov r8, [rip + {it} + {before} + {r8}]",
                "mov r9, [rip + {it} + {before} + {r9}]",
                "mov r10, [rip + {it} + {before} + {r10}]",
                "mov r11, [rip + {it} + {before} + {r11}]",
                "mov r12, [rip + {it} + {before} + {r12}]",
                "mov r13, [rip + {it} + {before} + {r13}]",
                "mov r14, [rip + {it} + {before} + {r14}]",
                "mov r15, [rip + {it} + {before} + {r15}]",
                "popfq",
                "mov rsp, [rip + {it} + {before} + {rsp}]",
                $($instruction,)+
                "mov [rip + {it} + {after} + {rsp}], rsp",
                "mov rsp, [rip + {it} + {caller}]",
                "pushfq",
                "pop qword ptr [rip + {it} + {after} + {flags}]",
                "cld",
                "mov [rip + {it} + {after} + {rax}], rax",
                "mov [rip + {it} + {after} + {rbx}], rbx",
                "mov [rip + {it} + {after} + {rcx}], rcx",
                "mov [rip + {it} + {after} + {rdx}], rdx",
                "mov [rip + {it} + {after} + {rsi}], rsi",
                "mov [rip + {it} + {after} + {rdi}], rdi",
                "mov [rip + {it} + {after} + {rbp}], rbp",
                "mov [rip + {it} + {after} + {r8}], r8",
                "mov [rip + {it} + {after} + {r9}], r9",
                "mov [rip + {it} + {after} + {r10}], r10",
                "mov [rip + {it} + {after} + {r11}], r11",
                "mov [rip + {it} + {after} + {r12}], r12",
                "mov [rip + {it} + {after} + {r13}], r13",
                "mov [rip + {it} + {after} + {r14}], r14",
                "mov [rip + {it} + {after} + {r15}], r15",
                "movups [rip + {it} + {after} + {vector}], xmm0",
                "movups [rip + {it} + {after} + {vector} + 16], xmm1",
                "movups [rip + {it} + {after} + {vector} + 32], xmm2",
                "movups [rip + {it} + {after} + {vector} + 48], xmm3",
                "movups [rip + {it} + {after} + {vector} + 64], xmm4",
                "movups [rip + {it} + {after} + {vector} + 80], xmm5",
                "movups [rip + {it} + {after} + {vector} + 96], xmm6",
                "movups [rip + {it} + {after} + {vector} + 112], xmm7",
                "movups [rip + {it} + {after} + {vector} + 128], xmm8",
                "movups [rip + {it} + {after} + {vector} + 144], xmm9",
                "movups [rip + {it} + {after} + {vector} + 160], xmm10",
                "movups [rip + {it} + {after} + {vector} + 176], xmm11",
                "movups [rip + {it} + {after} + {vector} + 192], xmm12",
                "movups [rip + {it} + {after} + {vector} + 208], xmm13",
                "movups [rip + {it} + {after} + {vector} + 224], xmm14",
                "movups [rip + {it} + {after} + {vector} + 240], xmm15",
                "stmxcsr [rip + {it} + {after} + {mxcsr}]",
                "fnstcw [rip + {it} + {after} + {control}]",
                "fninit",
                "push {clean_mxcsr}",
                "ldmxcsr [rsp]",
                "pop rax",
                "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx",
                "ret",
                it = sym EXCHANGE,
                before = const offset_of!(Exchange, before),
                after = const offset_of!(Exchange, after),
                caller = const offset_of!(Exchange, caller),
                vector = const offset_of!(Frame, vector),
                rax = const offset_of!(Frame, rax),
                rbx = const offset_of!(Frame, rbx),
                rcx = const offset_of!(Frame, rcx),
                rdx = const offset_of!(Frame, rdx),
                rsi = const offset_of!(Frame, rsi),
                rdi = const offset_of!(Frame, rdi),
                rbp = const offset_of!(Frame, rbp),
                rsp = const offset_of!(Frame, rsp),
                r8 = const offset_of!(Frame, r8),
                r9 = const offset_of!(Frame, r9),
                r10 = const offset_of!(Frame, r10),
                r11 = const offset_of!(Frame, r11),
                r12 = const offset_of!(Frame, r12),
                r13 = const offset_of!(Frame, r13),
                r14 = const offset_of!(Frame, r14),
                r15 = const offset_of!(Frame, r15),
                flags = const offset_of!(Frame, flags),
                mxcsr = const offset_of!(Frame, mxcsr),
                control = const offset_of!(Frame, control),
                clean_mxcsr = const MXCSR,
                $($($extra)+)?
            )
        }
    };
}

exchange! {
    /// Makes a system call with the registers as they are.
    make_call, "syscall"
}

exchange! {
    /// Counts `EXCHANGE.turns` down in memory, so that no register changes.
    spin,
    "2:",
    "sub qword ptr [rip + {it} + {turns}], 1",
    "jnz 2b";
    turns = const offset_of!(Exchange, turns),
}

/// What the registers and the stack were before and after.
#[derive(Clone, Copy, Debug)]
pub struct Exchanged {
    /// Registers before.
    pub before: Frame,
    /// Registers after.
    pub after: Frame,
    /// Words of the stack that changed.
    pub stack_changes: u64,
}

/// What the stack pointer is for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// In a stack that is filled by a pattern.
    Good,
    /// An address that nothing may be read from or written to.
    At(u64),
}

/// Runs one of the two functions above with registers from `before`. The words
/// `above` go to the good stack, so many bytes above the stack pointer.
///
/// # Safety
/// The program has one thread. What `run` does with the registers is harmless.
unsafe fn exchanged(
    mut before: Frame,
    run: unsafe extern "sysv64" fn(),
    stack: Stack,
    above: &[(u64, u64)],
) -> Exchanged {
    let mut noise = Noise(before.rbx);
    let mut words = [0; STACK].map(|_: u64| noise.draw());
    for &(offset, word) in above {
        let index = usize::try_from(offset / 8).map_or(STACK, |index| BELOW + index);
        if let Some(at) = words.get_mut(index) {
            *at = word;
        }
    }
    let base = EXCHANGE.stack.get().expose_provenance();
    before.rsp = match stack {
        Stack::Good => (base + BELOW * size_of::<u64>()) as u64,
        Stack::At(address) => address,
    };

    // SAFETY: one thread, and no reference to the cell exists.
    unsafe { EXCHANGE.stack.get().write(words) };
    // SAFETY: as above.
    unsafe { EXCHANGE.before.get().write(before) };
    // SAFETY: the function uses the cells alone and keeps the caller's
    // registers as its convention says; the caller answers for the rest.
    unsafe { run() };
    // SAFETY: one thread, and no reference to the cell exists.
    let after = unsafe { EXCHANGE.after.get().read() };
    // SAFETY: as above.
    let words_after = unsafe { EXCHANGE.stack.get().read() };

    let pairs = words.iter().zip(&words_after);
    Exchanged {
        before,
        after,
        stack_changes: pairs.filter(|(old, new)| old != new).count() as u64,
    }
}

/// Makes a call of `S` with all other registers set to a pattern.
///
/// # Safety
/// The program has one thread, and the call writes to no memory but such as
/// the caller may write to.
pub unsafe fn call<S: System>(
    stack: Stack,
    seed: u64,
    number: u64,
    arguments: &[u64],
) -> Exchanged {
    let convention = S::ABI.convention();
    let mut before = Frame::pattern(seed);
    let mut above = [(0, 0); 2];
    let mut count = 0;
    before.set(convention.number, number);
    for (slot, &word) in convention.arguments.iter().zip(arguments) {
        match *slot {
            Slot::Register(register) => before.set(register, word),
            Slot::Stack(offset) => {
                above[count] = (offset, word);
                count += 1;
            }
        }
    }
    // SAFETY: the caller's promise is the one asked for.
    unsafe { exchanged(before, make_call, stack, &above[..count]) }
}

/// Counts to `turns` with all registers set to a pattern.
///
/// # Safety
/// The program has one thread.
pub unsafe fn count(seed: u64, turns: u64) -> Exchanged {
    // SAFETY: one thread, and no reference to the cell exists.
    unsafe { EXCHANGE.turns.get().write(turns.max(1)) };
    // SAFETY: the caller's promise; counting in memory of its own is harmless.
    unsafe { exchanged(Frame::pattern(seed), spin, Stack::Good, &[]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::FLAGS;

    #[test]
    fn counting_changes_no_register() {
        // SAFETY: no other test exchanges registers.
        let exchanged = unsafe { count(7, 1000) };
        let Exchanged {
            before,
            mut after,
            stack_changes,
        } = exchanged;
        assert_ne!(after.flags & FLAGS, 0, "the count ends at zero");
        after.flags = before.flags;
        assert_eq!(after, before);
        assert_eq!(stack_changes, 0);
    }
}

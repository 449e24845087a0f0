//! Makes calls with every register set and looks at what is left of them.
//!
//! Purpose: RAX, RCX and R11 are the kernel's (`specs/xeneva.md` §8,
//! `specs/patchwork.md` §1, `specs/veridian.md` C1 to C4); everything else, the
//! red zone included, is the program's. Neighbours: each interface's
//! `registers.rs` lists the calls; `exchange.rs` below makes them.

use crate::check::Checks;
use crate::entry::Process;
use crate::exchange::{self, Exchanged, Stack};
use crate::programs::badptr::Bad;
use crate::registers::FLAGS;
use crate::system::System;

/// Registers that a call may change.
const CHANGED: [&str; 3] = ["RAX", "RCX", "R11"];

/// The program, given the calls: number and arguments. Status 0 when each of
/// them keeps what it must keep, and the empty call does so whatever the stack
/// pointer is.
///
/// # Safety
/// The calls write to no memory but such as the caller may write to.
pub unsafe fn run<S: System>(process: &Process<S>, calls: &[(u64, &[u64])]) -> i32 {
    let mut checks = Checks::new(process, "registers");
    for (seed, &(number, arguments)) in (1..).zip(calls) {
        // SAFETY: the caller answers for the calls; no interface starts a
        // program with a second thread.
        let exchanged = unsafe { exchange::call::<S>(Stack::Good, seed, number, arguments) };
        compare_call(&mut checks, number, &exchanged);
    }
    for bad in [Bad::Null, Bad::Low, Bad::Unmapped, Bad::Kernel] {
        let stack = Stack::At(bad.address());
        // SAFETY: as above; the empty call writes to no memory.
        let exchanged = unsafe { exchange::call::<S>(stack, bad.address(), S::NULL, &[]) };
        compare_call(&mut checks, S::NULL, &exchanged);
    }
    checks.finish()
}

fn compare_call<S: System>(checks: &mut Checks<'_, S>, number: u64, exchanged: &Exchanged) {
    let name = S::ABI.row(number).map_or("no call", |row| row.name);
    compare(checks, name, exchanged, &CHANGED);
    let (before, after) = (exchanged.before.flags, exchanged.after.flags);
    checks.equal(
        format_args!("{name}: RFLAGS"),
        after & FLAGS,
        before & FLAGS,
    );
}

/// Compares all but the flags and the registers named.
pub fn compare<S: System>(
    checks: &mut Checks<'_, S>,
    name: &str,
    exchanged: &Exchanged,
    changed: &[&str],
) {
    let Exchanged {
        before,
        after,
        stack_changes,
    } = exchanged;
    for ((register, before), (_, after)) in before.general().into_iter().zip(after.general()) {
        if !changed.contains(&register) {
            checks.equal(format_args!("{name}: {register}"), after, before);
        }
    }
    for (index, (before, after)) in before.vector.iter().zip(&after.vector).enumerate() {
        checks.equal(format_args!("{name}: low XMM{index}"), after[0], before[0]);
        checks.equal(format_args!("{name}: high XMM{index}"), after[1], before[1]);
    }
    checks.equal(format_args!("{name}: RSP"), after.rsp, before.rsp);
    checks.equal(format_args!("{name}: MXCSR"), after.mxcsr, before.mxcsr);
    checks.equal(
        format_args!("{name}: x87 control"),
        after.control,
        before.control,
    );
    checks.equal(
        format_args!("{name}: words of the stack that changed"),
        *stack_changes,
        0,
    );
}

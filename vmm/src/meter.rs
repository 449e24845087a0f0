//! Counts ring-0 instructions exactly, by single-stepping the kernel.
//!
//! KVM stops the guest after each instruction ([`Vm::meter`]); a *stop* carries
//! the address of the next instruction. A [`Visit`] is one stay in ring 0
//! between two stays in ring 3. Rules, each with its test in `tests/machine`:
//!
//! 1. A stop counts one instruction.
//! 2. A `REP` string instruction stops again and again at its own address, as
//!    often as KVM likes: all those stops and the last one count once.
//! 3. Entering ring 0 is no instruction, but it has no stop of its own: the
//!    first stop is after the first instruction.
//! 4. `IRETQ` has no stop of its own where ring 0 is emulated. To ring 3 it
//!    ends the visit: add one. To ring 0, add one, and do not count a stop at
//!    the address it goes to. `SYSRETQ` goes to ring 3 only.
//! 5. The same for a store to a device and an `OUT`: emulators forget their
//!    stop, so add one, and do not count a stop at the address behind it.
//! 6. The same for a few other instructions (`Kind::Unstopped`), which are
//!    recognised when their successor is gone past.
//! 7. Stops in the lower half of addresses are ring 3's and do not count.
//! 8. Interrupts are held back during a visit, until it halts: what waking an
//!    idle kernel costs is not repeatable anyway ([`Visit::halts`]). The `HLT`
//!    itself counts once. [`Config::hold`] holds them back in ring 3 as well.
//! 9. An instruction belongs to the address space that it is executed in, the
//!    `MOV` to CR3 to the one that it leaves ([`Visit::parts`]).
//!
//! Where the processor runs ring 0 itself (VT-x, SVM), it steps by the trap flag,
//! which is lost at every entry to the kernel, those of faults in ring 0 included,
//! and behind what KVM emulates. There stepping begins at breakpoints
//! ([`Config::entries`], [`Config::junction`]), which stay while it steps, and
//! the flag is set anew at each stop. Neighbours: `vm` feeds stops in, `probe`
//! reads code and stack for it, `count` follows the rules.
//!
//! [`Vm::meter`]: crate::Vm::meter

mod count;
mod run;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::cpu::Registers;

pub(crate) use count::{BREAKPOINTS, Meter, Mode};

/// What the rules ask of a stopped guest.
pub(crate) trait Guest {
    /// The instruction at a kernel address.
    fn instruction(&mut self, address: u64) -> Instruction;
    /// Where faults and interrupts enter the kernel, with their vectors, and
    /// where system calls do.
    fn handlers(&mut self) -> Vec<(Option<u8>, u64)>;
    /// Where the fault or interrupt of a vector does, 0 if nowhere.
    fn handler(&mut self, vector: u8) -> u64;
    /// End of the stack that a trap from ring 3 gets (TSS.RSP0).
    fn trap_stack(&mut self) -> u64;
    /// A word of memory, 0 if it is not mapped.
    fn word(&mut self, address: u64) -> u64;
    /// The registers.
    fn registers(&mut self) -> Registers;
}

/// An instruction, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) bytes: u64,
    pub(crate) kind: Kind,
}

/// Kinds of instructions that have rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string instruction with `REP`.
    Repeated,
    /// `HLT`.
    Halt,
    /// `MOV` to CR3: another address space.
    Space,
    /// `IRETQ`.
    Return,
    /// One that KVM may not stop after: `SWAPGS`, `FXSAVE`, `FXRSTOR`, fences,
    /// `RDRAND`, `ENDBR64`, accesses to FS and GS bases where ring 0 is emulated, `MOV SS`
    /// and some `WRMSR` on hardware.
    Unstopped,
    /// A jump to there, whatever the flags are.
    Jump(u64),
    /// Any other.
    Plain,
}

/// What to count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Addresses of the `IRETQ` and `SYSRETQ` instructions of the kernel.
    pub exits: Vec<u64>,
    /// Addresses at which the kernel is entered, at most four with that of the
    /// junction: for hosts whose processor runs ring 0 itself. Entries elsewhere
    /// are not seen then.
    pub entries: Vec<u64>,
    /// Where all other handlers lead to, which are more than a processor has
    /// breakpoints.
    pub junction: Option<Junction>,
    /// Keep the addresses of this many instructions of each visit.
    pub record: Option<usize>,
    /// Hold interrupts back in ring 3 too, once a visit has ended that did not
    /// halt: what runs then is not cut by the end of a time slice. A program
    /// that waits for an interrupt without a call waits for ever.
    pub hold: bool,
    /// Code of the kernel that differs between ways into it: its instructions
    /// are counted apart as well ([`Visit::stubs`]).
    pub stubs: Vec<Range<u64>>,
    /// Count from where the processor is, if it is in ring 0 already: the boot,
    /// or the rest of a visit. Otherwise counting begins with the next visit.
    pub boot: bool,
}

/// Where handlers that begin apart go on together: each with a jump there behind
/// a few instructions, which count as if they had been stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Junction {
    /// The first instruction that they share.
    pub address: u64,
    /// RAX has the vector there, above so many bits.
    pub vector_shift: u32,
}

impl Config {
    /// Where to stop while not stepping.
    pub(crate) fn breakpoints(&self) -> impl Iterator<Item = u64> {
        let junction = self.junction.map(|junction| junction.address);
        self.entries.iter().copied().chain(junction)
    }
}

/// One stay in ring 0 between two stays in ring 3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Address at its first stop: the kernel's second instruction, or with
    /// [`Config::entries`] its first.
    pub first_rip: u64,
    /// Ring-0 instructions, that which leaves included.
    pub instructions: u64,
    /// Registers at its first stop: of a `SYSCALL`, ring 3's general registers are
    /// still in them, of anything else all but RAX.
    pub enter: Registers,
    /// Vector of the fault or interrupt that began it; `None` is `SYSCALL`, or
    /// not known.
    pub vector: Option<u8>,
    /// Ring 3's stack pointer when it began.
    pub user_rsp: u64,
    /// What a fault or an interrupt will return to, if it began with one: where a
    /// `SYSCALL` arrives as a fault, that is the kernel's own entry.
    pub user_rip: u64,
    /// How many of the instructions were in [`Config::stubs`].
    pub stubs: u64,
    /// The instructions by address space, in the order of their first one.
    pub parts: Vec<Part>,
    /// Address of the instruction that left.
    pub leave_rip: u64,
    /// Where ring 3 goes on: its instruction and stack pointers.
    pub left_to: (u64, u64),
    /// `RAX` as ring 3 gets it.
    pub result_rax: u64,
    /// Page tables in use when it left.
    pub cr3: u64,
    /// Number of times the kernel halted; the count is repeatable only if 0.
    pub halts: u64,
    /// It began before the meter was switched on.
    pub partial: bool,
    /// Addresses of its instructions in their order, if [`Config::record`] asks
    /// for them.
    pub rips: Vec<u64>,
}

/// Instructions of a visit in one address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its page tables: CR3.
    pub root: u64,
    /// Ring-0 instructions executed in it.
    pub instructions: u64,
}

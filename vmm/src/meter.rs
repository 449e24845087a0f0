//! Counts ring-0 instructions exactly, by single-stepping the kernel.
//!
//! KVM stops the guest after each instruction ([`Vm::meter`]); a *stop* carries
//! the address of the next instruction. A [`Visit`] is one stay in ring 0
//! between two stays in ring 3. Rules, each with its test in `tests/machine`:
//!
//! 1. A stop counts one instruction.
//! 2. A `REP` string instruction stops again and again at its own address, as
//!    often as KVM likes: all those stops and the last one count once.
//! 3. Entering ring 0 and the first instruction there are one stop: a fault is
//!    no instruction of the kernel's, so this needs no correction.
//! 4. `IRETQ` is not stopped after. To ring 3 it ends the visit, to ring 0 its
//!    stop falls together with the next instruction's: add one for either.
//!    `SYSRETQ` is the same, to ring 3 only.
//! 5. A store to a device and an `OUT` are not stopped after by some KVMs, by
//!    others they are: the address at the exit tells, and they count once.
//! 6. Stops in the lower half of addresses are ring 3's and do not count.
//! 7. Interrupts are held back during a visit, until it halts: what waking an
//!    idle kernel costs is not repeatable anyway ([`Visit::halts`]).
//!
//! Where the processor runs ring 0 itself (VT-x, SVM), stepping ends at an
//! entry to the kernel; give [`Config::entries`] there. Neighbours: `vm` feeds
//! stops in, `probe` reads code and stack for it.
//!
//! [`Vm::meter`]: crate::Vm::meter

use crate::cpu::Registers;

/// Code and data that rules depend on, and the registers.
pub(crate) trait Guest {
    /// Instruction bytes at a kernel address; fewer at the end of a page.
    fn code(&mut self, address: u64) -> [u8; 4];
    /// A word of memory, 0 if it is not mapped.
    fn word(&mut self, address: u64) -> u64;
    /// The registers.
    fn registers(&mut self) -> Registers;
}

/// What to count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Addresses of the `IRETQ` and `SYSRETQ` instructions of the kernel.
    pub exits: Vec<u64>,
    /// Addresses at which ring 3 enters the kernel, at most four: for hosts
    /// whose processor runs ring 0 itself. Entries elsewhere are not seen then.
    pub entries: Vec<u64>,
    /// Keep the addresses of this many stops of each visit.
    pub record: Option<usize>,
    /// Count from where the processor is, if it is in ring 0 already: the boot,
    /// or the rest of a visit. Otherwise counting begins with the next visit.
    pub boot: bool,
}

/// One stay in ring 0 between two stays in ring 3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Address at its first stop: the kernel's second instruction, or with
    /// [`Config::entries`] its first.
    pub first_rip: u64,
    /// Ring-0 instructions, that which leaves included.
    pub instructions: u64,
    /// Registers at its first stop, ring 3's general registers still in them.
    pub enter: Registers,
    /// Address of the instruction that left.
    pub leave_rip: u64,
    /// `RAX` as ring 3 gets it.
    pub result_rax: u64,
    /// Page tables in use when it left.
    pub cr3: u64,
    /// Number of times the kernel halted; the count is repeatable only if 0.
    pub halts: u64,
    /// It began before the meter was switched on.
    pub partial: bool,
    /// Addresses of its stops, if [`Config::record`] asks for them.
    pub rips: Vec<u64>,
}

/// How the processor is to be stepped from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Stop after each instruction; else at the entries only.
    pub(crate) step: bool,
    /// Hold interrupts back.
    pub(crate) block_interrupts: bool,
}

/// Counting under way.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    config: Config,
    /// The visit that is under way, if the guest is in ring 0.
    open: Option<Visit>,
    /// Address at the last stop.
    last: u64,
    /// A device store was counted: its own stop, if any, is not to be.
    stored: bool,
    visits: Vec<Visit>,
    total: u64,
}

/// Opcode of `HLT`.
const HLT: u8 = 0xf4;
/// `IRETQ` and `SYSRETQ`.
const IRETQ: [u8; 2] = [0x48, 0xcf];

impl Meter {
    /// Begins where the processor is; in ring 0, with a partial visit.
    pub(crate) fn new(config: Config, registers: Registers) -> Self {
        let open = (registers.cpl() == 0).then(|| Visit {
            first_rip: registers.rip,
            enter: registers,
            partial: true,
            ..Visit::default()
        });
        Self {
            config,
            open,
            last: registers.rip,
            stored: false,
            visits: Vec::new(),
            total: 0,
        }
    }

    /// How to go on.
    pub(crate) fn mode(&self) -> Mode {
        Mode {
            step: self.open.is_some() || self.config.entries.is_empty(),
            block_interrupts: self.open.as_ref().is_some_and(|visit| visit.halts == 0),
        }
    }

    /// Addresses to stop at, whatever the mode.
    pub(crate) fn entries(&self) -> &[u64] {
        &self.config.entries
    }

    pub(crate) fn take_visits(&mut self) -> Vec<Visit> {
        std::mem::take(&mut self.visits)
    }

    /// Ring-0 instructions counted, open visit included.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// A stop; the next instruction is at `rip`.
    pub(crate) fn stop(&mut self, rip: u64, guest: &mut impl Guest) {
        if is_user(rip) {
            // Rule 6. Ring 0 was left by an instruction that is not listed.
            if let Some(mut visit) = self.open.take() {
                visit.leave_rip = self.last;
                self.count(&mut visit, 1);
                self.close(visit, guest);
            }
            return;
        }
        let mut visit = match self.open.take() {
            Some(mut visit) => {
                let repeated = rip == self.last && (self.stored || is_rep(guest.code(rip)));
                self.count(&mut visit, u64::from(!repeated));
                visit
            }
            None => self.enter(rip, guest),
        };
        self.stored = false;
        self.last = rip;
        if self.config.record.is_some_and(|max| visit.rips.len() < max) {
            visit.rips.push(rip);
        }
        let code = guest.code(rip);
        if code[0] == HLT {
            visit.halts += 1;
        }
        if self.config.exits.contains(&rip) {
            self.count(&mut visit, 1);
            if leaves(code, guest) {
                visit.leave_rip = rip;
                self.close(visit, guest);
                return;
            }
        }
        self.open = Some(visit);
    }

    /// A device store or `OUT` was served; the instruction ends at the current
    /// address if it is over (rule 5).
    pub(crate) fn stored(&mut self, guest: &mut impl Guest) {
        let Some(mut visit) = self.open.take() else {
            return;
        };
        let rip = guest.registers().rip;
        if rip != self.last {
            self.count(&mut visit, 1);
            self.last = rip;
            self.stored = true;
        }
        self.open = Some(visit);
    }

    fn enter(&mut self, rip: u64, guest: &mut impl Guest) -> Visit {
        let mut visit = Visit {
            first_rip: rip,
            enter: guest.registers(),
            ..Visit::default()
        };
        // A breakpoint stops before the first instruction, a step after it.
        let executed = u64::from(!self.config.entries.contains(&rip));
        self.count(&mut visit, executed);
        visit
    }

    fn close(&mut self, mut visit: Visit, guest: &mut impl Guest) {
        if visit.partial && !self.config.boot {
            return;
        }
        let registers = guest.registers();
        visit.result_rax = registers.rax;
        visit.cr3 = registers.cr3;
        self.visits.push(visit);
    }

    fn count(&mut self, visit: &mut Visit, instructions: u64) {
        if visit.partial && !self.config.boot {
            return;
        }
        visit.instructions += instructions;
        self.total += instructions;
    }
}

/// Whether an address is in the lower half, which is ring 3's.
fn is_user(rip: u64) -> bool {
    rip >> 63 == 0
}

/// Whether the code begins with `REP` or `REPNE`, other prefixes before it.
fn is_rep(code: [u8; 4]) -> bool {
    let is_prefix = |byte: &u8| matches!(byte, 0x66 | 0x67 | 0x40..=0x4f);
    let first = code.into_iter().find(|byte| !is_prefix(byte));
    matches!(first, Some(0xf2 | 0xf3))
}

/// Whether the listed exit at hand goes to ring 3: `SYSRETQ` always does,
/// `IRETQ` if the code segment on the stack says so.
fn leaves(code: [u8; 4], guest: &mut impl Guest) -> bool {
    if code[..2] != IRETQ {
        return true;
    }
    let stack = guest.registers().rsp;
    guest.word(stack.wrapping_add(8)) & 3 == 3
}

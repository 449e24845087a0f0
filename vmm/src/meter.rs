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
//!    itself counts once.
//!
//! Where the processor runs ring 0 itself (VT-x, SVM), stepping ends at an
//! entry to the kernel; give [`Config::entries`] there. Neighbours: `vm` feeds
//! stops in, `probe` reads code and stack for it.
//!
//! [`Vm::meter`]: crate::Vm::meter

use std::collections::HashMap;

use crate::cpu::Registers;

/// What the rules ask of a stopped guest.
pub(crate) trait Guest {
    /// The instruction at a kernel address.
    fn instruction(&mut self, address: u64) -> Instruction;
    /// Where faults, interrupts and system calls enter the kernel.
    fn handlers(&mut self) -> Vec<u64>;
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
    /// `IRETQ`.
    Return,
    /// One that KVM may not stop after: `SWAPGS`, `FXSAVE`, `FXRSTOR`, fences,
    /// `RDRAND`, `ENDBR64` where ring 0 is emulated, `MOV SS` on hardware.
    Unstopped,
    /// Any other.
    Plain,
}

/// What to count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Addresses of the `IRETQ` and `SYSRETQ` instructions of the kernel.
    pub exits: Vec<u64>,
    /// Addresses at which ring 3 enters the kernel, at most four: for hosts
    /// whose processor runs ring 0 itself. Entries elsewhere are not seen then.
    pub entries: Vec<u64>,
    /// Keep the addresses of this many instructions of each visit.
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
    /// Addresses of its instructions in their order, if [`Config::record`] asks
    /// for them.
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

/// Most unstopped instructions in a row that are followed: no kernel has more,
/// and a guest must not keep us reading its code for ever.
const UNSTOPPED_MAX: u64 = 8;

/// Instructions in a row, executed without a stop between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    from: u64,
    instructions: u64,
}

/// Counting under way.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    config: Config,
    /// The visit that is under way, if the guest is in ring 0.
    open: Option<Visit>,
    /// Everything before this address has been counted.
    last: u64,
    /// It was counted ahead of its stop, which is not to count again.
    ahead: bool,
    /// The exit that ended the last visit, if it was counted before its stop.
    left: Option<u64>,
    /// First stops in handlers, and the instructions before them.
    first_stops: Option<HashMap<u64, Run>>,
    /// The next instruction is a `HLT`.
    halting: bool,
    visits: Vec<Visit>,
    total: u64,
}

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
            ahead: false,
            left: None,
            first_stops: None,
            halting: false,
            visits: Vec::new(),
            total: 0,
        }
    }

    /// How to go on.
    pub(crate) fn mode(&self) -> Mode {
        Mode {
            step: self.open.is_some() || self.config.entries.is_empty(),
            // A visit that was under way may be asleep: it must be woken.
            block_interrupts: self
                .open
                .as_ref()
                .is_some_and(|visit| visit.halts == 0 && !visit.partial),
        }
    }

    /// Addresses to stop at while not stepping.
    pub(crate) fn entries(&self) -> &[u64] {
        &self.config.entries
    }

    pub(crate) fn take_visits(&mut self) -> Vec<Visit> {
        std::mem::take(&mut self.visits)
    }

    /// The guest is about to halt, and is to be helped ([`Meter::halt`]).
    pub(crate) fn is_halting(&self) -> bool {
        self.halting
    }

    /// Ring-0 instructions counted, open visit included.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// A stop; the next instruction is at `rip`.
    pub(crate) fn stop(&mut self, rip: u64, guest: &mut impl Guest) {
        self.halting = false;
        if is_user(rip) {
            // Rule 7. Ring 0 was left by an instruction that is not listed.
            if let Some(mut visit) = self.open.take() {
                visit.leave_rip = self.last;
                let run = Run {
                    from: self.last,
                    instructions: 1,
                };
                self.count(&mut visit, run, guest);
                self.close(visit, guest);
            }
            return;
        }
        let mut visit = match self.open.take() {
            Some(mut visit) => {
                let run = self.executed(rip, guest);
                self.count(&mut visit, run, guest);
                visit
            }
            // It was counted ahead, and KVM stops before it nevertheless.
            None if self.left.take() == Some(rip) => return,
            None => self.enter(rip, guest),
        };
        (self.last, self.ahead, self.left) = (rip, false, None);
        if guest.instruction(rip).kind == Kind::Halt {
            self.halt(rip, &mut visit, guest);
        }
        self.open = self.look_ahead(rip, visit, guest);
    }

    /// What was executed since the last stop, which is now at `rip`.
    fn executed(&mut self, rip: u64, guest: &mut impl Guest) -> Run {
        let mut run = Run {
            from: self.last,
            instructions: 0,
        };
        let mut at = self.last;
        let mut instruction = guest.instruction(at);
        if rip == at && (self.ahead || instruction.kind == Kind::Repeated) {
            return run;
        }
        run.instructions = 1;
        // Rule 6: it was executed, and what follows it as well.
        while instruction.kind == Kind::Unstopped
            && at.wrapping_add(instruction.bytes) != rip
            && run.instructions <= UNSTOPPED_MAX
        {
            at = at.wrapping_add(instruction.bytes);
            instruction = guest.instruction(at);
            run.instructions += 1;
        }
        if at.wrapping_add(instruction.bytes) == rip {
            return run;
        }
        // A fault in ring 0: the one that faulted does not count, its handler
        // may begin with unstopped ones.
        self.first_stop(rip, guest).unwrap_or(run)
    }

    /// A `HLT` is next: it is executed for the processor, so count it now.
    fn halt(&mut self, rip: u64, visit: &mut Visit, guest: &mut impl Guest) {
        let run = Run {
            from: rip,
            instructions: 1,
        };
        self.count(visit, run, guest);
        visit.halts += 1;
        self.halting = true;
        // HLT is one byte long.
        (self.last, self.ahead) = (rip.wrapping_add(1), true);
    }

    /// Counts an exit that the next instructions lead to without a stop.
    fn look_ahead(&mut self, rip: u64, mut visit: Visit, guest: &mut impl Guest) -> Option<Visit> {
        let (exit, before) = skip_unstopped(rip, guest);
        if !self.config.exits.contains(&exit) {
            return Some(visit);
        }
        let run = Run {
            from: rip,
            instructions: before + 1,
        };
        self.count(&mut visit, run, guest);
        let is_return = guest.instruction(exit).kind == Kind::Return;
        let stack = guest.registers().rsp;
        if is_return && guest.word(stack.wrapping_add(8)) & 3 == 0 {
            // To ring 0: go on where it goes to (rule 4).
            (self.last, self.ahead) = (guest.word(stack), true);
            return Some(visit);
        }
        self.left = (before > 0).then_some(exit);
        visit.leave_rip = exit;
        self.close(visit, guest);
        None
    }

    /// A device store or `OUT` was served; the instruction ends at the current
    /// address if it is over (rule 5).
    pub(crate) fn stored(&mut self, guest: &mut impl Guest) {
        let Some(mut visit) = self.open.take() else {
            return;
        };
        let rip = guest.registers().rip;
        if rip != self.last {
            let run = self.executed(rip, guest);
            self.count(&mut visit, run, guest);
            (self.last, self.ahead) = (rip, true);
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
        if !self.config.entries.contains(&rip) {
            let unknown = Run {
                from: rip,
                instructions: 1,
            };
            let run = self.first_stop(rip, guest).unwrap_or(unknown);
            self.count(&mut visit, run, guest);
        }
        visit
    }

    /// Instructions of a handler up to its first stop, if `rip` is one.
    fn first_stop(&mut self, rip: u64, guest: &mut impl Guest) -> Option<Run> {
        let stops = self.first_stops.get_or_insert_with(|| {
            let mut stops = HashMap::new();
            for handler in guest.handlers() {
                let (at, before) = skip_unstopped(handler, guest);
                let behind = at.wrapping_add(guest.instruction(at).bytes);
                let run = Run {
                    from: handler,
                    instructions: before + 1,
                };
                stops.insert(behind, run);
            }
            stops
        });
        stops.get(&rip).copied()
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

    fn count(&mut self, visit: &mut Visit, run: Run, guest: &mut impl Guest) {
        if visit.partial && !self.config.boot {
            return;
        }
        visit.instructions += run.instructions;
        self.total += run.instructions;
        let max = self.config.record.unwrap_or(0);
        let mut at = run.from;
        for _ in 0..run.instructions {
            if visit.rips.len() < max {
                visit.rips.push(at);
                at = at.wrapping_add(guest.instruction(at).bytes);
            }
        }
    }
}

/// Whether an address is in the lower half, which is ring 3's.
fn is_user(rip: u64) -> bool {
    rip >> 63 == 0
}

/// The first instruction from `at` on that is stopped after, and the number of
/// those before it.
fn skip_unstopped(mut at: u64, guest: &mut impl Guest) -> (u64, u64) {
    let mut before = 0;
    while before < UNSTOPPED_MAX {
        let instruction = guest.instruction(at);
        if instruction.kind != Kind::Unstopped {
            break;
        }
        at = at.wrapping_add(instruction.bytes);
        before += 1;
    }
    (at, before)
}

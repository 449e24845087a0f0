//! Follows the counting rules, stop by stop.
//!
//! Neighbours: `super` has the rules and what comes out; `probe` is the
//! [`Guest`] that is asked.

use std::collections::HashMap;

use super::run::{Run, UNSTOPPED_MAX, skip_unstopped};
use super::{Config, Guest, Kind, Part, Visit};
use crate::cpu::Registers;

/// How the processor is to be stepped from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Stop after each instruction; else at the entries only.
    pub(crate) step: bool,
    /// Hold interrupts back.
    pub(crate) block_interrupts: bool,
    /// Stop before the instructions at these addresses as well.
    pub(crate) breakpoints: [Option<u64>; BREAKPOINTS],
}

/// Breakpoints that the processor has.
pub(crate) const BREAKPOINTS: usize = 4;

/// Counting under way.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    config: Config,
    /// The visit that is under way, if the guest is in ring 0.
    open: Option<Visit>,
    /// Everything before this address has been counted.
    last: u64,
    /// Address of the last stop.
    stopped: u64,
    /// It was counted ahead of its stop, which is not to count again.
    ahead: bool,
    /// The exit that ended the last visit, if it was counted before its stop.
    left: Option<u64>,
    /// First stops in handlers, and the instructions before them.
    first_stops: Option<HashMap<u64, (Run, Option<u8>)>>,
    /// Vectors of the entries that were stopped at.
    vectors: HashMap<u64, Option<u8>>,
    /// Page tables in use.
    root: u64,
    /// The next instruction is a `HLT`.
    halting: bool,
    /// Interrupts are held back in ring 3.
    hold: bool,
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
            stopped: registers.rip,
            ahead: false,
            left: None,
            first_stops: None,
            vectors: HashMap::new(),
            root: registers.cr3,
            halting: false,
            hold: false,
            visits: Vec::new(),
            total: 0,
        }
    }

    /// How to go on.
    pub(crate) fn mode(&self) -> Mode {
        let step = self.open.is_some() || !self.begins_at_breakpoints();
        let mut breakpoints = [None; BREAKPOINTS];
        // While stepping, not the one that it stands at: it would never go on.
        let wanted = self.config.breakpoints();
        let wanted = wanted.filter(|at| !step || *at != self.stopped);
        for (breakpoint, at) in breakpoints.iter_mut().zip(wanted) {
            *breakpoint = Some(at);
        }
        Mode {
            step,
            breakpoints,
            block_interrupts: match &self.open {
                // A visit that was under way may be asleep: it must be woken.
                Some(visit) => visit.halts == 0 && !visit.partial,
                None => self.hold,
            },
        }
    }

    /// The processor runs ring 0 itself: it must be told anew at each stop.
    pub(crate) fn begins_at_breakpoints(&self) -> bool {
        self.config.breakpoints().next().is_some()
    }

    pub(crate) fn take_visits(&mut self) -> Vec<Visit> {
        std::mem::take(&mut self.visits)
    }

    /// Takes the boot, as far as it is; what follows does not count.
    pub(crate) fn take_boot(&mut self) -> Option<Visit> {
        self.open.take_if(|visit| visit.partial && self.config.boot)
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
        (self.halting, self.stopped) = (false, rip);
        if is_user(rip) {
            // Rule 7. Ring 0 was left by an instruction that is not listed.
            if let Some(mut visit) = self.open.take() {
                visit.leave_rip = self.last;
                let run = Run {
                    from: self.last,
                    instructions: 1,
                };
                self.count(&mut visit, run, guest);
                visit.left_to = (rip, guest.registers().rsp);
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
        let next = match instruction.kind {
            Kind::Jump(to) => to,
            _ => at.wrapping_add(instruction.bytes),
        };
        if next == rip {
            return run;
        }
        // A fault in ring 0, or an interrupt: the one that faulted does not count,
        // the handler may begin with unstopped ones.
        let begun = self.at_breakpoint(rip, guest);
        let begun = begun.or_else(|| self.first_stop(rip, guest));
        begun.map_or(run, |(run, _)| run)
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
        self.stopped = self.last;
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
        let registers = guest.registers();
        let stack = registers.rsp;
        visit.left_to = match is_return {
            true => (guest.word(stack), guest.word(stack.wrapping_add(24))),
            // SYSRETQ goes to RCX and leaves RSP alone.
            false => (registers.rcx, stack),
        };
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
        let enter = guest.registers();
        self.root = enter.cr3;
        let begun = self.at_breakpoint(rip, guest);
        let is_call = matches!(begun, Some((_, None)));
        let (user_rip, user_rsp) = match is_call || is_user(enter.rsp) {
            true => (0, enter.rsp),
            // The trap pushed SS, RSP, RFLAGS, CS and RIP.
            false => {
                let end = guest.trap_stack();
                let pushed = |words: u64| end.wrapping_sub(8 * words);
                (guest.word(pushed(5)), guest.word(pushed(2)))
            }
        };
        let mut visit = Visit {
            first_rip: rip,
            enter,
            user_rsp,
            user_rip,
            ..Visit::default()
        };
        let unknown = Run {
            from: rip,
            instructions: 1,
        };
        let begun = begun.or_else(|| self.first_stop(rip, guest));
        let (run, vector) = begun.unwrap_or((unknown, None));
        visit.vector = vector;
        self.count(&mut visit, run, guest);
        visit
    }

    /// Instructions before a breakpoint, if `rip` is one, and the vector that led
    /// there: none before an entry, a handler's own before the junction.
    fn at_breakpoint(&mut self, rip: u64, guest: &mut impl Guest) -> Option<(Run, Option<u8>)> {
        if self.config.entries.contains(&rip) {
            // The kernel may change its entries, but has this one now.
            let vector = self.vectors.entry(rip).or_insert_with(|| {
                let mut handlers = guest.handlers().into_iter();
                handlers.find(|(_, at)| *at == rip).and_then(|(it, _)| it)
            });
            let nothing = Run {
                from: rip,
                instructions: 0,
            };
            return Some((nothing, *vector));
        }
        let junction = self.config.junction.filter(|it| it.address == rip)?;
        let vector = guest.registers().rax.checked_shr(junction.vector_shift);
        let vector = u8::try_from(vector.unwrap_or_default()).ok()?;
        let run = Run::to_jump(guest.handler(vector), rip, guest)?;
        Some((run, Some(vector)))
    }

    /// Instructions of a handler up to its first stop, if `rip` is one.
    fn first_stop(&mut self, rip: u64, guest: &mut impl Guest) -> Option<(Run, Option<u8>)> {
        let stops = self.first_stops.get_or_insert_with(|| {
            let mut stops = HashMap::new();
            for (vector, handler) in guest.handlers() {
                let (at, before) = skip_unstopped(handler, guest);
                let behind = at.wrapping_add(guest.instruction(at).bytes);
                let run = Run {
                    from: handler,
                    instructions: before + 1,
                };
                stops.insert(behind, (run, vector));
            }
            stops
        });
        stops.get(&rip).copied()
    }

    fn close(&mut self, mut visit: Visit, guest: &mut impl Guest) {
        self.hold = self.config.hold && visit.halts == 0;
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
            let instruction = guest.instruction(at);
            if visit.rips.len() < max {
                visit.rips.push(at);
            }
            let in_stub = self.config.stubs.iter().any(|stub| stub.contains(&at));
            visit.stubs += u64::from(in_stub);
            part(&mut visit.parts, self.root).instructions += 1;
            if instruction.kind == Kind::Space {
                self.root = guest.registers().cr3;
            }
            at = at.wrapping_add(instruction.bytes);
        }
    }
}

/// The part of an address space, which may be new.
fn part(parts: &mut Vec<Part>, root: u64) -> &mut Part {
    let known = parts.iter().position(|part| part.root == root);
    let index = known.unwrap_or(parts.len());
    if known.is_none() {
        parts.push(Part {
            root,
            instructions: 0,
        });
    }
    &mut parts[index]
}

/// Whether an address is in the lower half, which is ring 3's.
fn is_user(rip: u64) -> bool {
    rip >> 63 == 0
}

//! Which counted stays in ring 0 belong to a call.
//!
//! Purpose: the meter counts every stay in ring 0 ([`Visit`]); this picks the
//! ones that are system calls, by the page-table root and the number register
//! that they began with, and adds up what happens until ring 3 goes on behind
//! the call ([`Spent`]). Neighbours: `backend` counts, `probe`, `guest` and the
//! benchmarks ask here.
//!
//! A call without a count is one that never came back: that of the last thread
//! of a program, by which it ended (the machine tells of the end in its midst,
//! and goes to sleep). Calls of children are counted by who asks for the visits
//! ([`crate::Output::visits`] has those of all processes); a program that is
//! traced once and counted once more has them for itself alone, since roots are
//! used again and threads take turns otherwise when they are counted.

use std::fmt;

use mayfly_abi::Abi;
use mayfly_abi::convention::Register;

use crate::transcript::Call;

/// First vector that is an interrupt, and no exception.
const INTERRUPTS: u8 = 32;

/// One stay in ring 0 that was counted by single-stepping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visit {
    /// Exact number of ring-0 instructions.
    pub instructions: u64,
    /// Those of them that are the same whichever way calls take into the kernel
    /// on this host: without the stubs that enter and leave it.
    pub body: u64,
    /// RAX at the beginning (the number of a call of PatchworkOS or VeridianOS).
    pub number_rax: u64,
    /// R12 at the beginning (the number of a Xeneva service).
    pub number_r12: u64,
    /// Page-table root of the process that was interrupted, or that called.
    pub root: u64,
    /// It began with a system call, not with an exception or an interrupt.
    pub is_call: bool,
    /// Vector that it began with; `None` is `SYSCALL`.
    pub vector: Option<u8>,
    /// Where a call returns to: instruction and stack pointer.
    pub returns_to: (u64, u64),
    /// Page-table root of the process that went on.
    pub left_root: u64,
    /// Where that went on: instruction and stack pointer.
    pub left_to: (u64, u64),
    /// Number of times the kernel slept.
    pub halts: u64,
    /// The instructions by page-table root.
    pub parts: Vec<Part>,
    /// Addresses of the instructions, with [`crate::VmOptions::meter_path`].
    pub path: Vec<u64>,
}

/// Kernel instructions in one address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its page-table root, by which processes are told apart.
    pub root: u64,
    /// Exact number of ring-0 instructions.
    pub instructions: u64,
}

/// What a call, or a stretch of a run, cost.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Spent {
    /// Exact number of ring-0 instructions; interrupts do not count.
    pub instructions: u64,
    /// Those of them that are the same on every host ([`Visit::body`]).
    pub body: u64,
    /// The instructions by process, in the order in which they ran.
    pub parts: Vec<Part>,
    /// Number of times the kernel slept: a count is repeatable if that is 0.
    pub halts: u64,
    /// Stays that `SYSCALL` itself began: their way in and out is longer than where
    /// a call arrives as a page fault.
    pub syscalls: u64,
    /// Addresses of the instructions: of a probe's call always, else with
    /// [`crate::VmOptions::meter_path`].
    pub path: Vec<u64>,
}

/// Without the addresses, of which there are too many to read.
impl fmt::Debug for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spent")
            .field("instructions", &self.instructions)
            .field("body", &self.body)
            .field("parts", &self.parts)
            .field("halts", &self.halts)
            .finish_non_exhaustive()
    }
}

impl Spent {
    /// The sum of these stays, interrupts left out.
    pub fn of<'a>(visits: impl IntoIterator<Item = &'a Visit>) -> Self {
        let mut spent = Spent::default();
        let counted = |visit: &&Visit| visit.vector.is_none_or(|vector| vector < INTERRUPTS);
        for visit in visits.into_iter().filter(counted) {
            spent.instructions += visit.instructions;
            spent.body += visit.body;
            spent.halts += visit.halts;
            spent.syscalls += u64::from(visit.is_call && visit.vector.is_none());
            spent.path.extend(&visit.path);
            spent.take_parts(&visit.parts);
        }
        spent
    }

    /// Adds what something else cost.
    pub fn add(&mut self, other: &Spent) {
        self.instructions += other.instructions;
        self.body += other.body;
        self.halts += other.halts;
        self.syscalls += other.syscalls;
        self.path.extend(&other.path);
        self.take_parts(&other.parts);
    }

    fn take_parts(&mut self, parts: &[Part]) {
        for part in parts {
            match self.parts.iter_mut().find(|it| it.root == part.root) {
                Some(known) => known.instructions += part.instructions,
                None => self.parts.push(*part),
            }
        }
    }
}

impl Visit {
    /// The call number that it began with.
    pub fn number(&self, abi: Abi) -> u64 {
        let convention = abi.convention();
        let word = match convention.number {
            Register::R12 => self.number_r12,
            _ => self.number_rax,
        };
        word & (u64::MAX >> (64 - convention.number_bits.clamp(1, 64)))
    }

    /// It began with a call of that number by the process with that root.
    pub fn is_call_of(&self, abi: Abi, root: u64, number: u64) -> bool {
        self.is_call && self.root == root && self.number(abi) == number
    }

    /// Ring 3 goes on behind the call that `call` began with.
    fn ends(&self, call: &Visit) -> bool {
        (self.left_root, self.left_to) == (call.root, call.returns_to)
    }
}

/// The stays of the call that the first of them began with, until ring 3 goes
/// on behind it; `None` if it never does.
fn until_return(visits: &[Visit]) -> Option<&[Visit]> {
    let call = visits.first()?;
    let last = visits.iter().position(|visit| visit.ends(call))?;
    visits.get(..=last)
}

/// What the probe's call of `number` cost; `None` when the meter did not see it
/// begin and return.
pub(crate) fn of_call(visits: &[Visit], abi: Abi, root: u64, number: u64) -> Option<Spent> {
    let mut of_probe = visits.iter();
    let begins = of_probe.position(|visit| visit.is_call_of(abi, root, number))?;
    until_return(&visits[begins..]).map(Spent::of)
}

/// Gives each call of a process its stays. Stays are in the order in which they
/// began, and calls are taken so, too: of two threads, whoever called first may
/// return last. A stay that is no call (a page fault, an interrupt) is passed
/// over, and a call that the meter did not see return stays without a count.
pub(crate) fn assign<'a>(
    visits: &[Visit],
    root: u64,
    calls: impl IntoIterator<Item = &'a mut Call>,
) {
    let mut rest = visits;
    let mut calls: Vec<&mut Call> = calls.into_iter().collect();
    calls.sort_by_key(|call| call.entered_tsc());
    for call in calls {
        let Some(abi) = call.abi() else {
            continue;
        };
        let number = call.number();
        let mut ahead = rest.iter();
        if let Some(begins) = ahead.position(|visit| visit.is_call_of(abi, root, number)) {
            // What ends its thread does not return: to the switch, then.
            let alone = call.ended().then_some(&rest[begins..=begins]);
            let spent = until_return(&rest[begins..]).or(alone).map(Spent::of);
            call.kernel_instr = spent.as_ref().map(|spent| spent.instructions);
            let parts = spent.map_or_else(Vec::new, |spent| spent.parts);
            call.parts = parts.iter().map(|part| part.instructions).collect();
            rest = &rest[begins + 1..];
        }
    }
}

/// Kernel instructions in the address space of a process; `None` without any.
pub(crate) fn total(visits: &[Visit], root: u64) -> Option<u64> {
    let parts = visits.iter().flat_map(|visit| &visit.parts);
    let own = parts.filter(|part| part.root == root);
    own.map(|part| part.instructions)
        .reduce(|sum, count| sum + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stay that a call of `root` began, and that `left_root` went on after.
    fn visit(root: u64, left_root: u64, instructions: u64) -> Visit {
        Visit {
            instructions,
            number_rax: 13,
            number_r12: 0xffff_0000_0000_0003,
            root,
            is_call: true,
            returns_to: (0x40_0000, root),
            left_root,
            left_to: (0x40_0000, left_root),
            parts: vec![Part { root, instructions }],
            ..Visit::default()
        }
    }

    #[test]
    fn a_call_is_found_by_its_number_and_process() {
        let visits = [visit(0x2000, 0x2000, 1), visit(0x1000, 0x1000, 60)];
        let found = |abi, number| {
            let spent = of_call(&visits, abi, 0x1000, number);
            spent.map(|spent| spent.instructions)
        };
        assert_eq!(found(Abi::Patchwork, 13), Some(60));
        assert_eq!(found(Abi::Xeneva, 3), Some(60));
        assert_eq!(found(Abi::Patchwork, 14), None);
    }

    #[test]
    fn a_call_that_switches_counts_to_its_return_by_process() {
        let interrupt = Visit {
            vector: Some(32),
            is_call: false,
            ..visit(0x2000, 0x2000, 900)
        };
        let there = visit(0x1000, 0x2000, 100);
        let visits = [there.clone(), interrupt, visit(0x2000, 0x1000, 80)];
        let spent = of_call(&visits, Abi::Patchwork, 0x1000, 13).unwrap();
        assert_eq!(spent.instructions, 180);
        let parts: Vec<_> = spent
            .parts
            .iter()
            .map(|it| (it.root, it.instructions))
            .collect();
        assert_eq!(parts, [(0x1000, 100), (0x2000, 80)]);
        assert_eq!(of_call(&[there], Abi::Patchwork, 0x1000, 13), None);
    }

    #[test]
    fn a_call_that_begins_first_may_return_last() {
        // One thread waits; another one wakes it and goes on itself.
        let waits = Visit {
            returns_to: (0x40_0000, 0x1111),
            left_to: (0x40_0000, 0x2222),
            ..visit(0x1000, 0x1000, 100)
        };
        let wakes = Visit {
            returns_to: (0x40_0000, 0x2222),
            left_to: (0x40_0000, 0x2222),
            ..visit(0x1000, 0x1000, 50)
        };
        let switch = Visit {
            is_call: false,
            left_to: waits.returns_to,
            ..visit(0x1000, 0x1000, 7)
        };
        let call = |entered_tsc| {
            let record = mayfly_wire::trace::Record {
                abi: Abi::Patchwork.code(),
                number: 13,
                entered_tsc,
                ..Default::default()
            };
            Call::new(record, Vec::new())
        };
        // As they returned.
        let mut calls = [call(20), call(10)];
        assign(&[waits, wakes, switch], 0x1000, &mut calls);
        assert_eq!(calls.map(|call| call.kernel_instr), [Some(50), Some(157)]);
    }

    #[test]
    fn stays_that_are_no_calls_are_passed_over() {
        let fault = Visit {
            is_call: false,
            ..visit(0x1000, 0x1000, 900)
        };
        let call = visit(0x1000, 0x1000, 60);
        let record = mayfly_wire::trace::Record {
            abi: Abi::Patchwork.code(),
            number: 13,
            ..Default::default()
        };
        let mut calls = [Call::new(record, Vec::new()), Call::new(record, Vec::new())];
        let visits = [fault.clone(), call.clone(), fault.clone()];
        assign(&visits, 0x1000, &mut calls);
        assert_eq!(calls.map(|call| call.kernel_instr), [Some(60), None]);
        assert_eq!(total(&[fault, call], 0x1000), Some(960));
        assert_eq!(total(&visits, 0x3000), None);
    }
}

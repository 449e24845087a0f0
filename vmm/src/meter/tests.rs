//! The rules, held on a processor that steps as VT-x and SVM do.
//!
//! This test machine may be one that emulates ring 0, where `tests/machine` holds
//! the rules with real guests. What KVM does elsewhere is written down here as a
//! model: the trap flag is the guest's own, so that a fault or an interrupt puts
//! it aside until its `IRETQ`, and what KVM emulates loses it; a breakpoint stops
//! again and again until it is taken away. Both kinds must count the same.

use std::collections::HashMap;

use super::{Config, Guest, Instruction, Junction, Kind, Meter};
use crate::cpu::Registers;

const BASE: u64 = 0xffff_8000_0000_0000;
/// Where calls enter, and what they run.
const CALL: u64 = BASE + 0x1000;
/// Handlers of the page fault and of an interrupt: two instructions and a jump.
const FAULT: u64 = BASE + 0x2000;
const INTERRUPT: u64 = BASE + 0x2100;
const JUNCTION: u64 = BASE + 0x3000;
/// How the kernel is left: for a trap, and for a call.
const IRET: u64 = JUNCTION + 2;
const SYSRET: u64 = BASE + 0x4000;
/// A program.
const USER: u64 = 0x40_0000;

/// What a processor does, one thing after the other.
#[derive(Clone, Copy)]
enum Do {
    /// Ring 3 makes a call.
    Enter,
    /// Ring 3 or the kernel meets a fault or an interrupt: its handler, its vector,
    /// and where that will return to.
    Trap(u64, u8, u64),
    /// The instruction at an address, and where that leads to.
    Run(u64, u64),
    /// The same, a store to a device.
    Store(u64, u64),
    /// The same, after which KVM forgets to stop.
    Forgotten(u64, u64),
    /// An instruction that leads back out of a handler, or out of the kernel.
    Return(u64, u64),
    /// `HLT` is next.
    Halt(u64),
}

use Do::{Enter, Forgotten, Halt, Return, Run, Store, Trap};

#[derive(Default)]
struct Code {
    kinds: HashMap<u64, (Kind, u64)>,
    registers: Registers,
    words: HashMap<u64, u64>,
}

impl Guest for Code {
    fn instruction(&mut self, address: u64) -> Instruction {
        let known = self.kinds.get(&address).copied();
        let (kind, bytes) = known.unwrap_or((Kind::Plain, 1));
        Instruction { bytes, kind }
    }

    fn handlers(&mut self) -> Vec<(Option<u8>, u64)> {
        vec![(Some(14), FAULT), (Some(32), INTERRUPT), (None, CALL)]
    }

    fn handler(&mut self, vector: u8) -> u64 {
        let mut handlers = self.handlers().into_iter();
        let found = handlers.find(|(it, _)| *it == Some(vector));
        found.map_or(0, |(_, at)| at)
    }

    fn trap_stack(&mut self) -> u64 {
        BASE + 0x8000
    }

    fn word(&mut self, address: u64) -> u64 {
        self.words.get(&address).copied().unwrap_or_default()
    }

    fn registers(&mut self) -> Registers {
        self.registers
    }
}

/// A processor that is counted.
struct Processor {
    /// It runs ring 0 itself; else that is emulated.
    is_native: bool,
    code: Code,
    meter: Meter,
    /// The trap flag, and those that handlers will bring back.
    flag: bool,
    kept: Vec<bool>,
}

impl Processor {
    fn new(is_native: bool, config: &Config) -> Self {
        let mut config = config.clone();
        if !is_native {
            (config.entries, config.junction) = (Vec::new(), None);
        }
        let mut code = Code::default();
        for handler in [FAULT, INTERRUPT] {
            code.kinds.insert(handler + 2, (Kind::Jump(JUNCTION), 1));
        }
        code.kinds.insert(IRET, (Kind::Return, 2));
        code.registers.cs = 0x23;
        code.registers.rsp = USER;
        let meter = Meter::new(config, code.registers);
        Self {
            is_native,
            code,
            meter,
            flag: false,
            kept: Vec::new(),
        }
    }

    /// The VMM tells KVM how to go on.
    fn told(&mut self) {
        self.flag = self.meter.mode().step;
    }

    fn stop(&mut self, at: u64) {
        self.code.registers.rip = at;
        self.meter.stop(at, &mut self.code);
        self.told();
    }

    /// The instruction at `at` is next.
    fn reach(&mut self, at: u64) {
        for _ in 0..2 {
            if self.meter.mode().breakpoints.contains(&Some(at)) {
                self.stop(at);
            }
        }
        let stands = self.meter.mode().breakpoints.contains(&Some(at));
        assert!(!stands, "it does not get past {at:#x}");
    }

    fn is_stepped(&self) -> bool {
        match self.is_native {
            true => self.flag,
            false => self.meter.mode().step,
        }
    }

    fn do_it(&mut self, what: Do) {
        match what {
            Enter => {
                (self.flag, self.code.registers.rip) = (false, CALL);
            }
            Trap(handler, vector, back) => {
                self.kept.push(std::mem::take(&mut self.flag));
                let stack = BASE + 0x8000;
                self.code.registers.rsp = stack;
                self.code.registers.rax = u64::from(vector) << 16;
                self.code.registers.rip = handler;
                self.code.words.insert(stack, back);
                let ring = if back == USER { 0x23 } else { 8 };
                self.code.words.insert(stack + 8, ring);
            }
            Run(at, to) | Forgotten(at, to) => {
                self.reach(at);
                let is_stepped = self.is_stepped();
                if is_stepped && matches!(what, Run(..)) {
                    self.stop(to);
                }
            }
            Store(at, to) => {
                self.reach(at);
                self.flag = false;
                self.code.registers.rip = to;
                self.meter.stored(&mut self.code);
                self.told();
            }
            Halt(at) => {
                // The step before stopped here; the VMM goes on behind it.
                assert!(self.meter.is_halting(), "{at:#x}");
                self.told();
            }
            Return(at, to) => {
                self.reach(at);
                let was_stepped = self.is_native && self.flag;
                self.flag = self.kept.pop().unwrap_or_default();
                if was_stepped {
                    self.stop(to);
                } else {
                    self.code.registers.rip = to;
                }
            }
        }
    }
}

fn config() -> Config {
    Config {
        exits: vec![IRET, SYSRET],
        entries: vec![CALL],
        junction: Some(Junction {
            address: JUNCTION,
            vector_shift: 16,
        }),
        record: Some(64),
        ..Config::default()
    }
}

/// A trap, and its handler: three instructions of its own, two that it shares
/// and what leaves.
fn handled(handler: u64, vector: u8, to: u64) -> Vec<Do> {
    vec![
        Trap(handler, vector, to),
        Run(handler, handler + 1),
        Run(handler + 1, handler + 2),
        Run(handler + 2, JUNCTION),
        Run(JUNCTION, JUNCTION + 1),
        Run(JUNCTION + 1, IRET),
        Return(IRET, to),
    ]
}

/// Instructions of the one visit, by both kinds of processors, and its vector.
fn counted(script: &[Do], halts: &[u64]) -> (u64, Option<u8>) {
    let of = |is_native| {
        let mut processor = Processor::new(is_native, &config());
        for at in halts {
            processor.code.kinds.insert(*at, (Kind::Halt, 1));
        }
        for what in script {
            if let Forgotten(at, to) = *what {
                processor.code.kinds.insert(at, (Kind::Unstopped, to - at));
            }
        }
        processor.told();
        for what in script {
            processor.do_it(*what);
        }
        let mut visits = processor.meter.take_visits();
        assert_eq!(visits.len(), 1, "native: {is_native}");
        visits.remove(0)
    };
    let (native, emulated) = (of(true), of(false));
    assert_eq!(native.rips, emulated.rips);
    assert_eq!(native.instructions, native.rips.len() as u64);
    assert_eq!(native.vector, emulated.vector);
    assert_eq!(native.halts, emulated.halts);
    (native.instructions, native.vector)
}

/// A call with something in its middle, behind its second instruction.
fn call_with(middle: Vec<Do>) -> Vec<Do> {
    let begin = [Enter, Run(CALL, CALL + 1), Run(CALL + 1, CALL + 2)];
    let end = [
        Run(CALL + 4, CALL + 5),
        Run(CALL + 5, SYSRET),
        Return(SYSRET, USER),
    ];
    begin.into_iter().chain(middle).chain(end).collect()
}

#[test]
fn a_call_and_a_fault_of_ring_3_are_seen_and_told_apart() {
    let call = call_with(vec![Run(CALL + 2, CALL + 4)]);
    assert_eq!(counted(&call, &[]), (6, None));
    for (handler, vector) in [(FAULT, 14), (INTERRUPT, 32)] {
        let fault = handled(handler, vector, USER);
        assert_eq!(counted(&fault, &[]), (6, Some(vector)));
    }
}

#[test]
fn a_fault_in_the_middle_of_a_call_is_counted_and_the_rest_of_the_call() {
    let mut middle = handled(FAULT, 14, CALL + 2);
    middle.push(Run(CALL + 2, CALL + 4));
    assert_eq!(counted(&call_with(middle), &[]), (6 + 6, None));
}

#[test]
fn what_kvm_emulates_and_forgets_to_stop_after_loses_nothing() {
    let stored = vec![Store(CALL + 2, CALL + 3), Run(CALL + 3, CALL + 4)];
    assert_eq!(counted(&call_with(stored), &[]), (7, None));
    let written = vec![Forgotten(CALL + 2, CALL + 3), Run(CALL + 3, CALL + 4)];
    assert_eq!(counted(&call_with(written), &[]), (7, None));
}

#[test]
fn a_call_goes_on_behind_a_halt_and_the_interrupt_that_ended_it() {
    let mut middle = vec![Halt(CALL + 2)];
    middle.extend(handled(INTERRUPT, 32, CALL + 3));
    middle.push(Run(CALL + 3, CALL + 4));
    assert_eq!(counted(&call_with(middle), &[CALL + 2]), (7 + 6, None));
}

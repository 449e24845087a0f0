//! The meter's counts, checked by another machine that counts by itself.
//!
//! Purpose: QEMU's TCG executes the kernel an instruction at a time and writes
//! each address down; the meter single-steps the same calls on KVM. Address for
//! address, both must have executed the same, except for the few instructions by
//! which a call enters and leaves the kernel, where KVM without VT-x goes another
//! way. What this needs and the host lacks (QEMU, KVM) fails it, by name.
//! Neighbours: `vmm/tests/machine/meter.rs` has routines counted by hand.

use std::fs;
use std::ops::Range;
use std::time::Duration;

use mayfly::SnapshotUse;
use mayfly::budget::SYSCALL_MORE;
use mayfly::prelude::*;
use mayfly::symbols::{kernel_frames, kernel_symbol};
use mayfly_abi::MARK;
use mayfly_abi::convention::Register;

/// Times that each call is made; the last one counts, the first ones touch memory.
const TIMES: usize = 3;
/// Logging takes a thousand times as long as running.
const PATIENCE: Duration = Duration::from_secs(120);

/// A call, made over and over.
struct Case {
    abi: Abi,
    number: u64,
    arguments: Vec<Arg>,
}

fn cases() -> Vec<Case> {
    let case = |abi, number, arguments| Case {
        abi,
        number,
        arguments,
    };
    vec![
        case(Abi::Patchwork, patchwork::GETPID, args![]),
        case(Abi::Patchwork, patchwork::UPTIME, args![]),
        case(Abi::Patchwork, patchwork::WRITE, args![-1, input("x"), 1]),
        case(Abi::Patchwork, patchwork::OPEN, args![text("/none")]),
        case(Abi::Patchwork, patchwork::MPROTECT, args![0, 0x1000, 1]),
        case(Abi::Veridian, veridian::YIELD, args![]),
        case(Abi::Veridian, veridian::IPC_ENDPOINT_CREATE, args![out(16)]),
        case(Abi::Xeneva, xeneva::GetThreadID, args![]),
        case(Abi::Xeneva, xeneva::CloseFile, args![77]),
    ]
}

/// What QEMU wrote down of an instruction.
#[derive(Clone, Copy, Default)]
struct Step {
    address: u64,
    rax: u64,
    r12: u64,
}

/// The steps of a log of `-d exec,cpu`.
fn steps(log: &str) -> Vec<Step> {
    let number = |text: &str| u64::from_str_radix(text.trim(), 16).ok();
    let mut steps: Vec<Step> = Vec::new();
    for line in log.lines() {
        // Trace 0: 0x7f.. [code segment/address/flags/..]
        if let Some((_, place)) = line.split_once('[').filter(|_| line.starts_with("Trace")) {
            let address = place.split('/').nth(1).and_then(number);
            steps.push(Step {
                address: address.expect("an address"),
                ..Step::default()
            });
        }
        let Some(step) = steps.last_mut() else {
            continue;
        };
        let register = |name: &str| line.split_once(name)?.1.get(..16).and_then(number);
        step.rax = register("RAX=").unwrap_or(step.rax);
        step.r12 = register("R12=").unwrap_or(step.r12);
    }
    steps
}

/// Instructions of each call and of each page fault, from the one at which it
/// enters the kernel to the one that leaves it; with a call's number.
fn stays(steps: &[Step], abi: Abi) -> Vec<(Option<u64>, Vec<u64>)> {
    let symbol = |name| kernel_symbol(name).expect("a symbol");
    // The first call of all finds out how calls arrive.
    let calls = ["syscall_first", "syscall_entry"].map(symbol);
    let faults = ["page_fault", "vector_14"].map(symbol);
    let exits = ["user_leave_iretq", "user_leave_sysretq"].map(symbol);
    let stays = steps.split_inclusive(|step| exits.contains(&step.address));
    let convention = abi.convention();
    let bits = convention.number_bits.clamp(1, 64);
    let number = |first: &Step| {
        let word = match convention.number {
            Register::R12 => first.r12,
            _ => first.rax,
        };
        let number = word & (u64::MAX >> (64 - bits));
        calls.contains(&first.address).then_some(number)
    };
    let known = |stay: &&[Step]| {
        let first = &stay[0].address;
        calls.contains(first) || faults.contains(first)
    };
    let addresses = |stay: &[Step]| {
        let mut addresses: Vec<u64> = stay.iter().map(|step| step.address).collect();
        // A string instruction with REP is one, however often it repeats.
        addresses.dedup();
        (number(&stay[0]), addresses)
    };
    stays.filter(known).map(addresses).collect()
}

/// Instructions of each call of that number.
fn calls(steps: &[Step], abi: Abi, number: u64) -> Vec<Vec<u64>> {
    let mut stays = stays(steps, abi);
    stays.retain(|(it, _)| *it == Some(number));
    stays.into_iter().map(|(_, path)| path).collect()
}

/// The code by which calls enter and leave the kernel.
const STUBS: [(&str, &str); 2] = [
    ("page_fault", "trap_common"),
    ("syscall_first", "user_copy"),
];
/// Instructions that are in none of these.
fn body(path: &[u64]) -> Vec<u64> {
    let stub = |(from, to): &(&str, &str)| -> Range<u64> {
        kernel_symbol(from).expect("a symbol")..kernel_symbol(to).expect("a symbol")
    };
    let stubs: Vec<Range<u64>> = STUBS.iter().map(stub).collect();
    let counts = |address: &&u64| !stubs.iter().any(|stub| stub.contains(address));
    path.iter().filter(counts).copied().collect()
}

/// A machine that takes no way which the other one has not.
fn options(backend: BackendKind) -> VmOptions {
    VmOptions {
        setup_timeout: PATIENCE,
        run_timeout: PATIENCE,
        command_line: "nosmap".into(),
        snapshot: SnapshotUse::Off,
        ..VmOptions::default().backend(backend)
    }
}

/// What QEMU writes down of a machine that `work` is done in.
fn logged(work: impl FnOnce(&Vm)) -> Vec<Step> {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let from = kernel_symbol("kernel_start").expect("a symbol");
    let to = kernel_symbol("kernel_text_end").expect("a symbol");
    let mut options = options(BackendKind::Qemu);
    options.qemu_arguments = ["-singlestep", "-d", "exec,nochain,cpu", "-dfilter"]
        .map(String::from)
        .to_vec();
    let range = format!("{from:#x}+{:#x}", to - from);
    options
        .qemu_arguments
        .extend([range, "-D".into(), log.display().to_string()]);
    let vm = options.boot().expect("QEMU runs the kernel");
    work(&vm);
    drop(vm);
    steps(&fs::read_to_string(log).expect("QEMU wrote a log"))
}

/// Both executed the same instructions.
fn agree(name: &str, here: &[u64], there: &[u64]) {
    let differs = here.iter().zip(there).position(|(one, other)| one != other);
    let places = differs.map(|at| (at, kernel_frames(here[at]), kernel_frames(there[at])));
    assert_eq!(places, None, "{name}");
    assert_eq!(here.len(), there.len(), "{name}");
}

#[test]
fn tcg_executes_what_the_meter_counts_instruction_for_instruction() {
    for abi in [Abi::Patchwork, Abi::Veridian, Abi::Xeneva] {
        let mut cases = cases();
        cases.retain(|case| case.abi == abi);
        let make = |probe: &Probe, case: &Case| -> CallResult {
            let made = [(); TIMES].map(|()| probe.call(case.number, case.arguments.clone()));
            let [.., last] = made;
            last.expect("it returns")
        };
        let steps = logged(|vm| {
            let probe = vm.probe(abi).expect("a probe");
            for case in &cases {
                make(&probe, case);
            }
        });
        let vm = options(BackendKind::Kvm).meter_path().boot();
        let vm = vm.expect("KVM runs the kernel");
        let probe = vm.probe(abi).expect("a probe");
        for case in &cases {
            let name = abi.row(case.number).expect("a call").name;
            let spent = make(&probe, case).spent.expect("KVM counts");
            let calls = calls(&steps, abi, case.number);
            assert_eq!(calls.len(), TIMES, "{name}: each is one stay in the kernel");
            let logged = calls.last().expect("one");
            let logged_body = body(logged);
            agree(name, &body(&spent.path), &logged_body);
            assert_eq!(spent.body, logged_body.len() as u64, "{name}");
            assert_eq!(spent.instructions, spent.path.len() as u64, "{name}");
            let more = SYSCALL_MORE * (1 - spent.syscalls);
            assert_eq!(logged.len() as u64, spent.instructions + more, "{name}");
            eprintln!(
                "{:<10} {name:<20} {:>5} agree; with the way in and out {} on KVM, {} on TCG",
                abi.name(),
                spent.body,
                spent.instructions,
                logged.len()
            );
        }
    }
}

/// A program's operation, in one thread: its calls and page faults.
const PROGRAMS: [(Abi, &str, &str); 4] = [
    (Abi::Patchwork, "patchwork-costs", "fault"),
    (Abi::Patchwork, "patchwork-costs", "shm"),
    (Abi::Veridian, "veridian-costs", "mmap-page"),
    (Abi::Xeneva, "xeneva-costs", "fault"),
];

/// Bodies of the stays between the first mark of a program and its last one,
/// without interrupts; `stays` are what began each (a call's number, or a fault)
/// and its instructions.
fn rounds(stays: Vec<(Option<u64>, Vec<u64>)>) -> Vec<Vec<u64>> {
    let is_mark = |stay: &(Option<u64>, Vec<u64>)| stay.0 == Some(MARK);
    let first = stays.iter().position(is_mark).expect("a mark");
    let last = stays.iter().rposition(is_mark).expect("a mark");
    // The first one may be the first call of all, which finds out how calls arrive.
    let between = stays.into_iter().take(last + 1).skip(first + 1);
    between.map(|(_, path)| body(&path)).collect()
}

#[test]
fn tcg_executes_the_calls_and_faults_of_programs_as_they_are_counted() {
    // It does not know that fresh memory is zero, which our own entry tells.
    let here = |program: &str, operation: &str| {
        let options = VmOptions {
            entry: mayfly::Entry::Pvh,
            ..options(BackendKind::Kvm).meter_path()
        };
        let vm = options.boot().expect("KVM runs the kernel");
        vm.reseed(1).expect("a seed");
        let command = vm.spawn(program).args([operation, "count", "2"]);
        command.trace(false).meter(true).run().expect("it runs")
    };
    for (abi, program, operation) in PROGRAMS {
        let name = format!("{program} {operation}");
        let output = here(program, operation);
        let visits = output.visits().iter();
        let visits = visits.filter(|visit| visit.is_call || visit.vector == Some(14));
        let counted = visits.map(|visit| {
            let number = visit.is_call.then(|| visit.number(abi));
            (number, visit.path.clone())
        });
        let counted = rounds(counted.collect());

        let steps = logged(|vm| {
            vm.reseed(1).expect("a seed");
            let command = vm.spawn(program).args([operation, "count", "2"]);
            let output = command.trace(false).run().expect("it runs");
            assert!(output.status.success(), "{name}");
        });
        let logged = rounds(stays(&steps, abi));
        assert_eq!(counted.len(), logged.len(), "{name}");
        for (counted, logged) in counted.iter().zip(&logged) {
            agree(&name, counted, logged);
        }
        let all: usize = counted.iter().map(Vec::len).sum();
        eprintln!("{name}: {} stays, {all} instructions agree", counted.len());
    }
}

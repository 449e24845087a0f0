//! Probes: raw calls in each convention, their buffers and their results.

use mayfly_abi::{Abi, patchwork, veridian, xeneva};

use crate::error::KernelError::{BadHandle, InvalidArgument};
use crate::event::Event;
use crate::fake::Step;
use crate::fake::bench::{Bench, exception};
use crate::fake::image::{ENTRY, Elf};
use crate::frame::TrapFrame;
use crate::kernel::{ProbeCall, ProbeResult};
use crate::object::process::{Cause, ProcessKey};
use crate::port::{Machine, Reason};

/// Largest buffer of a call.
const BUFFER_MAX: usize = 1 << 20;

/// What `user/common/probe.rs` does between its entry and the call.
pub(super) fn enter() -> Step {
    Box::new(|machine, frame| {
        assert_eq!((frame.rip, frame.vector), (ENTRY, 0));
        store(machine, frame.rbp + 24, 1000);
        frame.rax = load(machine, frame.rbp);
        frame.rdx = load(machine, frame.rbp + 8);
        machine.seen.push(*frame);
        Reason::Syscall
    })
}

/// What it does after the call.
pub(super) fn leave() -> Step {
    Box::new(|machine, frame| {
        store(machine, frame.rbp + 16, frame.rax);
        store(machine, frame.rbp + 32, 2000);
        frame.rip = ENTRY - 2;
        (frame.vector, frame.error) = (6, 0);
        Reason::Fault
    })
}

fn load(machine: &mut impl Machine, address: u64) -> u64 {
    let mut word = [0; 8];
    machine
        .read_user(address, &mut word)
        .expect("the mailbox is present");
    u64::from_le_bytes(word)
}

fn store(machine: &mut impl Machine, address: u64, word: u64) {
    machine
        .write_user(address, &word.to_le_bytes())
        .expect("the mailbox is present");
}

pub(super) fn probe(bench: &mut Bench, abi: Abi) -> ProcessKey {
    bench.kernel.open_probe(abi).unwrap()
}

/// Makes a call to its end: registers at the call, and the result.
pub(super) fn make(
    bench: &mut Bench,
    key: ProcessKey,
    call: &ProbeCall<'_>,
) -> (TrapFrame, ProbeResult) {
    bench.kernel.host.events.clear();
    bench.kernel.machine.seen.clear();
    bench.kernel.probe_call(key, call).unwrap();
    bench.script(key, [enter(), leave()]);
    assert!(bench.turn());
    let returned = Event::ProbeReturned { process: key };
    assert_eq!(bench.kernel.host.events, [returned]);
    let result = bench.kernel.probe_result(key, &mut []).unwrap();
    (bench.kernel.machine.seen[0], result)
}

pub(super) fn plain(number: u64, arguments: &[(bool, u64)]) -> ProbeCall<'_> {
    ProbeCall {
        number,
        arguments,
        buffer: &[],
    }
}

const SIX: [(bool, u64); 6] = [
    (false, 11),
    (false, 12),
    (false, 13),
    (false, 14),
    (false, 15),
    (false, 16),
];

#[test]
fn a_probe_waits_until_it_is_asked() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        let key = probe(&mut bench, abi);
        assert!(!bench.turn());
        assert_eq!(bench.process(key).abi, abi);
    }
}

#[test]
fn words_go_into_the_registers_of_the_convention() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Patchwork);
    let (at, result) = make(&mut bench, key, &plain(999, &SIX));
    assert_eq!(
        [at.rdi, at.rsi, at.rdx, at.r10, at.r8, at.r9],
        [11, 12, 13, 14, 15, 16]
    );
    assert_eq!(at.rax, 999);
    assert_eq!(
        result,
        ProbeResult {
            value: u64::MAX,
            error: 38,
            before: 1000,
            after: 2000
        }
    );

    let key = probe(&mut bench, Abi::Veridian);
    let (at, result) = make(&mut bench, key, &plain(9999, &SIX));
    assert_eq!(
        [at.rdi, at.rsi, at.rdx, at.r10, at.r8, at.r9],
        [11, 12, 13, 14, 15, 16]
    );
    assert_eq!((at.rax, result.error), (9999, 14));
}

#[test]
fn xeneva_has_its_last_two_words_on_the_stack() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Xeneva);
    let mut words = [0; 2];
    let peek: Step = Box::new(|machine, frame| {
        let words = [40, 48].map(|offset| load(machine, frame.rsp + offset));
        (frame.rbx, frame.rcx) = (words[0], words[1]);
        enter()(machine, frame)
    });
    bench.kernel.probe_call(key, &plain(9999, &SIX)).unwrap();
    bench.script(key, [peek, leave()]);
    assert!(bench.turn());
    let at = bench.kernel.machine.seen[0];
    words.copy_from_slice(&[at.rbx, at.rcx]);
    assert_eq!(
        (at.r12, [at.r13, at.r14, at.r15, at.rdi], words),
        (9999, [11, 12, 13, 14], [15, 16])
    );
    assert_eq!(
        bench.kernel.probe_result(key, &mut []).unwrap().value,
        u64::MAX
    );
}

#[test]
fn stack_values_of_a_probe_reach_the_formatter() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Xeneva);
    let mut arguments = SIX;
    arguments[0] = (true, 0);
    let call = ProbeCall {
        number: xeneva::nr::SeTextOut,
        arguments: &arguments,
        buffer: b"%d %d %d %d %d\0",
    };
    assert_eq!(make(&mut bench, key, &call).1.value, 0);
    assert_eq!(bench.output(1, 1), b"12 13 14 15 16");
}

#[test]
fn veridian_has_more_than_six_words_in_an_extension_block() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Veridian);
    let nine: Vec<(bool, u64)> = (1..10).map(|word| (false, word)).collect();
    let (at, result) = make(&mut bench, key, &plain(veridian::nr::IPC_CALL, &nine));
    assert_eq!([at.rdi, at.rsi, at.rdx, at.r10, at.r8], [1, 2, 3, 4, 5]);
    // No token of a channel.
    assert_eq!(result.error, 9);
    assert!(at.r9.is_multiple_of(8));
    let mut block = [0; 32];
    let process = bench.kernel.process_mut(key).unwrap();
    assert!(process.probe.is_some());
    let peek: Step = Box::new(move |machine, frame| {
        machine.read_user(at.r9, &mut block).unwrap();
        let words: Vec<u64> = block
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        assert_eq!(words, [6, 7, 8, 9]);
        enter()(machine, frame)
    });
    bench.kernel.probe_call(key, &plain(0, &[])).unwrap();
    bench.script(key, [peek, leave()]);
    assert!(bench.turn());
}

#[test]
fn offsets_into_the_buffer_become_addresses_and_its_contents_come_back() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Veridian);
    bench.kernel.machine.now = 3_000_000_004;
    let call = ProbeCall {
        number: veridian::nr::CLOCK_GET,
        arguments: &[(false, 1), (true, 16)],
        buffer: b"before the result",
    };
    assert_eq!(make(&mut bench, key, &call).1.value, 0);
    let mut buffer = [0xee; 40];
    bench.kernel.probe_result(key, &mut buffer).unwrap();
    assert_eq!(&buffer[..16], b"before the resul");
    let time = veridian::Timespec {
        seconds: 3,
        nanoseconds: 4,
    };
    assert_eq!(buffer[16..32], time.to_bytes());
    assert_eq!(buffer[32..], [0; 8]);
}

#[test]
fn the_error_is_that_of_the_interface() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Patchwork);
    let (_, failed) = make(
        &mut bench,
        key,
        &plain(patchwork::nr::WRITE, &[(false, 9), (false, 1), (false, 1)]),
    );
    assert_eq!((failed.value, failed.error), (u64::MAX, 9));
    let arguments = [(false, 9), (false, 0), (false, 1), (false, 1)];
    let (_, failed) = make(&mut bench, key, &plain(patchwork::nr::MMAP, &arguments));
    assert_eq!((failed.value, failed.error), (0, 9));
    let (_, pid) = make(&mut bench, key, &plain(patchwork::nr::GETPID, &[]));
    assert_eq!((pid.value, pid.error), (2, 0));
}

#[test]
fn a_call_that_sleeps_returns_when_it_is_over() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Xeneva);
    let call = plain(xeneva::nr::ProcessSleep, &[(false, 1)]);
    bench.kernel.probe_call(key, &call).unwrap();
    bench.script(key, [enter(), leave()]);
    assert!(bench.turn());
    assert!(bench.kernel.host.events.is_empty());
    assert_eq!(bench.kernel.probe_call(key, &call), Err(BadHandle));
    assert_eq!(bench.kernel.probe_result(key, &mut []), Err(BadHandle));
    bench.advance(1_000_000);
    assert!(bench.turn());
    assert_eq!(bench.kernel.probe_result(key, &mut []).unwrap().value, 1);
}

#[test]
fn an_alarm_goes_when_its_thread_wakes() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Xeneva);
    let thread = bench.process(key).threads[0];
    make(&mut bench, key, &plain(xeneva::nr::null_call, &[]));
    // As if something else than its time had ended a sleep.
    bench.kernel.timers.set(2000, thread);
    bench
        .kernel
        .probe_call(key, &plain(xeneva::nr::null_call, &[]))
        .unwrap();
    bench.kernel.machine.now = 2000;
    bench.kernel.timer_fired();
    bench.script(key, [enter(), leave()]);
    assert!(bench.turn());
    assert!(!bench.turn());
}

#[test]
fn a_probe_makes_one_call_at_a_time() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Patchwork);
    let call = plain(patchwork::nr::GETPID, &[]);
    bench.kernel.probe_call(key, &call).unwrap();
    assert_eq!(bench.kernel.probe_call(key, &call), Err(BadHandle));
    assert_eq!(bench.kernel.probe_result(key, &mut []), Err(BadHandle));
    assert!(bench.kernel.kill(key));
    assert_eq!(bench.kernel.probe_call(key, &call), Err(BadHandle));
    assert_eq!(bench.kernel.probe_result(key, &mut []), Err(BadHandle));
}

#[test]
fn a_program_is_no_probe() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    assert_eq!(bench.kernel.probe_call(key, &plain(5, &[])), Err(BadHandle));
    assert_eq!(bench.kernel.probe_result(key, &mut []), Err(BadHandle));
    // Nor does an undefined instruction of its own park it.
    bench.script(key, [exception(6)]);
    assert!(bench.turn());
    assert!(matches!(bench.ends()[..], [(1, Cause::Fault(_), 14)]));
}

#[test]
fn too_many_words_or_too_large_a_buffer_are_refused() {
    let mut bench = Bench::new();
    let seven = [(false, 0); 7];
    for abi in [Abi::Xeneva, Abi::Patchwork] {
        let key = probe(&mut bench, abi);
        let refused = bench.kernel.probe_call(key, &plain(1, &seven));
        assert_eq!(refused, Err(InvalidArgument), "{abi:?}");
    }
    let key = probe(&mut bench, Abi::Veridian);
    for (size, expected) in [(BUFFER_MAX + 1, Err(InvalidArgument)), (BUFFER_MAX, Ok(()))] {
        let call = ProbeCall {
            buffer: &vec![1; size],
            ..plain(1, &[])
        };
        assert_eq!(bench.kernel.probe_call(key, &call), expected);
    }
}

#[test]
fn an_offset_beyond_any_buffer_is_an_address_like_any_other() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Veridian);
    let call = plain(veridian::nr::CLOCK_GET, &[(false, 1), (true, u64::MAX - 7)]);
    let (_, result) = make(&mut bench, key, &call);
    assert_eq!(result.error, 11);
}

#[test]
fn a_fault_elsewhere_ends_a_probe() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Patchwork);
    bench.kernel.probe_call(key, &plain(5, &[])).unwrap();
    bench.script(key, [exception(6)]);
    assert!(bench.turn());
    assert!(matches!(bench.ends()[..], [(1, Cause::Fault(_), 14)]));
}

#[test]
fn no_memory_for_a_call_leaves_the_probe_idle() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Patchwork);
    bench.kernel.machine.allocations_left = 0;
    // Its mailbox is there, its buffer is not.
    let with_buffer = ProbeCall {
        buffer: &[1],
        ..plain(5, &[])
    };
    assert!(bench.kernel.probe_call(key, &with_buffer).is_err());
    bench.kernel.machine.allocations_left = u64::MAX;
    assert_eq!(make(&mut bench, key, &plain(5, &[])).1.value, 2);
}

#[test]
fn a_probe_program_in_the_way_of_the_mailbox_leaves_nothing() {
    let mut elf = Elf::program(None);
    elf.programs[1].vaddr = 0x10_0000_0000;
    let mut bench = Bench::with_files(&[("probe", elf.build())]);
    assert!(bench.kernel.open_probe(Abi::Patchwork).is_err());
    assert_eq!(bench.usage(), (0, 0, 0));
}

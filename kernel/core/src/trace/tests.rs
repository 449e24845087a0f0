//! Traces: what is recorded, when, and how much of a call's memory.

use mayfly_abi::{Abi, patchwork, veridian, xeneva};

use super::{DETAIL_MAX, TracedCall};
use crate::event::Event;
use crate::fake::Step;
use crate::fake::bench::{Bench, call, request};
use crate::fake::image::{DATA, DATA_SIZE, pattern};
use crate::kernel::SpawnRequest;
use crate::object::process::{Gate, ProcessKey};
use crate::port::Reason;

const PAGE: u64 = DATA + 0x1000;
const END: u64 = DATA + DATA_SIZE;

fn traced(abi: Abi) -> (Bench, ProcessKey) {
    let mut bench = Bench::new();
    let asked = SpawnRequest {
        traced: true,
        ..request(abi.name())
    };
    let key = bench.kernel.spawn(&asked).unwrap();
    (bench, key)
}

fn only(bench: &Bench) -> TracedCall {
    let [record] = bench.kernel.host.traces[..] else {
        panic!("{:?}", bench.kernel.host.traces);
    };
    record
}

/// What the record of one call keeps of memory.
fn detail(bench: &mut Bench, key: ProcessKey, number: u64, arguments: &[u64]) -> Vec<u8> {
    bench.kernel.host.traces.clear();
    bench.call(key, number, arguments);
    let call = only(bench).call;
    assert!(
        call.detail[call.detail_length.into()..]
            .iter()
            .all(|byte| *byte == 0)
    );
    call.detail[..call.detail_length.into()].to_vec()
}

#[test]
fn a_call_that_returns_is_recorded_with_its_result() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.call(key, patchwork::nr::WRITE, &[9, 22, 33, 44, 55, 66]);
    let record = only(&bench);
    assert_eq!(
        (record.process, record.thread, record.abi),
        (1, 0, Abi::Patchwork)
    );
    assert_eq!(record.call.number, patchwork::nr::WRITE);
    assert_eq!(record.call.arguments, [9, 22, 33, 44, 55, 66]);
    assert_eq!((record.result, record.error), (Some(patchwork::ERR), 9));
    assert!(record.call.entered < record.left);
}

#[test]
fn a_success_is_recorded_without_the_error_of_the_call_before() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.call(key, patchwork::nr::WRITE, &[9, 1, 1]);
    bench.call(key, patchwork::nr::GETPID, &[]);
    let record = bench.kernel.host.traces[1];
    assert_eq!((record.result, record.error), (Some(2), 0));
}

#[test]
fn every_interface_is_recorded_by_its_own_convention() {
    let (mut bench, key) = traced(Abi::Xeneva);
    let number = 9999 | 7 << 32;
    bench.call(key, number, &[11, 12, 13, 14]);
    let record = only(&bench);
    // Words on the stack are not fetched for the record.
    assert_eq!(record.call.arguments, [11, 12, 13, 14, 0, 0]);
    assert_eq!((record.call.number, record.thread), (9999, 1));
    assert_eq!((record.result, record.error), (Some(u64::MAX), 1));

    let (mut bench, key) = traced(Abi::Veridian);
    bench.call(key, 1 << 32, &[1, 2, 3, 4, 5, 6]);
    let record = only(&bench);
    assert_eq!(record.call.arguments, [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        (record.call.number, record.error, record.thread),
        (1 << 32, 14, 1)
    );
}

#[test]
fn a_call_that_yields_is_recorded_once() {
    for (abi, number) in [
        (Abi::Patchwork, patchwork::nr::YIELD),
        (Abi::Veridian, veridian::nr::YIELD),
    ] {
        let (mut bench, key) = traced(abi);
        bench.begin(key, number, &[]);
        assert!(bench.turn());
        assert_eq!(only(&bench).result, Some(0));
    }
}

#[test]
fn a_call_that_parks_is_recorded_when_it_resumes() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.begin(key, patchwork::nr::NANOSLEEP, &[1000]);
    assert!(bench.kernel.host.traces.is_empty());
    bench.advance(1000);
    assert!(bench.turn());
    let record = only(&bench);
    assert_eq!(record.call.number, patchwork::nr::NANOSLEEP);
    assert_eq!((record.result, record.error), (Some(patchwork::ERR), 110));
}

#[test]
fn a_call_that_ends_the_process_is_recorded_without_a_result() {
    for (abi, number) in [
        (Abi::Xeneva, xeneva::nr::ProcessExit),
        (Abi::Patchwork, patchwork::nr::PROCESS_EXIT),
        (Abi::Veridian, veridian::nr::EXIT),
    ] {
        let (mut bench, key) = traced(abi);
        bench.script(key, [call(abi, number, &[3])]);
        assert!(bench.turn());
        let record = only(&bench);
        assert_eq!(
            (record.result, record.error, record.call.number),
            (None, 0, number)
        );
        let [
            Event::Exited {
                calls: 1,
                records: 1,
                ..
            },
        ] = bench.kernel.host.events[..]
        else {
            panic!("{:?}", bench.kernel.host.events);
        };
    }
}

#[test]
fn a_call_that_a_kill_cuts_short_has_no_record() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.call(key, patchwork::nr::GETPID, &[]);
    bench.begin(key, patchwork::nr::NANOSLEEP, &[1000]);
    assert!(bench.kernel.kill(key));
    let [
        Event::Exited {
            calls: 2,
            records: 1,
            ..
        },
    ] = bench.kernel.host.events[..]
    else {
        panic!("{:?}", bench.kernel.host.events);
    };
    assert_eq!(bench.kernel.host.traces.len(), 1);
}

#[test]
fn a_process_that_is_not_traced_has_no_records() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    bench.call(key, patchwork::nr::GETPID, &[]);
    assert!(bench.kernel.host.traces.is_empty());
}

#[test]
fn a_watched_call_does_what_it_does_otherwise() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.poke(key, PAGE, b"hello");
    assert_eq!(bench.call(key, patchwork::nr::WRITE, &[1, PAGE, 5]), 5);
    assert_eq!(bench.output(1, 1), b"hello");
}

#[test]
#[should_panic(expected = "a test asked for a panic")]
fn a_call_panics_when_a_test_asked_for_it() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    let process = bench.kernel.process_mut(key).unwrap();
    (process.panics, process.gate) = (true, Gate::Watched);
    bench.call(key, patchwork::nr::GETPID, &[]);
}

#[test]
fn a_record_keeps_the_first_string_to_its_terminator() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.poke(key, PAGE, b"/dev/zero\0behind");
    assert_eq!(
        detail(&mut bench, key, patchwork::nr::OPEN, &[PAGE]),
        b"/dev/zero"
    );
    // The path is not the first argument.
    assert_eq!(
        detail(&mut bench, key, patchwork::nr::OPENAT, &[1, PAGE]),
        b"/dev/zero"
    );
    // Only the first of two paths is kept.
    assert_eq!(
        detail(&mut bench, key, patchwork::nr::LINK, &[PAGE + 5, PAGE]),
        b"zero"
    );
}

#[test]
fn a_record_keeps_an_input_buffer_to_its_length() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.poke(key, PAGE, b"some\0bytes");
    for (count, kept) in [
        (0, &b""[..]),
        (4, b"some"),
        (6, b"some\0b"),
        (10, b"some\0bytes"),
    ] {
        let arguments = [1, PAGE, count];
        assert_eq!(
            detail(&mut bench, key, patchwork::nr::WRITE, &arguments),
            kept
        );
    }
}

#[test]
fn a_record_keeps_only_so_much() {
    let (mut bench, key) = traced(Abi::Patchwork);
    let bytes: Vec<u8> = (0..200).map(pattern).collect();
    bench.poke(key, PAGE, &bytes);
    for (number, arguments) in [
        (patchwork::nr::OPEN, [PAGE, 0, 0]),
        (patchwork::nr::WRITE, [1, PAGE, 200]),
        (patchwork::nr::WRITE, [1, PAGE, u64::MAX]),
    ] {
        let kept = detail(&mut bench, key, number, &arguments);
        assert_eq!(kept, bytes[..DETAIL_MAX]);
    }
    let exact = [1, PAGE, DETAIL_MAX as u64];
    assert_eq!(
        detail(&mut bench, key, patchwork::nr::WRITE, &exact),
        bytes[..DETAIL_MAX]
    );
}

#[test]
fn a_record_keeps_what_can_be_read() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.poke(key, END - 3, b"abc");
    assert_eq!(
        detail(&mut bench, key, patchwork::nr::OPEN, &[END - 3]),
        b"abc"
    );
    assert_eq!(
        detail(&mut bench, key, patchwork::nr::WRITE, &[1, END - 3, 9]),
        b"abc"
    );
    for bad in [0, END, 0xffff_8000_0000_0000, u64::MAX] {
        assert_eq!(
            detail(&mut bench, key, patchwork::nr::OPEN, &[bad]),
            b"",
            "{bad:#x}"
        );
    }
}

#[test]
fn calls_without_input_keep_nothing() {
    let (mut bench, key) = traced(Abi::Patchwork);
    bench.poke(key, PAGE, b"bytes");
    for number in [
        patchwork::nr::GETPID,
        patchwork::nr::READ,
        patchwork::nr::UNIX_EPOCH,
        34,
    ] {
        assert_eq!(
            detail(&mut bench, key, number, &[PAGE, PAGE + 8, 5]),
            b"",
            "{number}"
        );
    }
}

#[test]
fn a_request_of_an_ipc_call_is_kept_though_its_last_words_are_in_memory() {
    let (mut bench, key) = traced(Abi::Veridian);
    bench.poke(key, PAGE, b"request");
    let step: Step = Box::new(|_, frame| {
        (frame.rax, frame.rdi, frame.rsi, frame.rdx) = (veridian::nr::IPC_CALL, 1, PAGE, 7);
        frame.r9 = DATA;
        Reason::Syscall
    });
    bench.script(key, [step]);
    bench.registers(key);
    let call = only(&bench).call;
    assert_eq!(&call.detail[..call.detail_length.into()], b"request");
}

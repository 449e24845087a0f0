//! Standard input that the host sends, as a process of PatchworkOS reads it.

use std::rc::Rc;

use mayfly_abi::Abi;
use mayfly_abi::patchwork::{self, Errno, nr};

use crate::fake::bench::{Bench, pause, request};
use crate::fake::image::DATA;
use crate::kernel::{Input, SpawnError, SpawnRequest};
use crate::object::input::{CAPACITY, FeedError};
use crate::object::process::ProcessKey;
use crate::port::PAGE_SIZE;

const FDS: u64 = DATA + 0x2000;
const BUFFER: u64 = DATA + 0x3000;
const NEVER: u64 = u64::MAX;
/// Number of the first process.
const FIRST: u64 = 1;

fn asked(program: &str) -> SpawnRequest<'_> {
    SpawnRequest {
        input: Input::Sent,
        ..request(program)
    }
}

/// A process with an input.
fn reader() -> (Bench, ProcessKey) {
    let mut bench = Bench::new();
    let key = bench.kernel.spawn(&asked("patchwork")).unwrap();
    (bench, key)
}

/// A woken thread has its turn: what its call returned.
fn again(bench: &mut Bench) -> Option<u64> {
    bench.kernel.machine.seen.clear();
    assert!(bench.turn(), "nobody was woken");
    bench.returned()
}

/// One `pollfd_t` for reading standard input.
fn poll(bench: &mut Bench, key: ProcessKey, timeout: u64) -> [u64; 3] {
    let mut bytes = [0; 16];
    bytes[8] = 1;
    bench.poke(key, FDS, &bytes);
    [FDS, 1, timeout]
}

#[test]
fn a_read_takes_what_is_there_and_waits_for_more() {
    let (mut bench, key) = reader();
    bench.kernel.feed(FIRST, b"hello").unwrap();
    assert_eq!(bench.call(key, nr::READ, &[0, BUFFER, 3]), 3);
    assert_eq!(bench.call(key, nr::READ, &[0, BUFFER + 3, 100]), 2);
    assert_eq!(bench.peek(key, BUFFER, 5), b"hello");
    assert_eq!(bench.call(key, nr::READ, &[0, BUFFER, 0]), 0);
    bench.begin(key, nr::READ, &[0, BUFFER, 100]);
    assert_eq!(bench.returned(), None);
    bench.kernel.feed(FIRST, b"more").unwrap();
    assert_eq!(again(&mut bench), Some(4));
    assert_eq!(bench.peek(key, BUFFER, 4), b"more");
}

#[test]
fn the_end_is_read_again_and_again() {
    let (mut bench, key) = reader();
    bench.begin(key, nr::READ, &[0, BUFFER, 100]);
    bench.kernel.feed(FIRST, b"").unwrap();
    assert_eq!(again(&mut bench), Some(0));
    assert_eq!(bench.call(key, nr::READ, &[0, BUFFER, 100]), 0);
    assert_eq!(bench.kernel.feed(FIRST, b"x"), Err(FeedError::Ended));
    assert_eq!(bench.kernel.feed(FIRST, b""), Err(FeedError::Ended));
}

#[test]
fn bytes_before_the_end_are_read_first() {
    let (mut bench, key) = reader();
    bench.kernel.feed(FIRST, b"last").unwrap();
    bench.kernel.feed(FIRST, b"").unwrap();
    assert_eq!(bench.call(key, nr::READ, &[0, BUFFER, 100]), 4);
    assert_eq!(bench.call(key, nr::READ, &[0, BUFFER, 100]), 0);
}

#[test]
fn no_more_is_taken_than_there_is_room_for() {
    let (mut bench, key) = reader();
    let full = vec![7; CAPACITY];
    bench.kernel.feed(FIRST, &full).unwrap();
    assert_eq!(bench.kernel.feed(FIRST, b"x"), Err(FeedError::NoRoom));
    let half = CAPACITY as u64 / 2;
    let mut read = 0;
    while read < half {
        assert!(bench.kernel.host.inputs.is_empty(), "after {read} bytes");
        read += bench.call(key, nr::READ, &[0, BUFFER, PAGE_SIZE]);
    }
    assert_eq!(bench.kernel.host.inputs, [(FIRST, Some(CAPACITY / 2))]);
    bench.kernel.feed(FIRST, &full[..CAPACITY / 2]).unwrap();
    assert_eq!(bench.kernel.feed(FIRST, b"x"), Err(FeedError::NoRoom));
}

#[test]
fn a_poll_waits_for_bytes_or_the_end() {
    for bytes in [&b"x"[..], b""] {
        let (mut bench, key) = reader();
        let arguments = poll(&mut bench, key, 0);
        assert_eq!(bench.call(key, nr::POLL, &arguments), 0);
        let arguments = poll(&mut bench, key, NEVER);
        bench.begin(key, nr::POLL, &arguments);
        assert_eq!(bench.returned(), None);
        bench.kernel.feed(FIRST, bytes).unwrap();
        assert_eq!(again(&mut bench), Some(1));
        assert_eq!(bench.peek(key, FDS + 12, 1), [1]);
        let arguments = poll(&mut bench, key, NEVER);
        assert_eq!(bench.call(key, nr::POLL, &arguments), 1);
    }
}

#[test]
fn it_is_for_reading_only() {
    let (mut bench, key) = reader();
    assert_eq!(bench.call(key, nr::WRITE, &[0, BUFFER, 1]), patchwork::ERR);
    assert_eq!(
        bench.call(key, nr::ERRNO, &[]),
        u64::from(Errno::ENOSYS.code())
    );
    assert_eq!(bench.call(key, nr::SEEK, &[0, 0, 0]), patchwork::ERR);
}

#[test]
fn the_host_hears_that_nobody_reads_any_more() {
    for close in [
        |bench: &mut Bench, key: ProcessKey| {
            assert_eq!(bench.call(key, nr::CLOSE, &[0]), 0);
            assert_eq!(bench.kernel.host.inputs.len(), 1, "at once");
        },
        |bench: &mut Bench, key: ProcessKey| {
            assert_eq!(bench.call(key, nr::DUP2, &[1, 0]), 0);
        },
        |bench: &mut Bench, key: ProcessKey| {
            bench.kernel.kill(key);
        },
        |bench: &mut Bench, key: ProcessKey| {
            bench.begin(key, nr::PROCESS_EXIT, &[0]);
        },
    ] {
        let (mut bench, key) = reader();
        let quota = Rc::clone(&bench.kernel.files().quota);
        let left = quota.left();
        close(&mut bench, key);
        if bench.kernel.host.inputs.is_empty() {
            assert!(!bench.turn(), "it is told when the kernel looks around");
        }
        assert_eq!(bench.kernel.host.inputs, [(FIRST, None)]);
        assert_eq!(bench.kernel.feed(FIRST, b"x"), Err(FeedError::NoReader));
        assert!(quota.left() > left + CAPACITY as u64);
        assert!(bench.kernel.files().inputs.borrow().is_empty());
    }
}

#[test]
fn a_duplicate_keeps_it_open() {
    let (mut bench, key) = reader();
    assert_eq!(bench.call(key, nr::DUP, &[0]), 3);
    assert_eq!(bench.call(key, nr::CLOSE, &[0]), 0);
    assert!(bench.kernel.host.inputs.is_empty());
    bench.kernel.feed(FIRST, b"abc").unwrap();
    assert_eq!(bench.call(key, nr::READ, &[3, BUFFER, 100]), 3);
    assert_eq!(bench.call(key, nr::CLOSE, &[3]), 0);
    assert_eq!(bench.kernel.host.inputs, [(FIRST, None)]);
}

#[test]
fn another_process_reads_on_where_the_first_left_off() {
    let (mut bench, first) = reader();
    bench.kernel.feed(FIRST, b"abcdef").unwrap();
    assert_eq!(bench.call(first, nr::READ, &[0, BUFFER, 2]), 2);
    let file = Rc::clone(bench.process(first).handles.get(0).unwrap());
    let second = bench.spawn(Abi::Patchwork);
    let handles = &mut bench.kernel.process_mut(second).unwrap().handles;
    handles.set(0, Some(file)).unwrap();
    bench.kernel.kill(first);
    assert_eq!(bench.call(second, nr::READ, &[0, BUFFER, 100]), 4);
    assert_eq!(bench.peek(second, BUFFER, 4), b"cdef");
    bench.begin(second, nr::READ, &[0, BUFFER, 100]);
    // The host still knows it by the process that it was made for.
    bench.kernel.feed(FIRST, b"g").unwrap();
    assert_eq!(again(&mut bench), Some(1));
    assert!(bench.kernel.host.inputs.is_empty());
}

#[test]
fn who_has_none_gets_none() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    assert_eq!(bench.kernel.feed(FIRST, b"x"), Err(FeedError::NoReader));
    let other = bench.kernel.spawn(&asked("patchwork")).unwrap();
    assert_eq!(bench.kernel.feed(FIRST, b"x"), Err(FeedError::NoReader));
    bench.kernel.feed(FIRST + 1, b"x").unwrap();
    assert_eq!(bench.call(key, nr::READ, &[0, BUFFER, 100]), 0);
    assert_eq!(bench.call(other, nr::READ, &[0, BUFFER, 100]), 1);
}

#[test]
fn a_program_that_cannot_be_started_leaves_no_input() {
    let mut bench = Bench::new();
    let quota = Rc::clone(&bench.kernel.files().quota);
    let left = quota.left();
    let refused = bench.kernel.spawn(&asked("absent"));
    assert_eq!(refused, Err(SpawnError::NoProgram));
    quota.take(left - CAPACITY as u64).unwrap();
    let refused = bench.kernel.spawn(&asked("patchwork"));
    assert_eq!(refused, Err(SpawnError::NoRoom));
    assert_eq!(quota.left(), CAPACITY as u64);
    assert!(!bench.turn());
    assert!(bench.kernel.host.inputs.is_empty());
}

#[test]
fn every_interface_holds_its_input_while_it_lives() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        let key = bench.kernel.spawn(&asked(abi.name())).unwrap();
        bench.kernel.feed(FIRST, b"x").unwrap();
        bench.kernel.kill(key);
        assert!(!bench.turn());
        assert_eq!(bench.kernel.host.inputs, [(FIRST, None)], "{abi:?}");
    }
}

#[test]
fn readers_share_what_comes() {
    let (mut bench, first) = reader();
    let file = Rc::clone(bench.process(first).handles.get(0).unwrap());
    let second = bench.spawn(Abi::Patchwork);
    let handles = &mut bench.kernel.process_mut(second).unwrap().handles;
    handles.set(0, Some(file)).unwrap();
    bench.begin(first, nr::READ, &[0, BUFFER, 100]);
    bench.begin(second, nr::READ, &[0, BUFFER, 100]);
    bench.kernel.feed(FIRST, b"one").unwrap();
    // The first who waited has it all, the other waits again.
    assert_eq!(again(&mut bench), Some(3));
    bench.script(first, [pause()]);
    assert_eq!(again(&mut bench), None);
    bench.kernel.feed(FIRST, b"").unwrap();
    assert!(bench.turn());
    assert_eq!(again(&mut bench), Some(0));
}

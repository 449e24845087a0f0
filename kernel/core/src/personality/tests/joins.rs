//! Threads of VeridianOS and the codes they leave (specs/veridian.md §5, §7.7).

use mayfly_abi::Abi;
use mayfly_abi::veridian::{ERROR_BIT, nr};

use super::one;
use crate::fake::Step;
use crate::fake::bench::{Bench, call, pause};
use crate::fake::image::{DATA, DATA_SIZE, TEXT};
use crate::object::process::{Cause, ProcessKey};

/// A stack in the data segment.
const STACK: u64 = DATA + 0x1000;
const SIZE: u64 = 0x1000;
const NEVER: u64 = u64::MAX;

fn step(number: u64, arguments: &[u64]) -> Step {
    call(Abi::Veridian, number, arguments)
}

fn create(bench: &mut Bench, key: ProcessKey, arguments: [u64; 4]) -> Result<u64, u64> {
    match bench.call(key, nr::THREAD_CREATE, &arguments) {
        value if value & ERROR_BIT == 0 => Ok(value),
        value => Err(value & !ERROR_BIT),
    }
}

#[test]
fn a_thread_starts_as_if_called_from_nowhere() {
    for (base, size, stack) in [
        (STACK, SIZE, STACK + SIZE - 8),
        (STACK + 5, SIZE, STACK + SIZE - 8),
        (STACK, SIZE + 15, STACK + SIZE - 8),
    ] {
        let (mut bench, key) = one(Abi::Veridian);
        bench.poke(key, stack, &[0xff; 8]);
        assert_eq!(create(&mut bench, key, [TEXT, base, size, 7]), Ok(2));
        bench.kernel.machine.seen.clear();
        bench.script(key, [pause()]);
        assert!(bench.turn());
        let frame = bench.kernel.machine.seen[0];
        assert_eq!((frame.rip, frame.rdi, frame.rsp), (TEXT, 7, stack));
        assert_eq!(frame.rsp % 16, 8);
        assert_eq!((frame.rsi, frame.rax, frame.rbp), (0, 0, 0));
        assert_eq!(bench.peek_word(key, stack), 0, "a return address");
    }
}

#[test]
fn what_is_asked_of_a_thread_is_checked_in_order() {
    let (mut bench, key) = one(Abi::Veridian);
    let end = DATA + DATA_SIZE;
    for (arguments, error) in [
        ([0, STACK, SIZE, 0], 1),
        ([TEXT, STACK, SIZE - 1, 0], 1),
        ([TEXT, STACK, 0, 0], 1),
        ([TEXT, STACK, u64::MAX - STACK + 1, 0], 1),
        ([0, 0, SIZE, 0], 1),
        ([8, STACK, SIZE, 0], 11),
        ([DATA, STACK, SIZE, 0], 11),
        ([1 << 63, STACK, SIZE, 0], 11),
        ([u64::MAX, STACK, SIZE, 0], 11),
        ([TEXT, 0, SIZE, 0], 11),
        ([TEXT, TEXT, SIZE, 0], 11),
        ([TEXT, end - SIZE + 1, SIZE, 0], 11),
        ([TEXT, DATA - 1, SIZE, 0], 11),
        ([TEXT, 0xffff_8000_0000_0000, SIZE, 0], 11),
    ] {
        assert_eq!(
            create(&mut bench, key, arguments),
            Err(error),
            "{arguments:x?}"
        );
    }
    bench.kernel.machine.heap_low = true;
    assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Err(5));
    assert_eq!(bench.kernel.thread_count(), 1);
    bench.kernel.machine.heap_low = false;
    assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Ok(2));
}

#[test]
fn a_process_has_256_threads() {
    let (mut bench, key) = one(Abi::Veridian);
    let step = |bench: &mut Bench| {
        bench.script(
            key,
            [step(nr::THREAD_CREATE, &[TEXT, STACK, SIZE, 0]), pause()],
        );
        bench.kernel.machine.seen.clear();
        assert!(bench.turn());
        bench.returned().unwrap()
    };
    for id in 2..=256 {
        assert_eq!(step(&mut bench), id);
    }
    assert_eq!(step(&mut bench), ERROR_BIT | 8);
}

#[test]
fn a_code_is_taken_once_and_not_sign_extended() {
    let (mut bench, key) = one(Abi::Veridian);
    for (id, code) in (2..).zip([0, 1, -1, i32::MIN, i32::MAX]) {
        assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Ok(id));
        bench.script(
            key,
            [step(nr::THREAD_EXIT, &[i64::from(code).cast_unsigned()])],
        );
        assert!(bench.turn());
        let joined = bench.call(key, nr::THREAD_JOIN, &[id, NEVER]);
        assert_eq!(joined, u64::from(code.cast_unsigned()));
        assert_eq!(
            bench.call(key, nr::THREAD_JOIN, &[id, NEVER]),
            ERROR_BIT | 3
        );
    }
}

/// Three threads, the turn of the second: 2, 3, 1.
fn three() -> (Bench, ProcessKey) {
    let (mut bench, key) = one(Abi::Veridian);
    assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Ok(2));
    bench.script(key, [pause()]);
    assert!(bench.turn());
    assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Ok(3));
    bench.kernel.machine.seen.clear();
    (bench, key)
}

/// Lets the next threads take one step each, and parks what waits.
fn steps(bench: &mut Bench, key: ProcessKey, steps: impl IntoIterator<Item = Step>) {
    for step in steps {
        bench.script(key, [step]);
        assert!(bench.turn(), "nobody runs");
    }
}

#[test]
fn a_join_waits_for_the_end_and_only_one_does() {
    let (mut bench, key) = three();
    let join = |id, timeout| step(nr::THREAD_JOIN, &[id, timeout]);
    // 2 joins 1, and 3 may not.
    steps(&mut bench, key, [join(1, NEVER)]);
    bench.script(key, [join(1, NEVER), pause()]);
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(ERROR_BIT | 6));
    // 1 ends; the code is for 2 alone, even before it has had its turn.
    steps(&mut bench, key, [step(nr::THREAD_EXIT, &[5])]);
    bench.script(key, [join(1, NEVER), pause(), pause()]);
    assert!(bench.turn() && bench.turn());
    let seen = &bench.kernel.machine.seen;
    let values: Vec<u64> = seen[1..].iter().map(|frame| frame.rax).collect();
    assert_eq!(values, [ERROR_BIT | 6, 5]);
}

#[test]
fn a_join_gives_up_when_its_time_is_over_and_may_be_made_again() {
    let (mut bench, key) = one(Abi::Veridian);
    bench.poke(key, DATA, &[5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Ok(2));
    // 2 sleeps for long.
    steps(&mut bench, key, [step(nr::NANOSLEEP, &[DATA])]);
    for (id, timeout, error) in [
        (1, 0, 1),
        (1, NEVER, 1),
        (2, 0, 7),
        (9, 0, 3),
        (0, NEVER, 3),
    ] {
        let joined = bench.call(key, nr::THREAD_JOIN, &[id, timeout]);
        assert_eq!(joined, ERROR_BIT | error, "{id} {timeout}");
    }
    for _ in 0..2 {
        bench.kernel.machine.seen.clear();
        steps(&mut bench, key, [step(nr::THREAD_JOIN, &[2, 1000])]);
        assert!(!bench.turn());
        bench.advance(1000);
        bench.script(key, [pause()]);
        assert!(bench.turn());
        assert_eq!(bench.returned(), Some(ERROR_BIT | 7));
    }
}

#[test]
fn the_last_thread_gives_the_process_its_code() {
    let (mut bench, key) = three();
    steps(
        &mut bench,
        key,
        [3, 4, -7_i64].map(|code| step(nr::THREAD_EXIT, &[code.cast_unsigned()])),
    );
    assert_eq!(bench.ends(), [(1, Cause::Exit, -7)]);
}

#[test]
fn codes_that_nobody_takes_are_bounded() {
    let (mut bench, key) = one(Abi::Veridian);
    for id in 2..=4096 {
        assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Ok(id));
        steps(&mut bench, key, [step(nr::THREAD_EXIT, &[0])]);
    }
    assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Err(8));
    assert_eq!(bench.call(key, nr::THREAD_JOIN, &[9, 0]), 0);
    assert_eq!(create(&mut bench, key, [TEXT, STACK, SIZE, 0]), Ok(4097));
}

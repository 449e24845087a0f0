//! Threads and futexes of PatchworkOS.

use mayfly_abi::Abi;
use mayfly_abi::patchwork::{ERR, nr};
use proptest::prelude::*;

use super::{errno, one};
use crate::fake::Step;
use crate::fake::bench::{Bench, call, exception, pause};
use crate::fake::image::{DATA, ENTRY};
use crate::object::process::{Cause, ProcessKey};

const STRIDE: u64 = 0x6_5000;
const TOP: u64 = 0x7fff_ffff_f000;
const WORD: u64 = DATA + 0x1000;
const NEVER: u64 = u64::MAX;
const WAIT: u64 = 0;
const WAKE: u64 = 1;

fn step(number: u64, arguments: &[u64]) -> Step {
    call(Abi::Patchwork, number, arguments)
}

/// Makes a thread whose first turn only notes its registers.
fn add(bench: &mut Bench, key: ProcessKey) -> u64 {
    bench.call(key, nr::THREAD_CREATE, &[ENTRY, 7])
}

#[test]
fn a_thread_starts_with_its_argument_on_a_stack_of_its_own() {
    let (mut bench, key) = one(Abi::Patchwork);
    assert_eq!(add(&mut bench, key), 1);
    bench.kernel.machine.seen.clear();
    bench.script(key, [pause(), pause()]);
    assert!(bench.turn() && bench.turn());
    let frame = bench.kernel.machine.seen[0];
    let top = TOP - STRIDE;
    assert_eq!((frame.rip, frame.rdi), (ENTRY, 7));
    assert_eq!((frame.rsp, frame.rbp), (top, top));
    // The whole stack is there, and the page below it is not.
    bench.poke(key, top - 100 * 4096, b"stack");
    let space = &bench.process(key).space;
    assert!(space.find_free(top - 101 * 4096, 4096) == Some(top - 101 * 4096));
    assert_eq!(bench.process(key).threads.len(), 2);
}

#[test]
fn ids_go_on_and_every_thread_has_its_own_error_number() {
    let (mut bench, key) = one(Abi::Patchwork);
    assert_eq!(add(&mut bench, key), 1);
    // The new thread's turn: it ends.
    bench.script(key, [step(nr::THREAD_EXIT, &[])]);
    assert!(bench.turn());
    assert_eq!(bench.process(key).threads.len(), 1);
    assert_eq!(bench.kernel.thread_count(), 1);
    assert_eq!(add(&mut bench, key), 2);
    bench.script(key, [step(nr::GETTID, &[]), pause()]);
    bench.kernel.machine.seen.clear();
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(2));
}

#[test]
fn an_entry_is_checked_and_a_full_kernel_makes_no_thread() {
    let (mut bench, key) = one(Abi::Patchwork);
    for (entry, error) in [(0, 22), (8, 14), (TOP - 7, 14), (u64::MAX - 7, 75)] {
        assert_eq!(bench.call(key, nr::THREAD_CREATE, &[entry, 0]), ERR);
        assert_eq!(errno(&mut bench, key), error, "{entry:#x}");
    }
    bench.kernel.machine.heap_low = true;
    assert_eq!(add(&mut bench, key), ERR);
    assert_eq!(errno(&mut bench, key), 12);
    bench.kernel.machine.heap_low = false;
    assert_eq!(add(&mut bench, key), 1);
}

#[test]
fn the_last_thread_ends_the_process() {
    let (mut bench, key) = one(Abi::Patchwork);
    add(&mut bench, key);
    bench.script(
        key,
        [step(nr::THREAD_EXIT, &[]), step(nr::THREAD_EXIT, &[])],
    );
    assert!(bench.turn());
    assert!(bench.ends().is_empty());
    // Someone who can ask how it ended.
    let other = bench.spawn(Abi::Patchwork);
    assert!(bench.turn());
    assert_eq!(bench.ends(), [(1, Cause::Exit, 0)]);
    let exit = bench.kernel.exit_of(Abi::Patchwork, 2).unwrap();
    assert_eq!(exit.status.get(), Some(0));
    // With nobody left, no end is kept.
    assert!(bench.kernel.kill(other));
    assert!(bench.kernel.exit_of(Abi::Patchwork, 2).is_none());
}

#[test]
fn a_fault_in_any_thread_ends_all_of_them() {
    let (mut bench, key) = one(Abi::Patchwork);
    for _ in 0..20 {
        assert_ne!(add(&mut bench, key), ERR);
        // The new thread's turn: some wait, some sleep, some are queued.
        let last = bench.process(key).threads.len() % 3;
        let first = match last {
            0 => step(nr::FUTEX, &[WORD, 0, WAIT, NEVER]),
            1 => step(nr::NANOSLEEP, &[1_000_000]),
            _ => pause(),
        };
        // Threads that are queued have a turn first.
        while bench
            .kernel
            .machine
            .scripts
            .values()
            .any(|script| !script.is_empty())
        {
            assert!(bench.turn());
        }
        bench.script(key, [first]);
        assert!(bench.turn());
    }
    bench.script(key, [exception(0)]);
    assert!(bench.turn());
    assert!(matches!(bench.ends()[..], [(1, Cause::Fault(_), 14)]));
    assert_eq!(bench.usage(), (0, 0, 0));
    bench.advance(10_000_000);
    assert!(!bench.turn());
}

/// One of the waiters' or the waker's deeds.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Wait { word: u64, timeout: u64 },
    Wake { word: u64, count: u64 },
    Pass(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let word = || (0..3_u64).prop_map(|word| WORD + 8 * word);
    let deed = prop_oneof![
        (word(), prop_oneof![Just(NEVER), 0..50_u64])
            .prop_map(|(word, timeout)| Deed::Wait { word, timeout }),
        (word(), prop_oneof![Just(0), Just(1), Just(NEVER)])
            .prop_map(|(word, count)| Deed::Wake { word, count }),
        (0..60_u64).prop_map(Deed::Pass),
    ];
    proptest::collection::vec(deed, 0..40)
}

/// Waiters in the model: their word and when they give up.
type Model = Vec<(u64, Option<u64>)>;

proptest! {
    /// The main thread makes a thread for each wait, and wakes; time passes.
    #[test]
    fn futexes_are_those_of_a_model(deeds in deeds()) {
        let (mut bench, key) = one(Abi::Patchwork);
        let mut model = Model::new();
        let mut now = 0;
        for deed in deeds {
            match deed {
                Deed::Wait { word, timeout } => {
                    prop_assert_ne!(add(&mut bench, key), ERR);
                    bench.script(key, [step(nr::FUTEX, &[word, 0, WAIT, timeout])]);
                    prop_assert!(bench.turn());
                    let end = (timeout != NEVER).then(|| now + timeout);
                    model.push((word, end));
                }
                Deed::Wake { word, count } => {
                    let waiting = model.iter().filter(|waiter| waiter.0 == word).count() as u64;
                    let woken = bench.call(key, nr::FUTEX, &[word, count, WAKE, 0]);
                    prop_assert_eq!(woken, if count == 0 { 0 } else { waiting });
                    if count > 0 {
                        model.retain(|waiter| waiter.0 != word);
                    }
                    end_woken(&mut bench, key, woken, 0);
                }
                Deed::Pass(time) => {
                    bench.advance(time);
                    now += time;
                    let before = model.len();
                    model.retain(|waiter| waiter.1.is_none_or(|end| end > now));
                    // The main thread has its turn first.
                    bench.script(key, [pause()]);
                    prop_assert!(bench.turn());
                    end_woken(&mut bench, key, (before - model.len()) as u64, ERR);
                }
            }
            prop_assert_eq!(bench.kernel.thread_count(), model.len() + 1);
        }
    }
}

/// Threads that wait no more have a turn each, in which they end.
fn end_woken(bench: &mut Bench, key: ProcessKey, count: u64, result: u64) {
    for _ in 0..count {
        let end: Step = Box::new(move |machine, frame| {
            assert_eq!(frame.rax, result);
            step(nr::THREAD_EXIT, &[])(machine, frame)
        });
        bench.script(key, [end]);
        assert!(bench.turn());
    }
}

#[test]
fn a_futex_says_why_it_cannot_wait() {
    let (mut bench, key) = one(Abi::Patchwork);
    bench.poke(key, WORD, &5_u64.to_le_bytes());
    for (arguments, error) in [
        ([0, 5, WAIT, 0], 22),
        ([0, 5, WAKE, 0], 22),
        ([WORD, 5, 2, 0], 22),
        ([8, 5, WAIT, 0], 14),
        ([TOP - 7, 5, WAIT, 0], 14),
        ([u64::MAX, 5, WAIT, 0], 14),
        ([WORD, 4, WAIT, NEVER], 11),
        ([WORD, 5 | 1 << 40, WAIT, NEVER], 11),
    ] {
        assert_eq!(bench.call(key, nr::FUTEX, &arguments), ERR);
        assert_eq!(errno(&mut bench, key), error, "{arguments:x?}");
    }
}

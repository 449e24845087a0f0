//! Whose turn it is: round robin, yielding, sleeping and waking.

use mayfly_abi::{Abi, patchwork, veridian, xeneva};

use crate::fake::Step;
use crate::fake::bench::{Bench, call, interrupt, pause};
use crate::fake::image::DATA;
use crate::object::process::ProcessKey;
use crate::port::Reason;
use crate::schedule::SLICE;

/// Ring 3 leaves its mark in the vector registers and is interrupted.
fn mark(number: u64) -> Step {
    Box::new(move |machine, _| {
        machine.vector = number;
        Reason::Interrupt
    })
}

/// Ring 3 finds its mark in the vector registers.
fn find(number: u64) -> Step {
    Box::new(move |machine, _| {
        assert_eq!(machine.vector, number, "vector registers of another thread");
        Reason::Interrupt
    })
}

fn spawn_all(bench: &mut Bench) -> [ProcessKey; 3] {
    Abi::ALL.map(|abi| bench.spawn(abi))
}

/// Notes the number in RAX, so that `seen` tells the order of turns.
fn turn_of(number: u64) -> Step {
    Box::new(move |machine, frame| {
        frame.rax = number;
        machine.seen.push(*frame);
        Reason::Interrupt
    })
}

fn order(bench: &Bench) -> Vec<u64> {
    bench
        .kernel
        .machine
        .seen
        .iter()
        .map(|frame| frame.rax)
        .collect()
}

#[test]
fn without_processes_nobody_runs() {
    assert!(!Bench::new().turn());
}

#[test]
fn preempted_threads_take_turns() {
    let mut bench = Bench::new();
    for (number, key) in (0..).zip(spawn_all(&mut bench)) {
        bench.script(key, (0..3).map(|_| turn_of(number)));
    }
    while bench.kernel.machine.seen.len() < 9 {
        assert!(bench.turn());
    }
    assert_eq!(order(&bench), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_preempted_thread_goes_on_with_its_registers() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    let set: Step = Box::new(|_, frame| {
        (frame.rax, frame.rip, frame.r15) = (7, 8, 9);
        Reason::Interrupt
    });
    bench.script(key, [set, pause()]);
    assert!(bench.turn() && bench.turn());
    let frame = bench.kernel.machine.seen[0];
    assert_eq!((frame.rax, frame.rip, frame.r15), (7, 8, 9));
}

#[test]
fn vector_registers_stay_with_their_thread() {
    let mut bench = Bench::new();
    let keys = spawn_all(&mut bench);
    for (number, key) in (1..).zip(keys) {
        bench.script(key, [find(0), mark(number), find(number), find(number)]);
    }
    for _ in 0..12 {
        assert!(bench.turn());
    }
}

#[test]
fn vector_registers_of_a_dead_thread_are_nobodys() {
    let mut bench = Bench::new();
    let [first, second, _] = spawn_all(&mut bench);
    bench.script(first, [mark(5)]);
    assert!(bench.turn());
    assert!(bench.kernel.kill(first));
    bench.script(second, [find(0)]);
    assert!(bench.turn());
}

#[test]
fn a_yield_lets_others_run_and_then_answers_0() {
    for (abi, number) in [
        (Abi::Patchwork, patchwork::nr::YIELD),
        (Abi::Veridian, veridian::nr::YIELD),
    ] {
        let mut bench = Bench::new();
        let key = bench.spawn(abi);
        let other = bench.spawn(Abi::Xeneva);
        bench.script(key, [call(abi, number, &[]), pause()]);
        bench.script(other, [turn_of(99)]);
        for _ in 0..3 {
            assert!(bench.turn());
        }
        assert_eq!(order(&bench), [99, 0]);
    }
}

#[test]
fn a_lone_thread_is_not_preempted() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    bench.script(key, [interrupt()]);
    assert!(bench.turn());
    assert_eq!(bench.kernel.machine.armed, None);
}

#[test]
fn a_thread_has_a_slice_when_others_wait() {
    let mut bench = Bench::new();
    bench.kernel.machine.now = 1000;
    for key in spawn_all(&mut bench) {
        bench.script(key, [interrupt()]);
    }
    assert!(bench.turn());
    assert_eq!(bench.kernel.machine.armed, Some(1000 + SLICE));
}

#[test]
fn every_slice_ends_even_when_somebody_sleeps_longer() {
    let mut bench = Bench::new();
    let [sleeper, one, other] = spawn_all(&mut bench);
    let sleep = call(Abi::Xeneva, xeneva::nr::ProcessSleep, &[60_000]);
    bench.script(sleeper, [sleep]);
    bench.script(one, [interrupt(), interrupt()]);
    bench.script(other, [interrupt(), interrupt()]);
    assert!(bench.turn());
    for _ in 0..4 {
        assert!(bench.turn());
        let machine = &bench.kernel.machine;
        let end = machine.now + SLICE;
        assert!(
            machine.armed.is_some_and(|deadline| deadline <= end),
            "{:?}",
            machine.armed
        );
        bench.advance(SLICE);
    }
}

#[test]
fn a_sleeper_who_wakes_before_the_slice_ends_is_not_made_to_wait_for_it() {
    let mut bench = Bench::new();
    let [sleeper, one, other] = spawn_all(&mut bench);
    let sleep = call(Abi::Xeneva, xeneva::nr::ProcessSleep, &[2]);
    bench.script(sleeper, [sleep]);
    bench.script(one, [interrupt()]);
    bench.script(other, [interrupt()]);
    assert!(bench.turn() && bench.turn());
    assert_eq!(bench.kernel.machine.armed, Some(2_000_000));
}

/// Sleeps of two milliseconds, and the result when they are over.
fn sleeps(bench: &mut Bench, abi: Abi) -> (Step, u64) {
    match abi {
        Abi::Xeneva => (call(abi, xeneva::nr::ProcessSleep, &[2]), 1),
        Abi::Patchwork => (call(abi, patchwork::nr::NANOSLEEP, &[2_000_000]), u64::MAX),
        Abi::Veridian => {
            let key = bench.kernel.process_by_number(1).unwrap();
            let time = veridian::Timespec {
                seconds: 0,
                nanoseconds: 2_000_000,
            };
            bench.poke(key, DATA, &time.to_bytes());
            (call(abi, veridian::nr::NANOSLEEP, &[DATA]), 0)
        }
    }
}

#[test]
fn a_sleeper_wakes_at_its_deadline_and_not_before() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        bench.kernel.machine.now = 5_000;
        let key = bench.spawn(abi);
        let (step, result) = sleeps(&mut bench, abi);
        bench.script(key, [step, pause()]);
        assert!(bench.turn());
        assert_eq!(bench.kernel.machine.armed, Some(2_005_000), "{abi:?}");
        assert!(!bench.turn());
        bench.advance(1_999_999);
        // A timer that fires too early wakes nobody and is set again.
        bench.kernel.timer_fired();
        assert!(!bench.turn(), "{abi:?} wakes early");
        assert_eq!(bench.kernel.machine.armed, Some(2_005_000));
        bench.advance(1);
        assert!(bench.turn(), "{abi:?} sleeps too long");
        assert_eq!(bench.returned(), Some(result));
    }
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let mut bench = Bench::new();
    let keys = [5, 1, 3, 9].map(|milliseconds| {
        let key = bench.spawn(Abi::Xeneva);
        let sleep = call(Abi::Xeneva, xeneva::nr::ProcessSleep, &[milliseconds]);
        bench.script(key, [sleep, turn_of(milliseconds)]);
        key
    });
    for _ in keys {
        assert!(bench.turn());
    }
    for _ in 0..9 {
        bench.advance(1_000_000);
        while bench.turn() {
            let seen = bench.kernel.machine.seen.last().unwrap();
            assert_eq!(seen.rax * 1_000_000, bench.kernel.machine.now);
            let woken = keys[[5, 1, 3, 9].iter().position(|at| *at == seen.rax).unwrap()];
            assert!(bench.kernel.kill(woken));
        }
    }
    assert_eq!(order(&bench), [1, 3, 5, 9]);
}

#[test]
fn a_sleep_that_never_ends_sets_no_timer() {
    let mut bench = Bench::new();
    bench.kernel.machine.now = 1;
    let key = bench.spawn(Abi::Patchwork);
    bench.begin(key, patchwork::nr::NANOSLEEP, &[u64::MAX]);
    assert_eq!(bench.kernel.machine.armed, None);
    bench.kernel.timer_fired();
    assert!(!bench.turn());
    assert!(bench.kernel.kill(key));
}

#[test]
fn an_old_alarm_does_not_end_a_newer_sleep() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Xeneva);
    let sleep = |milliseconds| call(Abi::Xeneva, xeneva::nr::ProcessSleep, &[milliseconds]);
    bench.script(key, [sleep(1), sleep(10), pause()]);
    assert!(bench.turn());
    bench.advance(1_000_000);
    assert!(bench.turn());
    bench.advance(5_000_000);
    bench.kernel.timer_fired();
    assert!(!bench.turn());
    bench.advance(5_000_000);
    assert!(bench.turn());
}

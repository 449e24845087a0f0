//! Threads of PatchworkOS, as its libstd uses them.
//!
//! Purpose: the mutex has libstd's three states and its weakness (a woken
//! waiter takes the lock as "locked", `specs/patchwork.md` §7), so that it is
//! lost unless a wake-up wakes all. The first argument says what is done:
//!
//! - `mutex N ROUNDS`: N threads add one ROUNDS times under one mutex.
//! - `alive N`: N threads are alive at once, then all are joined.
//! - `waves N`: 1, 2, 4 up to N threads, joined after each wave.
//! - `turns N`: two threads take turns N times.
//! - `spin`: the main thread spins until another one has come.
//! - `last`: the main thread ends; the last one ends the process with 0.
//! - `fault`: a thread faults, which ends the process.
//! - `full`: starts threads that wait until no more can be made.
//! - `exit N`: the process exits with 7 while N threads wait, sleep and spin.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::patchwork::Errno;
use mayfly_user::check::Checks;
use mayfly_user::{Patchwork, Process, patchwork};

mayfly_user::program!(Patchwork, run);
mayfly_user::thread!(add_entry, add);
mayfly_user::thread!(arrive_entry, arrive);
mayfly_user::thread!(turn_entry, take_turns);
mayfly_user::thread!(fault_entry, fault);
mayfly_user::thread!(idle_entry, idle);
mayfly_user::thread!(last_entry, last);
mayfly_user::thread!(sleep_entry, sleep);

/// Most threads at once.
const MOST: usize = 1024;
/// State of a thread that is over, as libstd has it.
const OVER: u64 = 4;
/// For ever.
const NEVER: u64 = u64::MAX;

/// States of the threads, by their argument.
static STATES: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
/// The mutex: free, locked, contested.
static LOCK: AtomicU64 = AtomicU64::new(0);
/// What the mutex protects.
static TOTAL: AtomicU64 = AtomicU64::new(0);
/// What each thread does so often.
static ROUNDS: AtomicU64 = AtomicU64::new(0);
/// Threads that have arrived.
static ARRIVED: AtomicU64 = AtomicU64::new(0);
/// Threads that a wake-up let through the gate, and those that found it open.
static WOKEN: AtomicU64 = AtomicU64::new(0);
static OPEN: AtomicU64 = AtomicU64::new(0);
/// Opens when it is 1.
static GATE: AtomicU64 = AtomicU64::new(0);

fn run(process: &Process<Patchwork>) -> i32 {
    let arguments = process.arguments();
    let number = |index| arguments.number(index).unwrap_or(8);
    let mut checks = Checks::new(process, "threads");
    match arguments.get(1).unwrap_or(b"") {
        b"mutex" => {
            ROUNDS.store(number(3), SeqCst);
            start(&mut checks, add_entry, number(2));
            join(number(2));
            let wanted = number(2) * number(3);
            checks.equal(format_args!("total"), TOTAL.load(SeqCst), wanted);
        }
        b"alive" => wave(&mut checks, number(2)),
        b"waves" => {
            let mut count = 1;
            while count <= number(2) {
                wave(&mut checks, count);
                count *= 2;
            }
        }
        b"turns" => {
            ROUNDS.store(number(2), SeqCst);
            start(&mut checks, turn_entry, 2);
            join(2);
            checks.equal(format_args!("turns"), TOTAL.load(SeqCst), 2 * number(2));
        }
        b"spin" => {
            ARRIVED.store(0, SeqCst);
            start(&mut checks, arrive_entry, 1);
            // Without a system call: only the end of its slice can help.
            while ARRIVED.load(SeqCst) == 0 {
                core::hint::spin_loop();
            }
            GATE.store(1, SeqCst);
            let _ = patchwork::futex_wake(&GATE);
            join(1);
        }
        b"last" => {
            start(&mut checks, last_entry, 1);
            patchwork::thread_exit();
        }
        b"fault" => {
            start(&mut checks, fault_entry, 1);
            let waited = patchwork::futex_wait(&GATE, 0, NEVER);
            checks.holds(format_args!("nobody wakes {waited:?}"), false);
        }
        b"full" => {
            let full =
                (0..).find_map(|argument| patchwork::thread_create(sleep_entry, argument).err());
            let no_memory = full == Some(Some(Errno::ENOMEM));
            checks.holds(format_args!("memory runs out: {full:?}"), no_memory);
        }
        b"exit" => {
            start(&mut checks, idle_entry, number(2));
            // Some have begun, some have not.
            let _ = patchwork::yield_now();
            return 7;
        }
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    checks.finish()
}

/// Starts threads with arguments from 0 on.
fn start(checks: &mut Checks<'_, Patchwork>, entry: unsafe extern "sysv64" fn() -> !, count: u64) {
    for (argument, state) in (0..count).zip(&STATES) {
        state.store(1, SeqCst);
        let made = patchwork::thread_create(entry, argument);
        checks.holds(format_args!("thread {argument}: {made:?}"), made.is_ok());
    }
}

/// Waits for the ends of threads.
fn join(count: u64) {
    for (_, state) in (0..count).zip(&STATES) {
        loop {
            match state.load(SeqCst) {
                OVER => break,
                other => {
                    let _ = patchwork::futex_wait(state, other, NEVER);
                }
            }
        }
    }
}

/// Says that a thread is over.
fn over(argument: u64) {
    let index = usize::try_from(argument).unwrap_or(MOST);
    if let Some(state) = STATES.get(index) {
        state.store(OVER, SeqCst);
        let _ = patchwork::futex_wake(state);
    }
}

fn lock() {
    while LOCK.compare_exchange(0, 1, SeqCst, SeqCst).is_err() {
        let _ = LOCK.compare_exchange(1, 2, SeqCst, SeqCst);
        let _ = patchwork::futex_wait(&LOCK, 2, NEVER);
    }
}

fn unlock() {
    if LOCK.swap(0, SeqCst) == 2 {
        let _ = patchwork::futex_wake(&LOCK);
    }
}

fn add(argument: u64) {
    for round in 0..ROUNDS.load(SeqCst) {
        lock();
        let total = TOTAL.load(SeqCst);
        if round % 4 == argument % 4 {
            // Others find the mutex locked.
            let _ = patchwork::yield_now();
        }
        TOTAL.store(total + 1, SeqCst);
        unlock();
    }
    over(argument);
}

/// Threads that are all alive at once, then joined.
fn wave(checks: &mut Checks<'_, Patchwork>, count: u64) {
    ARRIVED.store(0, SeqCst);
    GATE.store(0, SeqCst);
    start(checks, arrive_entry, count);
    loop {
        match ARRIVED.load(SeqCst) {
            arrived if arrived == count => break,
            arrived => {
                let _ = patchwork::futex_wait(&ARRIVED, arrived, NEVER);
            }
        }
    }
    let waited = patchwork::futex_wait(&GATE, 0, 1_000);
    let timed_out = waited == Err(Some(Errno::ETIMEDOUT));
    checks.holds(format_args!("a wait ends: {waited:?}"), timed_out);
    GATE.store(1, SeqCst);
    let woken = patchwork::futex_wake(&GATE).unwrap_or(NEVER);
    let waited = patchwork::futex_wait(&GATE, 0, NEVER);
    let changed = waited == Err(Some(Errno::EAGAIN));
    checks.holds(format_args!("another value: {waited:?}"), changed);
    join(count);
    checks.equal(format_args!("woken"), WOKEN.swap(0, SeqCst), woken);
    // Whoever had arrived, and not begun to wait, found it open.
    let open = OPEN.swap(0, SeqCst);
    checks.equal(format_args!("gone through"), woken + open, count);
}

fn arrive(argument: u64) {
    ARRIVED.fetch_add(1, SeqCst);
    let _ = patchwork::futex_wake(&ARRIVED);
    let mut woken = false;
    while GATE.load(SeqCst) == 0 {
        woken = patchwork::futex_wait(&GATE, 0, NEVER).is_ok();
    }
    let how = if woken { &WOKEN } else { &OPEN };
    how.fetch_add(1, SeqCst);
    over(argument);
}

fn take_turns(argument: u64) {
    for _ in 0..ROUNDS.load(SeqCst) {
        while TOTAL.load(SeqCst) % 2 != argument {
            let _ = patchwork::futex_wait(&TOTAL, 1 - argument + TOTAL.load(SeqCst) / 2 * 2, NEVER);
        }
        TOTAL.fetch_add(1, SeqCst);
        let _ = patchwork::futex_wake(&TOTAL);
    }
    over(argument);
}

fn last(_: u64) {
    let _ = patchwork::nanosleep(1_000_000);
    let _ = patchwork::write(patchwork::STDOUT, b"last\n");
}

fn fault(_: u64) {
    // SAFETY: never returns, as it is meant to.
    unsafe { core::arch::asm!("ud2") };
}

fn sleep(_: u64) {
    let _ = patchwork::nanosleep(NEVER);
}

fn idle(argument: u64) {
    loop {
        match argument % 3 {
            0 => drop(patchwork::futex_wait(&GATE, 0, NEVER)),
            1 => drop(patchwork::nanosleep(NEVER)),
            _ => core::hint::spin_loop(),
        }
    }
}

//! Threads of VeridianOS: made, joined, and not joined.
//!
//! Purpose: what needs threads that run (spec §5, §7.7). The first argument
//! says what is done:
//!
//! - `sum`: 32 threads add up, all are joined; codes, errors and timeouts.
//! - `most`: 256 threads are alive at once, and not one more.
//! - `last CODE`: the main thread ends; the last one ends the process.
//! - `fault`: a thread faults, which ends the process.
//! - `return`: a thread returns, which is a fault.
//! - `exit N`: the process exits with 7 while N threads wait, sleep and spin.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::veridian::{SyscallError, Timespec};
use mayfly_user::check::Checks;
use mayfly_user::veridian::thread::{self, FOREVER, Stack};
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

/// Threads that add up.
const COUNT: usize = 32;
/// Most threads besides the main one.
const MOST: usize = 255;

static STACKS: [Stack; MOST] = [const { Stack::new() }; MOST];
/// Opens when it is 1.
static GATE: AtomicU64 = AtomicU64::new(0);
/// What the threads add up to.
static TOTAL: AtomicU64 = AtomicU64::new(0);

fn run(process: &Process<Veridian>) -> i32 {
    let mut checks = Checks::new(process, "threads");
    let number = process.arguments().number(2).unwrap_or(0);
    match process.arguments().get(1).unwrap_or(b"") {
        b"sum" => sum(&mut checks),
        b"most" => most(&mut checks),
        b"last" => {
            start(&mut checks, 0, last, number);
            thread::exit(1);
        }
        b"fault" => join_forever(&mut checks, fault),
        b"return" => join_forever(&mut checks, give_back),
        b"exit" => {
            for index in 0..usize::try_from(number).unwrap_or(0) {
                start(&mut checks, index, idle, index as u64);
            }
            let _ = veridian::yield_now();
            return 7;
        }
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    checks.finish()
}

/// Starts a thread on the stack at `index`; its id, or 0.
fn start(
    checks: &mut Checks<'_, Veridian>,
    index: usize,
    entry: extern "sysv64" fn(u64) -> !,
    argument: u64,
) -> u64 {
    // SAFETY: no two threads that run at once have one index.
    let made = unsafe { thread::create(entry, &STACKS[index], argument) };
    checks.holds(format_args!("thread {index}: {made:?}"), made.is_ok());
    made.unwrap_or(0)
}

fn join_forever(checks: &mut Checks<'_, Veridian>, entry: extern "sysv64" fn(u64) -> !) {
    let id = start(checks, 0, entry, 0);
    let joined = thread::join(id, FOREVER);
    checks.holds(format_args!("it comes back: {joined:?}"), false);
}

fn sum(checks: &mut Checks<'_, Veridian>) {
    let mut ids = [0; COUNT];
    for (index, id) in ids.iter_mut().enumerate() {
        *id = start(checks, index, add, index as u64 + 1);
    }
    for (index, id) in ids.into_iter().enumerate() {
        let code = thread::join(id, FOREVER);
        checks.holds(
            format_args!("code of {index}: {code:?}"),
            code == Ok(-1 - i32::try_from(index).unwrap_or(0)),
        );
        let again = thread::join(id, FOREVER);
        let gone = Err(Some(SyscallError::NotFound));
        checks.holds(format_args!("a second join: {again:?}"), again == gone);
    }
    let total = COUNT as u64 * (COUNT as u64 + 1) / 2;
    checks.equal(format_args!("sum"), TOTAL.load(SeqCst), total);

    let itself = thread::join(veridian::start_info().thread_id, 0);
    let refused = Err(Some(SyscallError::InvalidParameter));
    checks.holds(format_args!("itself: {itself:?}"), itself == refused);

    // One that runs on: not yet, not in time, and only one joins it.
    let runner = start(checks, 0, run_on, 4);
    for timeout in [0, 1_000_000] {
        let joined = thread::join(runner, timeout);
        let over = Err(Some(SyscallError::Timeout));
        checks.holds(
            format_args!("after {timeout} ns: {joined:?}"),
            joined == over,
        );
    }
    let joiner = start(checks, 1, join_it, runner);
    let busy = Err(Some(SyscallError::Busy));
    while thread::join(runner, 0) != busy {
        let _ = veridian::yield_now();
    }
    GATE.store(1, SeqCst);
    let joined = thread::join(joiner, FOREVER);
    checks.holds(format_args!("the other: {joined:?}"), joined == Ok(5));
}

fn most(checks: &mut Checks<'_, Veridian>) {
    for index in 0..MOST {
        start(checks, index, pause, 0);
    }
    // SAFETY: it is not made; if it were, this program would say so.
    let more = unsafe { thread::create(pause, &STACKS[0], 0) };
    let full = Err(Some(SyscallError::ResourceExhausted));
    checks.holds(format_args!("one more: {more:?}"), more == full);
}

/// Sleeps until the process ends.
extern "sysv64" fn pause(_: u64) -> ! {
    sleep(1_000_000_000_000)
}

extern "sysv64" fn add(amount: u64) -> ! {
    TOTAL.fetch_add(amount, SeqCst);
    let _ = veridian::yield_now();
    thread::exit(-i32::try_from(amount).unwrap_or(0))
}

/// Ends when the gate opens.
extern "sysv64" fn run_on(code: u64) -> ! {
    while GATE.load(SeqCst) == 0 {
        let _ = veridian::yield_now();
    }
    thread::exit(i32::try_from(code).unwrap_or(0))
}

extern "sysv64" fn sleep(nanoseconds: u64) -> ! {
    let duration = Timespec {
        seconds: (nanoseconds / 1_000_000_000).cast_signed(),
        nanoseconds: (nanoseconds % 1_000_000_000).cast_signed(),
    };
    let _ = veridian::nanosleep(&duration);
    thread::exit(4)
}

extern "sysv64" fn join_it(other: u64) -> ! {
    thread::exit(thread::join(other, FOREVER).map_or(0, |code| code + 1))
}

extern "sysv64" fn last(code: u64) -> ! {
    let _ = veridian::yield_now();
    thread::exit(i32::try_from(code).unwrap_or(0))
}

extern "sysv64" fn fault(_: u64) -> ! {
    // SAFETY: the instruction is undefined, and its fault ends the process.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}

/// Returns to where nothing called it from.
// SAFETY: it takes what the kernel put where a return address lies.
#[unsafe(naked)]
extern "sysv64" fn give_back(_: u64) -> ! {
    core::arch::naked_asm!("ret")
}

extern "sysv64" fn idle(index: u64) -> ! {
    match index % 3 {
        0 => sleep(1_000_000_000_000),
        1 => join_it(1),
        _ => loop {
            core::hint::spin_loop();
        },
    }
}

//! Threads of XenevaOS: made, paused, signalled, and what may end a process.
//!
//! The first argument says what is done:
//!
//! - `ids N`: N threads say their ids and their process's, which differ.
//! - `exit`: a thread tries to end the process, in vain; the main one does.
//! - `turns N`: a thread wakes the main one N times, which counts.
//! - `early`: a signal that came before the pause ends it at once, and only it.
//! - `paused`: says its process id, and pauses until somebody signals.
//! - `signal PID N`: signals another process, as often as that.
//! - `full`: makes threads until no more can be made.
//! - `fault`: a thread faults, which ends the process.
//! - `overflow`: a thread runs over its stack.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use core::hint::black_box;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_user::check::Checks;
use mayfly_user::xeneva::{self, Failed, thread};
use mayfly_user::{Process, Xeneva, say};

mayfly_user::program!(Xeneva, run);
mayfly_user::sub_thread!(tell_entry, tell);
mayfly_user::sub_thread!(exit_entry, exit);
mayfly_user::sub_thread!(wake_entry, wake);
mayfly_user::sub_thread!(idle_entry, idle);
mayfly_user::sub_thread!(fault_entry, fault);
mayfly_user::sub_thread!(overflow_entry, overflow);

/// Most threads of a process besides the main one.
const MOST: u64 = 59;

/// Threads that have told of themselves.
static TOLD: AtomicU64 = AtomicU64::new(0);
/// Sum of the ids that they told: of threads, and of their process.
static THREADS: AtomicU64 = AtomicU64::new(0);
static PROCESSES: AtomicU64 = AtomicU64::new(0);
/// Words that a thread found on its stack, or'd.
static WORDS: AtomicU64 = AtomicU64::new(0);
/// What ProcessExit answered a thread.
static ANSWER: AtomicU64 = AtomicU64::new(u64::MAX);
/// How often the main thread is to be woken, and whether it has noticed.
static ROUNDS: AtomicU64 = AtomicU64::new(0);
static NOTICED: AtomicU64 = AtomicU64::new(0);

fn run(process: &Process<Xeneva>) -> i32 {
    let mut checks = Checks::new(process, "threads");
    let done = perform(process, &mut checks);
    checks.holds(format_args!("services succeed"), done.is_ok());
    checks.finish()
}

fn perform(process: &Process<Xeneva>, checks: &mut Checks<'_, Xeneva>) -> Result<(), Failed> {
    let arguments = process.arguments();
    let number = arguments.number(2).unwrap_or(0);
    let own = xeneva::get_process_id()?;
    let pid = i32::try_from(own).map_err(|_| Failed)?;
    match arguments.get(1).unwrap_or(b"") {
        b"ids" => {
            let main = xeneva::get_thread_id()?;
            for index in 1..=number {
                let made = thread::create(tell_entry, c"tells")?;
                checks.equal(format_args!("indices count"), made, index);
            }
            await_word(&TOLD, number)?;
            // Nobody else makes threads meanwhile, so theirs follow this one's.
            let ids = number * main + number * (number + 1) / 2;
            checks.equal(format_args!("thread ids"), THREADS.load(SeqCst), ids);
            checks.equal(
                format_args!("process ids"),
                PROCESSES.load(SeqCst),
                number * own,
            );
            checks.equal(format_args!("argc and argv"), WORDS.load(SeqCst), 0);
        }
        b"exit" => {
            thread::create(exit_entry, c"exits")?;
            await_word(&TOLD, 1)?;
            checks.equal(format_args!("its exit"), ANSWER.load(SeqCst), 1);
        }
        b"turns" => {
            ROUNDS.store(number, SeqCst);
            PROCESSES.store(own, SeqCst);
            thread::create(wake_entry, c"wakes")?;
            for round in 1..=number {
                checks.equal(format_args!("a pause"), thread::pause(), 1);
                NOTICED.store(round, SeqCst);
            }
        }
        b"early" => {
            thread::send_signal(pid, 1)?;
            thread::send_signal(pid, 2)?;
            checks.equal(format_args!("a pause after a signal"), thread::pause(), 1);
            say!(process, "pauses");
            checks.equal(format_args!("a pause"), thread::pause(), 1);
        }
        b"paused" => {
            say!(process, "{pid}");
            checks.equal(format_args!("a pause"), thread::pause(), 1);
        }
        b"signal" => {
            let pid = i32::try_from(number).map_err(|_| Failed)?;
            for _ in 0..arguments.number(3).unwrap_or(1) {
                thread::send_signal(pid, 7)?;
            }
        }
        b"full" => {
            let mut made = 0;
            while let Ok(index) = thread::create(idle_entry, c"idles") {
                made += 1;
                checks.equal(format_args!("indices count"), index, made);
            }
            checks.equal(format_args!("threads"), made, MOST);
        }
        b"fault" => {
            thread::create(fault_entry, c"faults")?;
            thread::pause();
        }
        b"overflow" => {
            thread::create(idle_entry, c"idles")?;
            thread::create(overflow_entry, c"overflows")?;
            thread::pause();
        }
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    Ok(())
}

/// Lets the others go on until a word is `value`.
fn await_word(word: &AtomicU64, value: u64) -> Result<(), Failed> {
    while word.load(SeqCst) != value {
        xeneva::process_sleep(1)?;
    }
    Ok(())
}

fn tell(argc: u64, argv: u64) {
    WORDS.fetch_or(argc | argv, SeqCst);
    THREADS.fetch_add(xeneva::get_thread_id().unwrap_or(0), SeqCst);
    PROCESSES.fetch_add(xeneva::get_process_id().unwrap_or(0), SeqCst);
    TOLD.fetch_add(1, SeqCst);
}

fn exit(_argc: u64, _argv: u64) {
    ANSWER.store(xeneva::process_exit(), SeqCst);
    TOLD.store(1, SeqCst);
}

/// Wakes the main thread, each time it has noticed.
fn wake(_argc: u64, _argv: u64) {
    let pid = i32::try_from(PROCESSES.load(SeqCst)).unwrap_or(-1);
    for round in 0..ROUNDS.load(SeqCst) {
        if await_word(&NOTICED, round).is_err() {
            return;
        }
        // A failure leaves the main thread waiting, which a test notices.
        let _sent = thread::send_signal(pid, 1);
    }
}

fn idle(_argc: u64, _argv: u64) {}

fn fault(_argc: u64, _argv: u64) {
    // SAFETY: nothing is ever mapped there: that is the point.
    unsafe { core::ptr::dangling::<u64>().read_volatile() };
}

fn overflow(argc: u64, _argv: u64) {
    let mut space = [0_u8; 4096];
    black_box(&mut space);
    if black_box(argc) < u64::MAX {
        overflow(argc + 1, 0);
    }
    black_box(&mut space);
}

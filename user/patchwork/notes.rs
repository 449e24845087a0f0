//! Notes of PatchworkOS: a second thread disturbs the first one's calls.
//!
//! Purpose: every call that waits is made once, and ends with EINTR when the
//! note comes (`specs/patchwork.md` §11). The second thread sends one after
//! the other until the first says that it has seen enough. With the argument
//! `kill`, the note ends the first thread and the second goes on.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ffi::CStr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::patchwork::{ERR, Errno, nr};
use mayfly_user::check::Checks;
use mayfly_user::system::System;
use mayfly_user::{Patchwork, Process, patchwork};

mayfly_user::program!(Patchwork, run);
mayfly_user::thread!(disturb_entry, disturb);
mayfly_user::thread!(kill_entry, kill);

/// For ever.
const NEVER: u64 = u64::MAX;

/// 1 while notes are wanted, 2 when the second thread is over.
static STATE: AtomicU64 = AtomicU64::new(1);
/// Nobody ever wakes who waits here.
static NOBODY: AtomicU64 = AtomicU64::new(0);
/// Where calls read from and write to.
static BUFFER: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];

fn run(process: &Process<Patchwork>) -> i32 {
    let mut checks = Checks::new(process, "notes");
    if process.arguments().get(1) == Some(b"kill") {
        let made = patchwork::thread_create(kill_entry, 0);
        checks.holds(format_args!("a thread: {made:?}"), made.is_ok());
        call(nr::NANOSLEEP, [NEVER, 0, 0, 0]);
        checks.holds(format_args!("the first thread is gone"), false);
        return checks.finish();
    }
    let buffer = BUFFER.as_ptr().expose_provenance() as u64;
    let nobody = NOBODY.as_ptr().expose_provenance() as u64;
    let full = pipe(&mut checks);
    let filled = call(nr::WRITE, [full[1], buffer, 4000, 0]);
    checks.equal(format_args!("filled"), filled, 4000);
    let empty = pipe(&mut checks);
    let mut pollfd = [empty[0], 1];
    let pollfd = pollfd.as_mut_ptr().expose_provenance() as u64;
    let wait = patchwork::open(c"/proc/self/wait").unwrap_or(ERR);
    let made = patchwork::thread_create(disturb_entry, 0);
    checks.holds(format_args!("a thread: {made:?}"), made.is_ok());
    for (name, number, arguments) in [
        ("a sleep", nr::NANOSLEEP, [NEVER, 0, 0, 0]),
        ("a futex", nr::FUTEX, [nobody, 0, 0, NEVER]),
        ("a poll", nr::POLL, [pollfd, 1, NEVER, 0]),
        ("an empty pipe", nr::READ, [empty[0], buffer, 10, 0]),
        ("a full pipe", nr::WRITE, [full[1], buffer, 1000, 0]),
        ("an end", nr::READ, [wait, buffer, 10, 0]),
    ] {
        let result = call(number, arguments);
        checks.equal(format_args!("{name}"), result, ERR);
        checks.error(
            format_args!("{name}"),
            patchwork::errno(),
            Errno::EINTR.code(),
        );
    }
    STATE.store(0, SeqCst);
    while STATE.load(SeqCst) != 2 {
        let _ = patchwork::yield_now();
    }
    // Without notes a sleep is whole, and the note lies in the log.
    let slept = patchwork::nanosleep(1_000_000);
    checks.holds(
        format_args!("a sleep ends: {slept:?}"),
        slept == Some(Errno::ETIMEDOUT),
    );
    let log = patchwork::open(c"/dev/klog").unwrap_or(ERR);
    let read = call(nr::READ, [log, buffer, 8, 0]);
    checks.equal(format_args!("log"), read, 8);
    let first = BUFFER[0].load(SeqCst);
    let wanted = u64::from_le_bytes(*b"note to ");
    checks.equal(format_args!("the log"), first, wanted);
    checks.finish()
}

fn pipe(checks: &mut Checks<'_, Patchwork>) -> [u64; 2] {
    let mut ends = [0; 2];
    let path = c"/dev/pipe/new".as_ptr().expose_provenance() as u64;
    let out = ends.as_mut_ptr().expose_provenance() as u64;
    checks.equal(
        format_args!("a pipe"),
        call(nr::OPEN2, [path, out, 0, 0]),
        0,
    );
    ends
}

fn call(number: u64, [a, b, c, d]: [u64; 4]) -> u64 {
    // SAFETY: what the calls of this program write to is meant for that.
    unsafe { Patchwork::call(number, [a, b, c, d, 0, 0]) }
}

fn send(path: &CStr, text: &[u8]) {
    if let Ok(note) = patchwork::open(path) {
        let _ = patchwork::write(note, text);
        call(nr::CLOSE, [note, 0, 0, 0]);
    }
}

fn disturb(_: u64) {
    while STATE.load(SeqCst) == 1 {
        send(c"/proc/self/note", b"ahoy");
        let _ = patchwork::nanosleep(100_000);
    }
    STATE.store(2, SeqCst);
}

fn kill(_: u64) {
    send(c"/proc/self/note", b"kill");
    let _ = patchwork::write(patchwork::STDOUT, b"alone\n");
    patchwork::process_exit(3);
}

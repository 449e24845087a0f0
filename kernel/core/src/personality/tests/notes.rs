//! Notes of PatchworkOS: what they disturb, and what they do not.

use mayfly_abi::{Abi, patchwork};
use patchwork::nr;

use super::duo::{BUFFER, Duo, FDS};
use super::proc::{ERR, NEVER};
use crate::fake::bench::{call, pause};
use crate::object::process::Cause;

const EINTR: u64 = 4;
const WORD: u64 = FDS + 0x100;

/// The other process waits in a call, and the first one sends it a note.
fn disturbed(prepare: impl FnOnce(&mut Duo) -> (u64, Vec<u64>)) -> Duo {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let (number, arguments) = prepare(&mut duo);
    let note = duo.open(one, "/proc/3/note");
    duo.poke(one, BUFFER, b"ahoy");
    duo.park(other, number, &arguments);
    assert_eq!(duo.call(one, nr::WRITE, &[note, BUFFER, 4]), 4);
    assert_eq!(duo.again(other), Some(ERR), "call {number}");
    duo
}

#[test]
fn a_note_ends_whatever_waits() {
    type Prepare = fn(&mut Duo) -> (u64, Vec<u64>);
    let cases: [Prepare; 7] = [
        |_| (nr::NANOSLEEP, vec![NEVER]),
        |_| (nr::NANOSLEEP, vec![1_000_000_000]),
        |_| (nr::FUTEX, vec![WORD, 0, 0, NEVER]),
        |duo| {
            let fds = duo.open2(duo.other, "/dev/pipe/new\0");
            (nr::READ, vec![fds[0], BUFFER, 100])
        },
        |duo| {
            let fds = duo.open2(duo.other, "/dev/pipe/new\0");
            let filled = duo.call(duo.other, nr::WRITE, &[fds[1], BUFFER, 4000]);
            assert_eq!(filled, 4000);
            (nr::WRITE, vec![fds[1], BUFFER, 100])
        },
        |duo| {
            let fds = duo.open2(duo.other, "/dev/pipe/new\0");
            let mut pollfd = [0; 16];
            pollfd[0] = fds[0].to_le_bytes()[0];
            pollfd[8] = 1;
            duo.poke(duo.other, FDS, &pollfd);
            (nr::POLL, vec![FDS, 1, 1_000_000_000])
        },
        |duo| {
            let wait = duo.open(duo.other, "/proc/2/wait");
            (nr::READ, vec![wait, BUFFER, 100])
        },
    ];
    for prepare in cases {
        let mut duo = disturbed(prepare);
        let other = duo.other;
        assert_eq!(duo.errno(other), EINTR);
        // The alarm of the wait is gone with it, and the next wait is whole.
        duo.bench.advance(2_000_000_000);
        duo.park(other, nr::NANOSLEEP, &[1000]);
        duo.bench.advance(1000);
        let one = duo.one;
        duo.bench.script(one, [pause()]);
        assert!(duo.bench.turn());
        assert_eq!(duo.again(other), Some(ERR));
        assert_eq!(duo.errno(other), 110);
    }
}

#[test]
fn a_futex_forgets_who_was_disturbed() {
    let mut duo = disturbed(|_| (nr::FUTEX, vec![WORD, 0, 0, NEVER]));
    let other = duo.other;
    assert_eq!(duo.call(other, nr::FUTEX, &[WORD, NEVER, 1, 0]), 0);
}

#[test]
fn who_was_woken_already_has_what_it_waited_for() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let fds = duo.open2(one, "/dev/pipe/new\0");
    let key = duo.share(one, fds[0], NEVER);
    duo.poke(other, BUFFER, &key);
    let end = duo.call(other, nr::CLAIM, &[BUFFER]);
    let note = duo.open(one, "/proc/3/note");
    duo.poke(one, BUFFER, b"ahoy");
    duo.park(other, nr::READ, &[end, BUFFER, 100]);
    // Both in one turn: bytes, then a note.
    duo.until(one);
    let write = |fd| call(Abi::Patchwork, nr::WRITE, &[fd, BUFFER, 4]);
    duo.bench.script(one, [write(fds[1]), write(note), pause()]);
    assert!(duo.bench.turn());
    assert_eq!(duo.again(other), Some(4));
    // The same the other way round: the bytes are still there.
    duo.park(other, nr::READ, &[end, BUFFER, 100]);
    duo.until(one);
    duo.bench.script(one, [write(note), write(fds[1]), pause()]);
    assert!(duo.bench.turn());
    assert_eq!(duo.again(other), Some(ERR));
    assert_eq!(duo.read(other, end), "ahoy");
}

#[test]
fn notes_wait_for_a_thread_to_run_and_go_to_the_log() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let (note, log) = (duo.open(one, "/proc/3/note"), duo.open(one, "/dev/klog"));
    duo.poke(one, BUFFER, b"ahoy\n\x7f");
    duo.until(one);
    let write = |length| call(Abi::Patchwork, nr::WRITE, &[note, BUFFER, length]);
    let eight = (0..8).map(|_| write(6));
    duo.bench.script(one, eight);
    duo.bench.kernel.machine.seen.clear();
    duo.bench.script(one, [pause(), write(6), pause()]);
    assert!(duo.bench.turn());
    assert_eq!(duo.bench.returned(), Some(6));
    duo.ready.rotate_left(1);
    duo.until(one);
    // The other one has had its turn in between.
    assert!(duo.bench.turn());
    assert_eq!(duo.bench.returned(), Some(6));
    duo.ready.rotate_left(1);
    assert_eq!(duo.errno(one), 0);
    duo.until(other);
    let text = duo.read(one, log);
    assert!(text.starts_with("note to process 3: ahoy??\n"), "{text}");
    assert_eq!(duo.bench.kernel.host.logged, text.as_bytes());
    // To itself there is no queue: it runs.
    for _ in 0..20 {
        assert_eq!(duo.tell(one, "/proc/self/note:w", "self"), 4);
    }
}

#[test]
fn nine_notes_are_too_many() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let note = duo.open(one, "/proc/3/note");
    duo.until(one);
    let write = || call(Abi::Patchwork, nr::WRITE, &[note, BUFFER, 5]);
    duo.bench.script(one, (0..9).map(|_| write()));
    duo.bench.kernel.machine.seen.clear();
    duo.bench.script(one, [pause()]);
    assert!(duo.bench.turn());
    assert_eq!(duo.bench.returned(), Some(ERR));
    duo.ready.rotate_left(1);
    assert_eq!(duo.errno(one), 11);
    duo.until(other);
    duo.bench.kernel.kill(other);
}

#[test]
fn kill_ends_a_thread_and_with_the_last_one_the_process() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let note = duo.open(one, "/proc/3/note");
    assert_eq!(
        duo.write(one, note, "killer"),
        6,
        "only the exact word acts"
    );
    duo.park(other, nr::FUTEX, &[WORD, 0, 0, NEVER]);
    assert_eq!(duo.write(one, note, "kill"), 4);
    assert_eq!(duo.bench.ends(), [(2, Cause::Killed, 0)]);
    assert_eq!(duo.write(one, note, "kill"), ERR);
    assert_eq!(duo.errno(one), 22, "no thread is left");
}

#[test]
fn kill_ends_the_first_thread_and_others_go_on() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let note = duo.open(one, "/proc/3/note");
    duo.poke(one, BUFFER, b"kill");
    let entry = duo.bench.registers(duo.ready[0]).rip;
    duo.ready.rotate_left(1);
    assert_eq!(duo.call(other, nr::THREAD_CREATE, &[entry, 0]), 1);
    // The first thread waits at a futex; the second one is queued.
    duo.until(other);
    duo.bench.script(
        other,
        [call(Abi::Patchwork, nr::FUTEX, &[WORD, 0, 0, NEVER])],
    );
    let threads = duo.bench.process(other).threads.clone();
    let mut turns = 0;
    while duo.bench.process(other).threads.len() == 2 {
        duo.bench.script(
            one,
            [call(Abi::Patchwork, nr::WRITE, &[note, BUFFER, 4]), pause()],
        );
        duo.bench.script(other, [pause()]);
        assert!(duo.bench.turn());
        turns += 1;
        assert!(turns < 9, "nobody is killed");
    }
    assert_eq!(duo.bench.process(other).threads, threads[1..]);
    assert!(duo.bench.ends().is_empty());
    assert_eq!(duo.bench.kernel.thread_count(), 2);
}

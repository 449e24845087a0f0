//! The files below `/proc` as two processes see each other's: ends, commands,
//! priorities, and what nobody pays for who does not look.

use std::collections::VecDeque;
use std::rc::Rc;

use mayfly_abi::{Abi, patchwork};
use patchwork::nr;

use super::duo::{BUFFER, Duo, FDS};
use crate::error::KernelError;
use crate::fake::bench::pause;
use crate::fake::image::DATA;
use crate::object::process::{Cause, ProcessKey};

pub(super) const ERR: u64 = patchwork::ERR;
pub(super) const NEVER: u64 = u64::MAX;
/// Where paths lie.
const TEXT: u64 = DATA + 0x1000;

/// The calls of a shell, over two processes with ids 2 and 3.
impl Duo {
    pub(super) fn open(&mut self, key: ProcessKey, path: &str) -> u64 {
        self.poke(key, TEXT, format!("{path}\0").as_bytes());
        self.call(key, nr::OPEN, &[TEXT])
    }

    pub(super) fn read(&mut self, key: ProcessKey, fd: u64) -> String {
        let length = self.call(key, nr::READ, &[fd, BUFFER, 256]);
        let length = usize::try_from(length).expect("a READ that works");
        String::from_utf8(self.peek(key, BUFFER, length)).unwrap()
    }

    pub(super) fn write(&mut self, key: ProcessKey, fd: u64, text: &str) -> u64 {
        self.poke(key, BUFFER, text.as_bytes());
        self.call(key, nr::WRITE, &[fd, BUFFER, text.len() as u64])
    }

    /// Writes to a file that is opened for that; the descriptor stays open.
    pub(super) fn tell(&mut self, key: ProcessKey, path: &str, text: &str) -> u64 {
        let fd = self.open(key, path);
        assert_ne!(fd, ERR, "{path}");
        self.write(key, fd, text)
    }

    /// The other process ends without anyone's help.
    fn gone(&mut self) {
        self.ready = VecDeque::from([self.one]);
    }
}

#[test]
fn an_end_is_waited_for() {
    for (end, status) in [
        (7, "7"),
        (-1_i32, "-1"),
        (i32::MIN, "-2147483648"),
        (0, "0"),
    ] {
        let mut duo = Duo::new();
        let (one, other) = (duo.one, duo.other);
        let wait = duo.open(one, "/proc/3/wait");
        duo.park(one, nr::READ, &[wait, BUFFER, 100]);
        duo.until(other);
        // The bits above an i32 do not count.
        let word = u64::from(end.cast_unsigned()) | 0xab << 32;
        duo.bench.begin(other, nr::PROCESS_EXIT, &[word]);
        duo.ready.clear();
        assert_eq!(duo.again(one), Some(status.len() as u64));
        assert_eq!(duo.peek(one, BUFFER, status.len()), status.as_bytes());
        assert_eq!(duo.read(one, wait), "", "once only");
    }
}

#[test]
fn an_end_is_polled_for_and_read_in_parts() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let wait = duo.open(one, "/proc/3/wait");
    let mut pollfd = [0; 16];
    pollfd[0] = wait.to_le_bytes()[0];
    pollfd[8] = 1;
    duo.poke(one, FDS, &pollfd);
    assert_eq!(duo.call(one, nr::POLL, &[FDS, 1, 0]), 0);
    duo.park(one, nr::POLL, &[FDS, 1, NEVER]);
    duo.bench.kernel.kill(other);
    duo.gone();
    duo.ready.clear();
    assert_eq!(duo.again(one), Some(1));
    assert_eq!(duo.peek(one, FDS + 12, 1), [1]);
    assert_eq!(duo.call(one, nr::READ, &[wait, BUFFER, 0]), 0);
    assert_eq!(duo.read(one, wait), "0");
}

#[test]
fn a_process_is_found_for_a_while_after_its_end() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let early = duo.open(one, "/proc/3/wait");
    let prio = duo.open(one, "/proc/3/prio");
    duo.bench.kernel.kill(other);
    duo.gone();
    let late = duo.open(one, "/proc/3/wait");
    let cmdline = duo.open(one, "/proc/3/cmdline");
    assert_ne!(cmdline, ERR);
    duo.bench.advance(2_000_000_001);
    assert_eq!(duo.open(one, "/proc/3/wait"), ERR);
    assert_eq!(duo.errno(one), 2);
    assert_eq!(
        (duo.read(one, early), duo.read(one, late)),
        ("0".into(), "0".into())
    );
    for fd in [prio, cmdline] {
        assert_eq!(duo.call(one, nr::READ, &[fd, BUFFER, 9]), ERR);
        assert_eq!(duo.errno(one), 22, "nothing is left to ask");
    }
}

#[test]
fn one_process_kills_another() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let (wait, ctl) = (duo.open(one, "/proc/3/wait"), duo.open(one, "/proc/3/ctl"));
    duo.park(other, nr::NANOSLEEP, &[NEVER]);
    assert_eq!(duo.write(one, ctl, " start && kill\n"), 15);
    assert!(duo.bench.kernel.process(other).is_none());
    assert_eq!(duo.read(one, wait), "0");
    // What has ended can be killed again, and has nothing open.
    assert_eq!(duo.write(one, ctl, "kill && start && close 0 -1"), 27);
    assert_eq!(duo.write(one, ctl, "close 0"), ERR);
    assert_eq!(duo.errno(one), 9);
    // Itself: what follows is not done.
    let ctl = duo.open(one, "/proc/self/ctl");
    duo.poke(one, BUFFER, b"kill && close 0");
    duo.bench.begin(one, nr::WRITE, &[ctl, BUFFER, 15]);
    assert_eq!(
        duo.bench.ends(),
        [(2, Cause::Killed, 0), (1, Cause::Killed, 0)]
    );
}

#[test]
fn descriptors_of_another_are_closed_and_moved() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let fds = duo.open2(one, "/dev/pipe/new\0");
    let key = duo.share(one, fds[1], NEVER);
    assert_eq!(duo.call(one, nr::CLOSE, &[fds[1]]), 0);
    duo.poke(other, BUFFER, &key);
    let end = duo.call(other, nr::CLAIM, &[BUFFER]);
    let ctl = duo.open(one, "/proc/3/ctl");
    let command = format!("dup2 {end} 9 && close {end}");
    assert_eq!(duo.write(one, ctl, &command), command.len() as u64);
    assert_eq!(duo.write(other, 9, "by 9"), 4);
    assert_eq!(duo.read(one, fds[0]), "by 9");
    assert_eq!(duo.write(one, ctl, "close 9 8"), 9, "nothing lies between");
    duo.park(one, nr::READ, &[fds[0], BUFFER, 9]);
    // A process closes its own, and the reader learns of it.
    assert_eq!(duo.tell(other, "/proc/self/ctl", "close 9 10"), 10);
    assert_eq!(duo.again(one), Some(0));
    assert_eq!(duo.write(one, ctl, "close 0 -1"), 10);
    assert_eq!(duo.call(other, nr::CLOSE, &[1]), ERR);
}

#[test]
fn a_priority_counts_at_once() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let fd = duo.open(one, "/proc/3/prio");
    assert_eq!(duo.read(one, fd), "16");
    duo.until(one);
    duo.bench.poke(one, BUFFER, b"17");
    // The turns of `poke` and of the other process.
    duo.ready.rotate_left(1);
    duo.until(one);
    duo.bench.script(
        one,
        [crate::fake::bench::call(
            Abi::Patchwork,
            nr::WRITE,
            &[fd, BUFFER, 2],
        )],
    );
    assert!(duo.bench.turn());
    // The other one has come first since, though it ran last.
    for _ in 0..3 {
        duo.bench.script(other, [pause()]);
        assert!(duo.bench.turn());
    }
    duo.bench.begin(other, nr::NANOSLEEP, &[NEVER]);
    duo.bench.script(one, [pause()]);
    duo.bench.kernel.machine.seen.clear();
    assert!(duo.bench.turn());
    assert_eq!(duo.bench.returned(), Some(2));
}

#[test]
fn an_environment_is_copied_and_goes_its_own_way() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    let quota = Rc::clone(&duo.bench.kernel.files().quota);
    let copy = |duo: &Duo| {
        let kernel = &duo.bench.kernel;
        kernel.copy_environment(kernel.process(one).unwrap(), kernel.process(other).unwrap())
    };
    assert_eq!(copy(&duo), Ok(()));
    let directory = |duo: &Duo, key| duo.bench.process(key).exit.directory.get().is_some();
    assert!(
        !directory(&duo, one) && !directory(&duo, other),
        "nothing to copy"
    );
    assert_ne!(duo.open(one, "/proc:d"), ERR);
    let left = quota.left();
    assert_eq!(duo.tell(one, "/proc/self/env/HOME:rwc", "/home"), 5);
    assert_eq!(duo.tell(one, "/proc/2/env/EMPTY:c", ""), 0);
    assert!(!directory(&duo, other));
    assert_eq!(copy(&duo), Ok(()));
    assert_eq!(duo.tell(one, "/proc/self/env/HOME:rw", "/other/"), 7);
    let fd = duo.open(other, "/proc/self/env/HOME");
    assert_eq!(duo.read(other, fd), "/home");
    let fd = duo.open(one, "/proc/3/env/EMPTY");
    assert_eq!(duo.read(one, fd), "");
    assert_eq!(duo.call(other, nr::CLOSE, &[3]), 0);
    assert_eq!(duo.call(one, nr::CLOSE, &[3]), 0);
    duo.bench.kernel.kill(one);
    duo.bench.kernel.kill(other);
    assert_eq!(quota.left(), left, "what processes had goes with them");
}

#[test]
fn an_environment_that_finds_no_room_is_an_error() {
    let mut duo = Duo::new();
    let (one, other) = (duo.one, duo.other);
    assert_eq!(duo.tell(one, "/proc/self/env/A:rwc", "abc"), 3);
    let quota = Rc::clone(&duo.bench.kernel.files().quota);
    quota.take(quota.left() - 1900).unwrap();
    let kernel = &duo.bench.kernel;
    let copied =
        kernel.copy_environment(kernel.process(one).unwrap(), kernel.process(other).unwrap());
    assert_eq!(copied, Err(KernelError::NoMemory));
}

#[test]
fn time_is_told_and_then_kept_apart() {
    let mut duo = Duo::new();
    let one = duo.one;
    let numbers = |duo: &mut Duo| {
        let fd = duo.open(one, "/proc/self/perf");
        let text = duo.read(one, fd);
        let lines = text.lines().map(|line| {
            let (name, value) = line.split_once(' ').unwrap();
            (name.to_owned(), value.parse::<u64>().unwrap())
        });
        assert!(!text.ends_with('\n'));
        lines.collect::<Vec<_>>()
    };
    let first = numbers(&mut duo);
    let names: Vec<&str> = first.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(
        names,
        [
            "user_clocks",
            "kernel_clocks",
            "start_clocks",
            "user_pages",
            "thread_count"
        ]
    );
    assert!(first[0].1 > 0, "it has run");
    assert_eq!(first[1].1, 0, "nobody has asked before");
    assert_eq!(first[4].1, 1);
    let second = numbers(&mut duo);
    assert!(second[0].1 > first[0].1);
    assert!(second[1].1 > 0);
}

//! Calls of PatchworkOS that wait for another process: pipes, POLL, shares.

use std::collections::VecDeque;

use mayfly_abi::{Abi, patchwork};
use patchwork::nr;

use crate::fake::bench::{Bench, pause};
use crate::fake::image::DATA;
use crate::object::process::ProcessKey;
use crate::schedule::SLICE;

const ERR: u64 = patchwork::ERR;
const TEXT: u64 = DATA + 0x1000;
const FDS: u64 = DATA + 0x2000;
const BUFFER: u64 = DATA + 0x3000;
const NEVER: u64 = u64::MAX;

/// Two processes that have an end of a pipe each.
struct Duo {
    bench: Bench,
    /// Who could run, in turn.
    ready: VecDeque<ProcessKey>,
    reader: ProcessKey,
    writer: ProcessKey,
}

/// Descriptor of the pipe's end in both.
const END: u64 = 3;

impl Duo {
    fn new() -> Self {
        let mut bench = Bench::new();
        let (reader, writer) = (bench.spawn(Abi::Patchwork), bench.spawn(Abi::Patchwork));
        let ready = VecDeque::from([reader, writer]);
        let mut duo = Self {
            bench,
            ready,
            reader,
            writer,
        };
        let fds = duo.open2(reader, "/dev/pipe/new\0");
        assert_eq!(fds, [3, 4]);
        let key = duo.share(reader, 4, NEVER);
        assert_eq!(duo.call(reader, nr::CLOSE, &[4]), 0);
        duo.poke(writer, BUFFER, &key);
        assert_eq!(duo.call(writer, nr::CLAIM, &[BUFFER]), END);
        duo
    }

    fn open2(&mut self, key: ProcessKey, path: &str) -> [u64; 2] {
        self.poke(key, TEXT, path.as_bytes());
        assert_eq!(self.call(key, nr::OPEN2, &[TEXT, FDS]), 0);
        self.until(key);
        [FDS, FDS + 8].map(|address| {
            self.until(key);
            let word = self.bench.peek_word(key, address);
            self.ready.rotate_left(1);
            word
        })
    }

    fn share(&mut self, key: ProcessKey, fd: u64, timeout: u64) -> Vec<u8> {
        assert_eq!(self.call(key, nr::SHARE, &[BUFFER, fd, timeout]), 0);
        self.peek(key, BUFFER, 16)
    }

    fn poke(&mut self, key: ProcessKey, address: u64, bytes: &[u8]) {
        self.until(key);
        self.bench.poke(key, address, bytes);
        self.ready.rotate_left(1);
    }

    fn peek(&mut self, key: ProcessKey, address: u64, length: usize) -> Vec<u8> {
        self.until(key);
        let bytes = self.bench.peek(key, address, length);
        self.ready.rotate_left(1);
        bytes
    }

    /// Lets others have their turn until it is that of `key`.
    fn until(&mut self, key: ProcessKey) {
        while self.ready[0] != key {
            self.bench.script(self.ready[0], [pause()]);
            assert!(self.bench.turn());
            self.ready.rotate_left(1);
        }
    }

    fn call(&mut self, key: ProcessKey, number: u64, arguments: &[u64]) -> u64 {
        self.until(key);
        let result = self.bench.call(key, number, arguments);
        self.ready.rotate_left(1);
        result
    }

    /// Makes a call that waits.
    fn park(&mut self, key: ProcessKey, number: u64, arguments: &[u64]) {
        self.until(key);
        self.bench.begin(key, number, arguments);
        assert_eq!(self.bench.returned(), None, "call {number} does not wait");
        self.ready.pop_front();
    }

    /// The thread was woken, before the one that did so had to wait its turn
    /// again: its call is made again.
    fn again(&mut self, key: ProcessKey) -> Option<u64> {
        self.bench.kernel.machine.seen.clear();
        assert!(self.bench.turn(), "nobody was woken");
        let result = self.bench.returned();
        if result.is_some() {
            self.ready.push_back(key);
        }
        result
    }

    fn errno(&mut self, key: ProcessKey) -> u64 {
        self.call(key, nr::ERRNO, &[])
    }
}

#[test]
fn a_reader_waits_for_bytes() {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.reader, duo.writer);
    duo.park(reader, nr::READ, &[END, BUFFER, 100]);
    duo.poke(writer, BUFFER, b"hello");
    assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 5]), 5);
    assert_eq!(duo.again(reader), Some(5));
    assert_eq!(duo.peek(reader, BUFFER, 5), b"hello");
}

#[test]
fn a_writer_waits_until_all_of_it_fits() {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.reader, duo.writer);
    assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 4000]), 4000);
    duo.park(writer, nr::WRITE, &[END, BUFFER, 100]);
    assert_eq!(duo.call(reader, nr::READ, &[END, BUFFER, 3]), 3);
    assert_eq!(duo.again(writer), None, "99 bytes are free");
    assert_eq!(duo.call(reader, nr::READ, &[END, BUFFER, 1]), 1);
    assert_eq!(duo.again(writer), Some(100));
    assert_eq!(duo.call(reader, nr::READ, &[END, BUFFER, 4095]), 4095);
    assert_eq!(duo.call(reader, nr::READ, &[END, BUFFER, 4095]), 1);
}

#[test]
fn the_last_writer_to_go_ends_a_read() {
    for end in [
        |duo: &mut Duo| {
            assert_eq!(duo.call(duo.writer, nr::CLOSE, &[END]), 0);
        },
        |duo: &mut Duo| {
            assert_eq!(duo.call(duo.writer, nr::DUP2, &[1, END]), END);
        },
        |duo: &mut Duo| {
            duo.bench.kernel.kill(duo.writer);
            duo.ready.clear();
        },
        |duo: &mut Duo| {
            duo.until(duo.writer);
            duo.bench.begin(duo.writer, nr::PROCESS_EXIT, &[0]);
            duo.ready.clear();
        },
    ] {
        let mut duo = Duo::new();
        let reader = duo.reader;
        duo.park(reader, nr::READ, &[END, BUFFER, 100]);
        end(&mut duo);
        assert_eq!(duo.again(reader), Some(0));
    }
}

#[test]
fn a_writer_that_waits_is_told_that_the_last_reader_went() {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.reader, duo.writer);
    assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 4000]), 4000);
    duo.park(writer, nr::WRITE, &[END, BUFFER, 100]);
    duo.bench.kernel.kill(reader);
    duo.ready.clear();
    assert_eq!(duo.again(writer), Some(ERR));
    assert_eq!(duo.errno(writer), 32);
}

#[test]
fn an_end_that_was_duplicated_stays_until_both_are_closed() {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.reader, duo.writer);
    assert_eq!(duo.call(writer, nr::DUP, &[END]), 4);
    assert_eq!(duo.call(writer, nr::CLOSE, &[END]), 0);
    duo.park(reader, nr::READ, &[END, BUFFER, 100]);
    assert_eq!(duo.call(writer, nr::CLOSE, &[4]), 0);
    assert_eq!(duo.again(reader), Some(0));
}

/// One `pollfd_t` for reading.
fn poll_in(duo: &mut Duo, timeout: u64) -> [u64; 3] {
    let mut bytes = [0; 16];
    bytes[0] = END.to_le_bytes()[0];
    bytes[8] = 1;
    duo.poke(duo.reader, FDS, &bytes);
    [FDS, 1, timeout]
}

#[test]
fn a_poll_waits_for_what_comes_first() {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.reader, duo.writer);
    for timeout in [NEVER, 1000] {
        let arguments = poll_in(&mut duo, timeout);
        duo.park(reader, nr::POLL, &arguments);
        assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 5]), 5);
        assert_eq!(duo.again(reader), Some(1));
        assert_eq!(duo.peek(reader, FDS + 12, 1), [1]);
        assert_eq!(duo.call(reader, nr::READ, &[END, BUFFER, 9]), 5);
    }
    let arguments = poll_in(&mut duo, 1000);
    duo.park(reader, nr::POLL, &arguments);
    duo.bench.advance(999);
    duo.until(writer);
    duo.bench.advance(1);
    // The writer has been ready for longer.
    duo.bench.script(writer, [pause()]);
    assert!(duo.bench.turn());
    assert_eq!(duo.again(reader), Some(0));
}

#[test]
fn a_share_that_expires_lets_go_of_its_file() {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.reader, duo.writer);
    let key = duo.share(writer, END, 1000);
    assert_eq!(duo.call(writer, nr::CLOSE, &[END]), 0);
    duo.park(reader, nr::READ, &[END, BUFFER, 100]);
    duo.bench.advance(1000);
    duo.bench.script(writer, [pause()]);
    assert!(duo.bench.turn());
    assert_eq!(duo.again(reader), Some(0));
    duo.poke(writer, BUFFER, &key);
    assert_eq!(duo.call(writer, nr::CLAIM, &[BUFFER]), ERR);
    assert_eq!(duo.errno(writer), 2);
}

#[test]
fn pipes_give_back_what_they_took() {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.reader, duo.writer);
    let quota = std::rc::Rc::clone(&duo.bench.kernel.files().quota);
    let left = quota.left();
    let fds = duo.open2(reader, "/dev/pipe/new\0");
    assert_eq!(duo.call(reader, nr::WRITE, &[fds[1], BUFFER, 4000]), 4000);
    assert!(quota.left() < left - 4000);
    duo.bench.kernel.kill(reader);
    duo.ready = VecDeque::from([writer]);
    assert_eq!(quota.left(), left, "the first pipe has a writer still");
    assert_eq!(duo.call(writer, nr::CLOSE, &[END]), 0);
    assert!(quota.left() > left);
}

#[test]
fn who_wakes_another_does_not_keep_the_processor() {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.reader, duo.writer);
    duo.park(reader, nr::READ, &[END, BUFFER, 100]);
    duo.until(writer);
    duo.bench.advance(SLICE);
    assert_eq!(duo.bench.kernel.machine.armed, None);
    assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 5]), 5);
    assert_eq!(duo.bench.kernel.machine.armed, Some(2 * SLICE));
    assert_eq!(duo.again(reader), Some(5));
}

//! Calls of PatchworkOS that wait for another process: pipes, POLL, shares.

use std::collections::VecDeque;

use mayfly_abi::patchwork;
use patchwork::nr;

use super::duo::{BUFFER, Duo, FDS};
use crate::fake::bench::pause;
use crate::schedule::SLICE;

const ERR: u64 = patchwork::ERR;
const NEVER: u64 = u64::MAX;

/// Descriptor of the pipe's end in both.
const END: u64 = 3;

/// Two processes that have an end of a pipe each: one reads, the other writes.
fn piped() -> Duo {
    let mut duo = Duo::new();
    let (reader, writer) = (duo.one, duo.other);
    let fds = duo.open2(reader, "/dev/pipe/new\0");
    assert_eq!(fds, [3, 4]);
    let key = duo.share(reader, 4, NEVER);
    assert_eq!(duo.call(reader, nr::CLOSE, &[4]), 0);
    duo.poke(writer, BUFFER, &key);
    assert_eq!(duo.call(writer, nr::CLAIM, &[BUFFER]), END);
    duo
}

#[test]
fn a_reader_waits_for_bytes() {
    let mut duo = piped();
    let (reader, writer) = (duo.one, duo.other);
    duo.park(reader, nr::READ, &[END, BUFFER, 100]);
    duo.poke(writer, BUFFER, b"hello");
    assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 5]), 5);
    assert_eq!(duo.again(reader), Some(5));
    assert_eq!(duo.peek(reader, BUFFER, 5), b"hello");
}

#[test]
fn a_writer_waits_until_all_of_it_fits() {
    let mut duo = piped();
    let (reader, writer) = (duo.one, duo.other);
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
            assert_eq!(duo.call(duo.other, nr::CLOSE, &[END]), 0);
        },
        |duo: &mut Duo| {
            assert_eq!(duo.call(duo.other, nr::DUP2, &[1, END]), END);
        },
        |duo: &mut Duo| {
            duo.bench.kernel.kill(duo.other);
            duo.ready.clear();
        },
        |duo: &mut Duo| {
            duo.until(duo.other);
            duo.bench.begin(duo.other, nr::PROCESS_EXIT, &[0]);
            duo.ready.clear();
        },
    ] {
        let mut duo = piped();
        let reader = duo.one;
        duo.park(reader, nr::READ, &[END, BUFFER, 100]);
        end(&mut duo);
        assert_eq!(duo.again(reader), Some(0));
    }
}

#[test]
fn a_writer_that_waits_is_told_that_the_last_reader_went() {
    let mut duo = piped();
    let (reader, writer) = (duo.one, duo.other);
    assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 4000]), 4000);
    duo.park(writer, nr::WRITE, &[END, BUFFER, 100]);
    duo.bench.kernel.kill(reader);
    duo.ready.clear();
    assert_eq!(duo.again(writer), Some(ERR));
    assert_eq!(duo.errno(writer), 32);
}

#[test]
fn an_end_that_was_duplicated_stays_until_both_are_closed() {
    let mut duo = piped();
    let (reader, writer) = (duo.one, duo.other);
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
    duo.poke(duo.one, FDS, &bytes);
    [FDS, 1, timeout]
}

#[test]
fn a_poll_waits_for_what_comes_first() {
    let mut duo = piped();
    let (reader, writer) = (duo.one, duo.other);
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
    let mut duo = piped();
    let (reader, writer) = (duo.one, duo.other);
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
    let mut duo = piped();
    let (reader, writer) = (duo.one, duo.other);
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
    let mut duo = piped();
    let (reader, writer) = (duo.one, duo.other);
    duo.park(reader, nr::READ, &[END, BUFFER, 100]);
    duo.until(writer);
    duo.bench.advance(SLICE);
    assert_eq!(duo.bench.kernel.machine.armed, None);
    assert_eq!(duo.call(writer, nr::WRITE, &[END, BUFFER, 5]), 5);
    assert_eq!(duo.bench.kernel.machine.armed, Some(2 * SLICE));
    assert_eq!(duo.again(reader), Some(5));
}

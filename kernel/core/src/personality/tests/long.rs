//! Transfers that take long: others have turns in the middle of them.

use mayfly_abi::{Abi, patchwork, xeneva};
use patchwork::nr;

use super::one;
use crate::fake::bench::Bench;
use crate::fake::image::DATA;
use crate::object::process::ProcessKey;
use crate::object::transfer::PART;

const ERR: u64 = patchwork::ERR;
/// Bytes of a transfer, and of what one turn does of it.
const LONG: u64 = (5 << 20) / 2 + 3;
const TURN: u64 = PART * 5;
/// Bytes of a transfer in two parts.
const SOME: u64 = PART * 3 / 2;
const PATH: u64 = DATA + 0x1000;

/// Opens a file of PatchworkOS.
fn open(bench: &mut Bench, key: ProcessKey, path: &str) -> u64 {
    bench.poke(key, PATH, format!("{path}\0").as_bytes());
    let fd = bench.call(key, nr::OPEN, &[PATH]);
    assert_ne!(fd, ERR, "{path}");
    fd
}

/// Makes a call that takes several turns; says what it returns, and in how many.
fn long(bench: &mut Bench, key: ProcessKey, number: u64, arguments: &[u64]) -> (u64, usize) {
    bench.begin(key, number, arguments);
    let mut turns = 1;
    loop {
        if let Some(value) = bench.returned() {
            return (value, turns);
        }
        assert!(bench.kernel.took_long(), "interrupts are let in");
        turns += 1;
        assert!(bench.turn());
    }
}

/// A process with memory at two addresses, each longer than the transfer.
fn with_memory() -> (Bench, ProcessKey, [u64; 2]) {
    let (mut bench, key) = one(Abi::Patchwork);
    let zero = open(&mut bench, key, "/dev/zero");
    let places = [(); 2].map(|()| bench.call(key, nr::MMAP, &[zero, 0, LONG + 1, 3]));
    (bench, key, places)
}

#[test]
fn patchwork_transfers_end_in_their_full_length_after_several_turns() {
    let (mut bench, key, [from, to]) = with_memory();
    let one = open(&mut bench, key, "/dev/one");
    let log = open(&mut bench, key, "/dev/klog");
    let three = (LONG, 3);
    assert_eq!(long(&mut bench, key, nr::READ, &[one, from, LONG]), three);
    assert_eq!(bench.peek(key, from + LONG - 1, 2), [0xff, 0]);
    assert_eq!(long(&mut bench, key, nr::WRITE, &[log, from, LONG]), three);
    assert_eq!(
        long(&mut bench, key, nr::WRITE, &[1, from + 1, LONG]),
        three
    );
    assert_eq!(bench.output(1, 1).len() as u64, LONG);
    // A regular file goes on where the part before it ended.
    let file = open(&mut bench, key, "/long:create");
    bench.poke(key, from + PART - 2, b"over");
    for (number, address) in [(nr::WRITE, from), (nr::READ, to + 7)] {
        let all = long(&mut bench, key, number, &[file, address, SOME]);
        assert_eq!(all, (SOME, 1));
        assert_eq!(bench.call(key, nr::SEEK, &[file, 0, 0]), 0);
    }
    let length = usize::try_from(SOME).unwrap();
    let (written, read) = (
        bench.peek(key, from, length),
        bench.peek(key, to + 7, length),
    );
    assert!(written == read, "the bytes are others");
}

#[test]
fn a_buffer_that_is_not_all_there_is_refused_before_its_first_byte() {
    let (mut bench, key, [from, to]) = with_memory();
    let one = open(&mut bench, key, "/dev/one");
    let gap = from + LONG / 4096 * 4096;
    assert_eq!(bench.call(key, nr::MUNMAP, &[gap, 4096]), gap);
    let before = bench.usage();
    assert_eq!(bench.call(key, nr::READ, &[one, from, LONG]), ERR);
    assert_eq!(bench.call(key, nr::WRITE, &[1, from, LONG]), ERR);
    assert_eq!(bench.usage(), before);
    assert!(bench.kernel.host.outputs.is_empty());
    // What is no longer there behind the first turn ends the call there.
    bench.begin(key, nr::READ, &[one, to, LONG]);
    bench.with_process(key, |kernel, running| {
        let space = &mut running.process.space;
        space
            .unmap(&mut kernel.machine, to + TURN..to + 2 * TURN)
            .unwrap();
    });
    assert_eq!(bench.returned(), None);
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(TURN));
}

#[test]
fn a_transfer_begins_at_its_beginning_whatever_became_of_the_one_before() {
    let (mut bench, key, [from, to]) = with_memory();
    let one = open(&mut bench, key, "/dev/one");
    let zero = open(&mut bench, key, "/dev/zero");
    // The file goes in the middle: another thread has closed it.
    bench.begin(key, nr::READ, &[zero, from, LONG]);
    assert_eq!(bench.returned(), None);
    bench.with_process(key, |_, running| {
        drop(running.process.handles.close(zero).unwrap());
    });
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(ERR));
    let three = (LONG, 3);
    assert_eq!(long(&mut bench, key, nr::READ, &[one, to, LONG]), three);
    assert_eq!(bench.peek(key, to, 2), [0xff; 2]);
}

#[test]
fn xeneva_transfers_end_in_their_full_length_after_several_turns() {
    let (mut bench, key) = one(Abi::Xeneva);
    let call = |bench: &mut Bench, name: u64, arguments: &[u64]| bench.call(key, name, arguments);
    bench.poke(key, PATH, b"/dev/one\0/dev/null\0");
    let one = call(&mut bench, xeneva::nr::OpenFile, &[PATH, 2]);
    let null = call(&mut bench, xeneva::nr::OpenFile, &[PATH + 9, 4]);
    let place = call(
        &mut bench,
        xeneva::nr::GetProcessHeapMem,
        &[LONG.next_multiple_of(4096)],
    );
    for (number, fd) in [(xeneva::nr::ReadFile, one), (xeneva::nr::WriteFile, null)] {
        assert_eq!(long(&mut bench, key, number, &[fd, place, LONG]), (LONG, 3));
    }
}

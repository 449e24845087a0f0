//! Memory calls of PatchworkOS over files that are memory.

use mayfly_abi::Abi;
use mayfly_abi::patchwork::nr;

use super::{errno, one};
use crate::fake::bench::Bench;
use crate::fake::image::DATA;
use crate::object::file::{Mode, Node, OpenFile};
use crate::object::process::ProcessKey;
use crate::port::PAGE_SIZE;

const READ: u64 = 1;
const READ_WRITE: u64 = 3;
/// Descriptors of `/dev/zero`, `/dev/one`, and `/dev/zero:r`.
const ZERO: u64 = 3;
const ONE: u64 = 4;
const ZERO_READ: u64 = 5;

fn bench() -> (Bench, ProcessKey) {
    let (mut bench, key) = one(Abi::Patchwork);
    let process = bench.kernel.process_mut(key).unwrap();
    for (handle, node, mode) in [
        (ZERO, Node::Zero, Mode::ALL),
        (ONE, Node::One, Mode::ALL),
        (ZERO_READ, Node::Zero, Mode::READ),
    ] {
        let file = OpenFile::new(node, mode);
        process.handles.set(handle, Some(file)).unwrap();
    }
    (bench, key)
}

/// The call's result, or the error number.
fn call(bench: &mut Bench, key: ProcessKey, number: u64, arguments: &[u64]) -> Result<u64, u64> {
    match bench.call(key, number, arguments) {
        0 => Err(errno(bench, key)),
        address => Ok(address),
    }
}

#[test]
fn mappings_are_placed_upward_and_hold_what_their_file_holds() {
    let (mut bench, key) = bench();
    let first = call(&mut bench, key, nr::MMAP, &[ZERO, 0, 1, READ_WRITE]).unwrap();
    let second = call(&mut bench, key, nr::MMAP, &[ONE, 0, 2 * PAGE_SIZE, READ]).unwrap();
    assert!(first.is_multiple_of(PAGE_SIZE) && first >= 0x40_0000);
    assert!(second > first);
    assert_eq!(bench.peek(key, first, 4096), [0; 4096]);
    assert_eq!(bench.peek(key, second, 8192), [0xff; 8192]);
    bench.poke(key, first, b"mine");
    assert_eq!(bench.peek(key, first, 4), b"mine");
}

#[test]
fn a_given_address_is_rounded_down_and_replaces_what_is_there() {
    let (mut bench, key) = bench();
    let at = 0x20_0000_0000;
    let fixed = |bench: &mut Bench, fd, address, length| {
        call(bench, key, nr::MMAP, &[fd, address, length, READ_WRITE])
    };
    assert_eq!(fixed(&mut bench, ZERO, at, 3 * PAGE_SIZE), Ok(at));
    bench.poke(key, at, b"old");
    // One byte before and one behind a page's end make two pages.
    let middle = at + PAGE_SIZE - 1;
    assert_eq!(fixed(&mut bench, ONE, middle, 2), Ok(at));
    assert_eq!(bench.peek(key, at, 8192), [0xff; 8192]);
    assert_eq!(bench.peek(key, at + 8192, 4096), [0; 4096]);
}

#[test]
fn the_checks_of_a_mapping_come_in_order() {
    let (mut bench, key) = bench();
    let outside = 0x7fff_ffff_f000;
    for (arguments, error) in [
        ([99, outside, 0, 9], 14),
        ([99, 0x3f_ffff, 0, 9], 14),
        ([99, u64::MAX, 1, 9], 75),
        ([99, 0, 0, 2], 22),
        ([99, 0, 0, READ], 9),
        ([ZERO_READ, 0, 0, READ_WRITE], 13),
        ([1, 0, 0, READ], 38),
        ([ZERO, 0, 0, READ], 22),
        ([ZERO, DATA, 0, READ], 22),
        ([ZERO, 0, u64::MAX, READ], 12),
        ([ZERO, 0, 1 << 47, READ], 12),
    ] {
        let mapped = call(&mut bench, key, nr::MMAP, &arguments);
        assert_eq!(mapped, Err(error), "{arguments:x?}");
    }
    assert!(call(&mut bench, key, nr::MMAP, &[ZERO_READ, 0, 1, READ]).is_ok());
}

#[test]
fn pairs_of_maps_and_unmaps_leave_nothing() {
    let (mut bench, key) = bench();
    let before = bench.usage();
    for pages in [1, 3, 600] {
        for _ in 0..20 {
            let length = pages * PAGE_SIZE;
            let start = call(&mut bench, key, nr::MMAP, &[ZERO, 0, length, READ_WRITE]).unwrap();
            bench.poke(key, start, b"first");
            bench.poke(key, start + length - 4, b"last");
            let unmapped = call(&mut bench, key, nr::MUNMAP, &[start, length]);
            assert_eq!(unmapped, Ok(start));
            assert_eq!(bench.usage(), before);
        }
    }
}

#[test]
fn a_protection_is_that_of_all_pages_of_the_range() {
    let (mut bench, key) = bench();
    let at = call(
        &mut bench,
        key,
        nr::MMAP,
        &[ZERO, 0, 3 * PAGE_SIZE, READ_WRITE],
    )
    .unwrap();
    let next = at + PAGE_SIZE;
    let protect = |bench: &mut Bench, address, length, prot| {
        call(bench, key, nr::MPROTECT, &[address, length, prot])
    };
    assert_eq!(protect(&mut bench, next + 5, 1, READ), Ok(next));
    assert_eq!(bench.call(key, nr::UNIX_EPOCH, &[next]), u64::MAX);
    assert_ne!(bench.call(key, nr::UNIX_EPOCH, &[at]), u64::MAX);
    // A protection that means nothing unmaps; then there is a hole.
    assert_eq!(protect(&mut bench, next, 1, 4), Ok(next));
    assert_eq!(protect(&mut bench, at, 3 * PAGE_SIZE, READ), Err(22));
    assert_eq!(protect(&mut bench, next, 1, READ), Err(2));
    assert_eq!(protect(&mut bench, at, 1, READ), Ok(at));
}

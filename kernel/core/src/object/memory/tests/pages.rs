//! What a touch brings in, and what the page holds.

use super::super::{Backing, FilePart, Touch};
use super::{CODE, Fixture, PAGES, START, file, part, region};
use crate::error::KernelError::BadAddress;
use crate::fake::image::pattern;
use crate::port::{Access, Machine, PAGE_BYTES, PAGE_SIZE, PageFrame};

#[test]
fn a_touch_is_allowed_as_the_region_says() {
    for (access, allowed) in [
        (Access::READ, [true, false, false]),
        (Access::READ_WRITE, [true, true, false]),
        (CODE, [true, false, true]),
    ] {
        for (touch, allowed) in [Touch::Read, Touch::Write, Touch::Execute]
            .into_iter()
            .zip(allowed)
        {
            let mut fixture = Fixture::with_region(access, Backing::Zero);
            let touched = fixture.touch(START, touch);
            assert_eq!(touched.is_ok(), allowed, "{access:?} {touch:?}");
            // A page that is present already makes no difference.
            fixture.touch(START, Touch::Read).unwrap();
            assert_eq!(
                fixture.touch(START, touch).is_ok(),
                allowed,
                "{access:?} {touch:?}"
            );
        }
    }
}

#[test]
fn a_page_is_brought_in_once_with_the_access_of_its_region() {
    let mut fixture = Fixture::with_region(Access::READ_WRITE, Backing::Zero);
    let frame = fixture.touch(START + 5, Touch::Read).unwrap();
    let used = fixture.machine.frames_used();
    assert_eq!(fixture.touch(START + 4095, Touch::Write), Ok(frame));
    assert_eq!(fixture.machine.frames_used(), used);
    let (machine, space) = fixture.parts();
    let mapped = machine.lookup(space.tables(), START);
    assert_eq!(mapped, Some((frame, Access::READ_WRITE)));
}

#[test]
fn pages_beside_a_region_are_bad_addresses() {
    let mut fixture = Fixture::with_region(Access::READ_WRITE, Backing::Zero);
    let end = START + PAGES * PAGE_SIZE;
    for address in [START - 1, end, 0, u64::MAX, 1 << 63] {
        assert_eq!(fixture.touch(address, Touch::Read), Err(BadAddress));
    }
}

#[test]
fn anonymous_pages_are_zero() {
    let mut fixture = Fixture::with_region(Access::READ, Backing::Zero);
    assert_eq!(
        fixture.peek(START, 3 * PAGE_BYTES).unwrap(),
        vec![0; 3 * PAGE_BYTES]
    );
}

#[test]
fn a_poke_over_pages_is_peeked_again() {
    let mut fixture = Fixture::with_region(Access::READ_WRITE, Backing::Zero);
    let bytes: Vec<u8> = (0..6000).map(pattern).collect();
    fixture.poke(START + 4000, &bytes).unwrap();
    assert_eq!(fixture.peek(START + 4000, 6000).unwrap(), bytes);
    assert_eq!(fixture.peek(START + 3999, 1).unwrap(), [0]);
    assert_eq!(fixture.peek(START + 10_000, 1).unwrap(), [0]);
}

#[test]
fn a_poke_into_read_only_memory_or_out_of_a_region_fails() {
    let mut read_only = Fixture::with_region(Access::READ, Backing::Zero);
    assert_eq!(read_only.poke(START, b"x"), Err(BadAddress));
    let mut fixture = Fixture::with_region(Access::READ_WRITE, Backing::Zero);
    let last = START + PAGES * PAGE_SIZE - 1;
    assert_eq!(fixture.poke(last, b"xy"), Err(BadAddress));
    assert_eq!(fixture.peek(last, 2), Err(BadAddress));
    assert_eq!(fixture.poke(0, b""), Ok(()));
}

/// A fixture whose region's first `size` bytes come from a file at `offset`.
fn file_fixture(
    access: Access,
    offset: u64,
    start: u64,
    size: u64,
    direct: bool,
) -> (Fixture, PageFrame) {
    let mut fixture = Fixture::new();
    let contents = file(&mut fixture.machine, 8);
    let backing = FilePart {
        first: direct.then_some(contents.1),
        ..part(contents, offset, START + start, START + start + size)
    };
    let region = region(access, Backing::File(backing));
    fixture.add(region).unwrap();
    (fixture, contents.1)
}

fn expected(offset: u64, start: u64, size: u64) -> Vec<u8> {
    let data = (0..size).map(|at| pattern(offset + at));
    let mut bytes = vec![0; usize::try_from(start).unwrap()];
    bytes.extend(data);
    bytes.resize(4 * PAGE_BYTES, 0);
    bytes
}

#[test]
fn an_aligned_read_only_page_is_the_files_own_frame() {
    let (mut fixture, first) = file_fixture(CODE, 2 * PAGE_SIZE, 0, 4 * PAGE_SIZE, true);
    let used = fixture.machine.frames_used();
    for page in 0..PAGES {
        let frame = fixture.touch(START + page * PAGE_SIZE, Touch::Execute);
        assert_eq!(frame, Ok(PageFrame(first.0 + 2 + page)));
    }
    // Tables only.
    assert_eq!(fixture.machine.frames_used(), used + 3);
    assert_eq!(
        fixture.peek(START, 4 * PAGE_BYTES).unwrap(),
        expected(2 * PAGE_SIZE, 0, 4 * PAGE_SIZE)
    );
}

#[test]
fn a_part_that_starts_and_ends_within_pages_is_direct_when_offsets_agree() {
    let (mut fixture, first) =
        file_fixture(Access::READ, PAGE_SIZE + 0x123, 0x123, PAGE_SIZE, true);
    assert_eq!(
        fixture.touch(START, Touch::Read),
        Ok(PageFrame(first.0 + 1))
    );
    assert_eq!(
        fixture.touch(START + PAGE_SIZE, Touch::Read),
        Ok(PageFrame(first.0 + 2))
    );
    let bytes = fixture.peek(START + 0x123, PAGE_BYTES).unwrap();
    assert_eq!(
        bytes,
        &expected(PAGE_SIZE + 0x123, 0, PAGE_SIZE)[..PAGE_BYTES]
    );
}

#[test]
fn a_page_beside_a_direct_part_is_zero() {
    for start in [PAGE_SIZE, 2 * PAGE_SIZE] {
        let (mut fixture, _) = file_fixture(Access::READ, PAGE_SIZE, start, PAGE_SIZE, true);
        let bytes = fixture.peek(START, 4 * PAGE_BYTES).unwrap();
        assert!(bytes == expected(PAGE_SIZE, start, PAGE_SIZE), "{start:#x}");
    }
}

#[test]
fn a_direct_mapping_is_never_writable() {
    let (mut fixture, first) = file_fixture(Access::READ_WRITE, 0, 0, 4 * PAGE_SIZE, true);
    fixture.poke(START + 10, b"changed").unwrap();
    assert!(fixture.touch(START, Touch::Read).unwrap() < first);
    let mut original = [0; 7];
    fixture.machine.read_frame(first, 10, &mut original);
    assert_eq!(original, *expected(10, 0, 7).first_chunk().unwrap());
}

#[test]
fn private_copies_hold_the_file_and_zeros_around_it() {
    for (offset, start, size) in [
        (0, 0, 4 * PAGE_SIZE),
        (0, 0, 0x1801),
        (0x123, 0, 0x2000),
        (0x1000, 0x10, 0x10),
        (0x1ff0, 0xff0, 0x20),
        (7, 0x1001, 0x1fff),
        (3, 0x2fff, 2),
    ] {
        for (access, direct) in [(Access::READ_WRITE, true), (Access::READ, false)] {
            let (mut fixture, _) = file_fixture(access, offset, start, size, direct);
            let bytes = fixture.peek(START, 4 * PAGE_BYTES).unwrap();
            assert!(
                bytes == expected(offset, start, size),
                "{offset:#x} {start:#x} {size:#x}"
            );
        }
    }
}

#[test]
fn an_unaligned_part_is_copied_even_when_read_only() {
    let (mut fixture, first) = file_fixture(Access::READ, 1, 0, 4 * PAGE_SIZE, true);
    assert!(fixture.touch(START, Touch::Read).unwrap() < first);
    assert_eq!(
        fixture.peek(START, 4 * PAGE_BYTES).unwrap(),
        expected(1, 0, 4 * PAGE_SIZE)
    );
}

#[test]
fn mapping_ahead_stops_at_its_count_and_at_the_region() {
    for (most, mapped) in [(0, 0), (1, 1), (3, 3), (4, 4), (100, 4)] {
        let (mut fixture, _) = file_fixture(CODE, 0, 0, 4 * PAGE_SIZE, true);
        let (machine, space) = fixture.parts();
        space.map_ahead(machine, START, most).unwrap();
        let present = (0..8).filter(|page| {
            let address = START + page * PAGE_SIZE;
            machine.lookup(space.tables(), address).is_some()
        });
        assert_eq!(present.count(), mapped, "{most}");
    }
}

#[test]
fn mapping_ahead_where_no_region_is_does_nothing() {
    let mut fixture = Fixture::new();
    let (machine, space) = fixture.parts();
    assert_eq!(space.map_ahead(machine, START, 4), Ok(()));
}

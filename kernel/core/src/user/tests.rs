//! User memory: ranges, copies that bring pages in, strings.

use proptest::prelude::*;

use super::{check_range, read, read_string, read_word, write};
use crate::error::KernelError::{self, BadAddress, NoMemory, Overflow, TooLong};
use crate::fake::FakeMachine;
use crate::fake::image::pattern;
use crate::object::memory::{Backing, Region, Space, Touch};
use crate::port::{Access, Machine, PAGE_SIZE, USER_END};

/// Writable pages; a page below and a page above are read-only, then nothing.
const START: u64 = 0x40_0000;
const END: u64 = START + 4 * PAGE_SIZE;

struct Fixture {
    machine: FakeMachine,
    space: Space<FakeMachine>,
}

impl Fixture {
    fn new() -> Self {
        let (mut machine, _) = FakeMachine::new(64);
        let mut space = Space::new(&mut machine, u64::MAX).unwrap();
        for (start, end, access) in [
            (START - PAGE_SIZE, START, Access::READ),
            (START, END, Access::READ_WRITE),
            (END, END + PAGE_SIZE, Access::READ),
            (USER_END - PAGE_SIZE, USER_END, Access::READ_WRITE),
        ] {
            let backing = Backing::Zero;
            space
                .add(
                    &machine,
                    Region {
                        start,
                        end,
                        access,
                        backing,
                    },
                )
                .unwrap();
        }
        let context = machine.context();
        machine.switch(None, &context, space.tables());
        Self { machine, space }
    }

    fn read(&mut self, address: u64, length: usize) -> Result<Vec<u8>, KernelError> {
        let mut bytes = vec![0xee; length];
        read(&mut self.machine, &mut self.space, address, &mut bytes)?;
        Ok(bytes)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), KernelError> {
        write(&mut self.machine, &mut self.space, address, bytes)
    }

    fn string(&mut self, address: u64, limit: usize) -> Result<Vec<u8>, KernelError> {
        let mut buffer = vec![0xee; limit];
        let length = read_string(&mut self.machine, &mut self.space, address, &mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Pages that are present.
    fn present(&self, address: u64) -> bool {
        self.machine.lookup(self.space.tables(), address).is_some()
    }
}

#[test]
fn a_range_lies_in_the_user_half_or_wraps_or_is_bad() {
    for (address, length, expected) in [
        (0, 0, Ok(())),
        (0, USER_END, Ok(())),
        (USER_END, 0, Ok(())),
        (USER_END - 1, 1, Ok(())),
        (USER_END - 1, 2, Err(BadAddress)),
        (USER_END, 1, Err(BadAddress)),
        (0, USER_END + 1, Err(BadAddress)),
        (0xffff_8000_0000_0000, 1, Err(BadAddress)),
        (u64::MAX, 0, Err(BadAddress)),
        (u64::MAX, 1, Err(Overflow)),
        (1, u64::MAX, Err(Overflow)),
        (USER_END, u64::MAX, Err(Overflow)),
    ] {
        assert_eq!(
            check_range(address, length),
            expected,
            "{address:#x} {length:#x}"
        );
    }
}

#[test]
fn reading_brings_in_just_the_pages_of_the_range() {
    let mut fixture = Fixture::new();
    let bytes = fixture.read(START + PAGE_SIZE - 1, 4098).unwrap();
    assert_eq!(bytes, [0; 4098]);
    let present = [0, 1, 2, 3].map(|page| fixture.present(START + page * PAGE_SIZE));
    assert_eq!(present, [true, true, true, false]);
}

#[test]
fn nothing_is_read_or_written_for_no_bytes() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.read(0, 0), Ok(vec![]));
    assert_eq!(fixture.write(START, &[]), Ok(()));
    assert!(!fixture.present(START));
}

#[test]
fn a_write_ends_where_memory_is_read_only() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.write(END - 3, b"abcd"), Err(BadAddress));
    assert_eq!(fixture.read(END - 3, 4).unwrap(), b"abc\0");
    assert_eq!(fixture.write(START - 1, b"ab"), Err(BadAddress));
    // Present and read-only is no different.
    assert_eq!(fixture.read(START - 1, 1).unwrap(), [0]);
    assert_eq!(fixture.write(START - 1, b"ab"), Err(BadAddress));
}

#[test]
fn copies_end_where_memory_ends() {
    let mut fixture = Fixture::new();
    let end = END + PAGE_SIZE;
    assert!(fixture.read(end - 8, 8).is_ok());
    assert_eq!(fixture.read(end - 8, 9), Err(BadAddress));
    assert_eq!(fixture.read(0, 1), Err(BadAddress));
    assert_eq!(fixture.read(USER_END - 4, 4).unwrap(), [0; 4]);
    assert_eq!(fixture.read(USER_END - 4, 5), Err(BadAddress));
    assert_eq!(fixture.write(u64::MAX - 1, b"abcd"), Err(Overflow));
}

#[test]
fn no_frame_for_a_page_is_no_memory() {
    let mut fixture = Fixture::new();
    fixture.write(START, b"x").unwrap();
    fixture.machine.allocations_left = 0;
    assert_eq!(fixture.read(START, 5000), Err(NoMemory));
    assert_eq!(fixture.write(START + 4095, b"xy"), Err(NoMemory));
    assert_eq!(fixture.read(START, 1).unwrap(), b"x");
}

#[test]
fn a_word_is_little_endian_and_may_lie_across_pages() {
    let mut fixture = Fixture::new();
    let at = START + PAGE_SIZE - 3;
    fixture.write(at, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let word = read_word(&mut fixture.machine, &mut fixture.space, at);
    assert_eq!(word, Ok(0x0807_0605_0403_0201));
    let bad = read_word(
        &mut fixture.machine,
        &mut fixture.space,
        END + PAGE_SIZE - 7,
    );
    assert_eq!(bad, Err(BadAddress));
}

#[test]
fn a_string_is_as_long_as_to_its_terminator() {
    for at in [
        START,
        START + 1,
        START + PAGE_SIZE - 20,
        START + PAGE_SIZE - 33,
    ] {
        for length in [0, 1, 19, 20, 31, 32, 33, 64, 200] {
            let mut fixture = Fixture::new();
            let text: Vec<u8> = (0..length).map(pattern).collect();
            fixture.write(at, &text).unwrap();
            assert_eq!(fixture.string(at, 256), Ok(text));
        }
    }
}

#[test]
fn a_string_needs_its_terminator_within_the_limit() {
    let mut fixture = Fixture::new();
    fixture.write(START, &[b'a'; 300]).unwrap();
    for limit in [0, 1, 31, 32, 33, 300] {
        assert_eq!(fixture.string(START, limit), Err(TooLong), "{limit}");
    }
    assert_eq!(fixture.string(START, 301), Ok(vec![b'a'; 300]));
}

#[test]
fn the_page_behind_a_terminator_is_not_touched() {
    for length in [0, 1, 30, 31, 32, 63] {
        let mut fixture = Fixture::new();
        // The terminator is the last byte of its page.
        let at = START + 2 * PAGE_SIZE - length - 1;
        let bytes: Vec<u8> = (0..length).map(pattern).collect();
        fixture.write(at, &bytes).unwrap();
        fixture.machine.user_reads.clear();
        assert_eq!(fixture.string(at, 256), Ok(bytes));
        assert!(!fixture.present(START + 2 * PAGE_SIZE));
        let end = START + 2 * PAGE_SIZE;
        let mut reads = fixture.machine.user_reads.iter();
        assert!(reads.all(|(address, length)| address + *length as u64 <= end));
    }
}

#[test]
fn a_string_that_runs_out_of_memory_is_a_bad_address() {
    let mut fixture = Fixture::new();
    fixture.write(END - 4, b"abcd").unwrap();
    // The page above is zero, so the string ends there; that page's end does not.
    assert_eq!(fixture.string(END - 4, 256), Ok(b"abcd".to_vec()));
    fixture.write(USER_END - 2, b"ab").unwrap();
    assert_eq!(fixture.string(USER_END - 2, 256), Err(BadAddress));
    assert_eq!(fixture.string(USER_END - 2, 2), Err(TooLong));
    assert_eq!(fixture.string(u64::MAX, 256), Err(Overflow));
    assert_eq!(fixture.string(0, 256), Err(BadAddress));
}

proptest! {
    #[test]
    fn what_is_written_is_read_whatever_is_present(
        offset in 0..3 * PAGE_SIZE,
        length in 0..4096_u64,
        touched in proptest::collection::vec(0..4_u64, 0..3),
        whole_words: bool,
    ) {
        let mut fixture = Fixture::new();
        fixture.machine.whole_words = whole_words;
        for page in touched {
            let address = START + page * PAGE_SIZE;
            fixture.space.touch(&mut fixture.machine, address, Touch::Read).unwrap();
        }
        let bytes: Vec<u8> = (0..length).map(|at| pattern(at + offset)).collect();
        fixture.write(START + offset, &bytes).unwrap();
        prop_assert_eq!(fixture.read(START + offset, bytes.len()).unwrap(), bytes);
        prop_assert_eq!(fixture.read(START + offset + length, 1).unwrap(), [0]);
    }
}

proptest::proptest! {
    #[test]
    fn the_first_zero_is_found(
        bytes in proptest::collection::vec(proptest::sample::select(&[0_u8, 1, 0x7f, 0x80, 0xff]), 0..40),
    ) {
        let place = bytes.iter().position(|byte| *byte == 0);
        proptest::prop_assert_eq!(crate::user::find_zero(&bytes), place);
    }
}

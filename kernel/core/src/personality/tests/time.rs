//! Clocks and sleeps.

use mayfly_abi::veridian::Timespec;
use mayfly_abi::{Abi, patchwork, veridian, xeneva};

use super::{errno, one};
use crate::fake::bench::Bench;
use crate::fake::image::{DATA, DATA_SIZE, TEXT};
use crate::object::process::ProcessKey;

const ERR: u64 = patchwork::ERR;
/// A page of zeros.
const PAGE: u64 = DATA + 0x1000;
const KERNEL: u64 = 0xffff_8000_0000_0000;

fn code(error: u64) -> u64 {
    veridian::ERROR_BIT | error
}

#[test]
fn patchwork_has_time_since_boot() {
    let (mut bench, key) = one(Abi::Patchwork);
    bench.kernel.machine.now = 123_456_789_012;
    assert_eq!(bench.call(key, patchwork::nr::UPTIME, &[]), 123_456_789_012);
}

#[test]
fn unix_epoch_counts_whole_seconds() {
    let (mut bench, key) = one(Abi::Patchwork);
    bench.kernel.machine.epoch = 1_700_000_000;
    for (now, seconds) in [
        (0, 0),
        (999_999_999, 0),
        (1_000_000_000, 1),
        (3_500_000_000, 3),
    ] {
        bench.kernel.machine.now = now;
        let time = bench.call(key, patchwork::nr::UNIX_EPOCH, &[0]);
        assert_eq!(time, 1_700_000_000 + seconds);
    }
}

#[test]
fn unix_epoch_is_stored_where_the_pointer_says_even_unaligned() {
    for at in [DATA, PAGE + 3, DATA + 0xffc] {
        let (mut bench, key) = one(Abi::Patchwork);
        bench.kernel.machine.epoch = 0x0102_0304_0506;
        let time = bench.call(key, patchwork::nr::UNIX_EPOCH, &[at]);
        assert_eq!(time, 0x0102_0304_0506);
        assert_eq!(bench.peek_word(key, at), time);
    }
}

#[test]
fn unix_epoch_with_a_bad_pointer_is_efault() {
    let (mut bench, key) = one(Abi::Patchwork);
    for at in [
        8,
        TEXT,
        DATA + DATA_SIZE - 7,
        KERNEL,
        u64::MAX,
        u64::MAX - 7,
    ] {
        assert_eq!(
            bench.call(key, patchwork::nr::UNIX_EPOCH, &[at]),
            ERR,
            "{at:#x}"
        );
        assert_eq!(errno(&mut bench, key), 14, "{at:#x}");
    }
}

#[test]
fn a_patchwork_sleep_ends_with_etimedout_even_for_no_time() {
    for length in [0, 1, 1_000_000] {
        let (mut bench, key) = one(Abi::Patchwork);
        bench.begin(key, patchwork::nr::NANOSLEEP, &[length]);
        assert_eq!(bench.returned(), None, "{length}");
        bench.advance(length);
        assert!(bench.turn());
        assert_eq!(bench.returned(), Some(ERR));
        assert_eq!(errno(&mut bench, key), 110);
    }
}

#[test]
fn a_xeneva_sleep_is_in_milliseconds_and_not_of_none() {
    let (mut bench, key) = one(Abi::Xeneva);
    assert_eq!(bench.call(key, xeneva::nr::ProcessSleep, &[0]), u64::MAX);
    bench.begin(key, xeneva::nr::ProcessSleep, &[3]);
    assert_eq!(bench.kernel.machine.armed, Some(3_000_000));
    bench.advance(3_000_000);
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(1));
}

#[test]
fn a_sleep_longer_than_the_clock_lasts_for_ever() {
    for (abi, number, argument) in [
        (Abi::Xeneva, xeneva::nr::ProcessSleep, u64::MAX),
        (Abi::Xeneva, xeneva::nr::ProcessSleep, u64::MAX / 1_000_000),
        (Abi::Patchwork, patchwork::nr::NANOSLEEP, u64::MAX),
        (Abi::Veridian, veridian::nr::NANOSLEEP, PAGE),
    ] {
        let (mut bench, key) = one(abi);
        bench.kernel.machine.now = 1 << 40;
        let never = Timespec {
            seconds: i64::MAX,
            nanoseconds: 999_999_999,
        };
        bench.poke(key, PAGE, &never.to_bytes());
        bench.begin(key, number, &[argument]);
        bench.kernel.machine.now = u64::MAX - 1;
        bench.kernel.timer_fired();
        assert!(!bench.turn(), "{abi:?}");
        // Whoever ends it begins a slice.
        bench.kernel.machine.now = 0;
    }
}

/// CLOCK_GET; the word, and what it wrote.
fn clock(bench: &mut Bench, key: ProcessKey, clock: u64, at: u64) -> u64 {
    bench.call(key, veridian::nr::CLOCK_GET, &[clock, at])
}

#[test]
fn veridian_clocks_are_monotonic_and_real() {
    let (mut bench, key) = one(Abi::Veridian);
    bench.kernel.machine.epoch = 1_700_000_000;
    bench.kernel.machine.now = 5_000_000_007;
    for (id, seconds) in [(0, 1_700_000_005), (1, 5)] {
        assert_eq!(clock(&mut bench, key, id, PAGE + 8), 0);
        let expected = Timespec {
            seconds,
            nanoseconds: 7,
        };
        assert_eq!(bench.peek(key, PAGE + 8, 16), expected.to_bytes());
    }
}

#[test]
fn other_veridian_clocks_are_not_there() {
    let (mut bench, key) = one(Abi::Veridian);
    for (id, error) in [(2, 13), (3, 13), (4, 1), (1 << 32, 1), (u64::MAX, 1)] {
        assert_eq!(clock(&mut bench, key, id, PAGE), code(error), "{id}");
        // The pointer is looked at after the clock.
        assert_eq!(clock(&mut bench, key, id, 0), code(error), "{id}");
    }
}

#[test]
fn a_clock_needs_an_aligned_writable_place() {
    let (mut bench, key) = one(Abi::Veridian);
    for at in [
        0,
        8,
        PAGE + 4,
        TEXT,
        DATA + DATA_SIZE - 8,
        KERNEL,
        u64::MAX - 7,
    ] {
        assert_eq!(clock(&mut bench, key, 1, at), code(11), "{at:#x}");
    }
}

#[test]
fn a_veridian_sleep_of_no_time_is_a_yield() {
    let (mut bench, key) = one(Abi::Veridian);
    bench.begin(key, veridian::nr::NANOSLEEP, &[PAGE]);
    assert_eq!(bench.returned(), None);
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(0));
}

#[test]
fn a_veridian_sleep_lasts_seconds_and_nanoseconds() {
    let (mut bench, key) = one(Abi::Veridian);
    bench.kernel.machine.now = 100;
    let length = Timespec {
        seconds: 2,
        nanoseconds: 999_999_999,
    };
    bench.poke(key, PAGE, &length.to_bytes());
    bench.begin(key, veridian::nr::NANOSLEEP, &[PAGE]);
    assert_eq!(bench.kernel.machine.armed, Some(3_000_000_099));
    bench.advance(2_999_999_999);
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(0));
}

#[test]
fn a_veridian_sleep_checks_its_duration() {
    let (mut bench, key) = one(Abi::Veridian);
    for (seconds, nanoseconds) in [
        (-1, 0),
        (0, -1),
        (0, 1_000_000_000),
        (i64::MIN, i64::MIN),
        (1, i64::MAX),
    ] {
        let length = Timespec {
            seconds,
            nanoseconds,
        };
        bench.poke(key, PAGE, &length.to_bytes());
        let answer = bench.call(key, veridian::nr::NANOSLEEP, &[PAGE]);
        assert_eq!(answer, code(1), "{length:?}");
    }
}

#[test]
fn a_veridian_sleep_needs_an_aligned_readable_duration() {
    let (mut bench, key) = one(Abi::Veridian);
    for at in [0, PAGE + 4, DATA + DATA_SIZE - 8, KERNEL, u64::MAX - 7] {
        let answer = bench.call(key, veridian::nr::NANOSLEEP, &[at]);
        assert_eq!(answer, code(11), "{at:#x}");
    }
}

//! Clocks and sleeps of VeridianOS.
//!
//! Purpose: time goes on and never back, a sleep is at least as long as asked,
//! and what is no time is refused (spec §5, §10). Prints one line.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{SyscallError, Timespec, clock};
use mayfly_user::check::Checks;
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

const SECOND: i64 = 1_000_000_000;

fn run(process: &Process<Veridian>) -> i32 {
    let mut checks = Checks::new(process, "clocks");
    for clock in [clock::MONOTONIC, clock::REALTIME] {
        let mut last = time(clock);
        for _ in 0..100 {
            let now = time(clock);
            checks.holds(
                format_args!("clock {clock}: {now} after {last}"),
                now >= last,
            );
            last = now;
        }
    }
    let ahead = time(clock::REALTIME) - time(clock::MONOTONIC);
    checks.holds(
        format_args!("the year is not 1970: {ahead}"),
        ahead > SECOND,
    );
    for nanoseconds in [0, 1, 1000, 1_000_000, 3_000_000] {
        let before = time(clock::MONOTONIC);
        let slept = sleep(0, nanoseconds);
        checks.holds(format_args!("{nanoseconds} ns: {slept:?}"), slept == Ok(0));
        let took = time(clock::MONOTONIC) - before;
        checks.holds(
            format_args!("{nanoseconds} ns took {took}"),
            took >= nanoseconds,
        );
    }
    for (seconds, nanoseconds) in [(-1, 0), (0, -1), (0, SECOND), (i64::MIN, i64::MIN)] {
        let slept = sleep(seconds, nanoseconds);
        let refused = Err(Some(SyscallError::InvalidParameter));
        checks.holds(
            format_args!("{seconds} s {nanoseconds} ns: {slept:?}"),
            slept == refused,
        );
    }
    checks.finish()
}

fn sleep(seconds: i64, nanoseconds: i64) -> Result<u64, Option<SyscallError>> {
    veridian::nanosleep(&Timespec {
        seconds,
        nanoseconds,
    })
}

/// Nanoseconds of a clock.
fn time(clock: u64) -> i64 {
    veridian::clock_get(clock).map_or(i64::MIN, |time| time.seconds * SECOND + time.nanoseconds)
}

//! Says hello and makes each VeridianOS call once.
//!
//! Purpose: the shortest program that shows the interface at work; its output
//! is the same in every run. Neighbours: `../xeneva/hello.rs` and
//! `../patchwork/hello.rs` are the same for their interfaces.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{SyscallError, Timespec, clock};
use mayfly_user::check::Checks;
use mayfly_user::console::Bytes;
use mayfly_user::{Process, Veridian, say, veridian};

mayfly_user::program!(Veridian, run);

fn run(process: &Process<Veridian>) -> i32 {
    say!(process, "Hello from VeridianOS!");
    for (index, argument) in process.arguments().iter().enumerate() {
        say!(process, "argv[{index}] = {}", Bytes(argument));
    }

    let mut checks = Checks::new(process, "hello");
    let started = uptime();
    let millisecond = Timespec {
        seconds: 0,
        nanoseconds: 1_000_000,
    };
    checks.equal(
        format_args!("NANOSLEEP"),
        veridian::nanosleep(&millisecond).unwrap_or(u64::MAX),
        0,
    );
    checks.holds(
        format_args!("a millisecond passed"),
        uptime() >= started + 1_000_000,
    );
    checks.equal(
        format_args!("YIELD"),
        veridian::yield_now().unwrap_or(u64::MAX),
        0,
    );
    let refused = veridian::write(0, b"nowhere", 0);
    checks.holds(
        format_args!("a token that is none"),
        refused == Err(Some(SyscallError::InvalidCapability)),
    );
    checks.status()
}

/// Nanoseconds since boot.
fn uptime() -> i64 {
    veridian::clock_get(clock::MONOTONIC).map_or(i64::MIN, |time| {
        time.seconds * 1_000_000_000 + time.nanoseconds
    })
}

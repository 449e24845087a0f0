//! Says hello and makes each PatchworkOS call once.
//!
//! Purpose: the shortest program that shows the interface at work; its output
//! is the same in every run. Neighbours: `../xeneva/hello.rs` and
//! `../veridian/hello.rs` are the same for their interfaces.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::patchwork::Errno;
use mayfly_user::check::Checks;
use mayfly_user::console::Bytes;
use mayfly_user::{Patchwork, Process, patchwork, say};

mayfly_user::program!(Patchwork, run);

fn run(process: &Process<Patchwork>) -> i32 {
    say!(process, "Hello from PatchworkOS!");
    for (index, argument) in process.arguments().iter().enumerate() {
        say!(process, "argv[{index}] = {}", Bytes(argument));
    }

    let mut checks = Checks::new(process, "hello");
    let started = patchwork::uptime();
    checks.holds(
        format_args!("the kernel is process 0"),
        patchwork::getpid() > 0,
    );
    checks.equal(format_args!("main thread"), patchwork::gettid(), 0);
    checks.holds(
        format_args!("a sleep ends with ETIMEDOUT"),
        patchwork::nanosleep(1_000_000) == Some(Errno::ETIMEDOUT),
    );
    checks.holds(
        format_args!("a millisecond passed"),
        patchwork::uptime() >= started + 1_000_000,
    );
    let mut time = 0;
    let answer = patchwork::unix_epoch(Some(&mut time));
    checks.equal(
        format_args!("UNIX_EPOCH stores what it answers"),
        time,
        answer.unwrap_or(u64::MAX),
    );
    checks.equal(
        format_args!("YIELD"),
        patchwork::yield_now().unwrap_or(u64::MAX),
        0,
    );
    let refused = patchwork::write(u64::MAX, b"nowhere");
    checks.holds(
        format_args!("a descriptor that is none"),
        refused == Err(Some(Errno::EBADF)),
    );
    checks.status()
}

//! Says hello and makes each XenevaOS service once.
//!
//! Purpose: the shortest program that shows the interface at work; its output
//! is the same in every run. Neighbours: `../patchwork/hello.rs` and
//! `../veridian/hello.rs` are the same for their interfaces.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_abi::xeneva::{FAILED, LIMIT};
use mayfly_user::check::Checks;
use mayfly_user::console::Bytes;
use mayfly_user::{Process, System, Xeneva, say, xeneva};

mayfly_user::program!(Xeneva, run);

fn run(process: &Process<Xeneva>) -> i32 {
    say!(process, "Hello from XenevaOS!");
    for (index, argument) in process.arguments().iter().enumerate() {
        say!(process, "argv[{index}] = {}", Bytes(argument));
    }

    let mut checks = Checks::new(process, "hello");
    checks.equal(format_args!("null_call"), xeneva::null_call(), 0);
    checks.equal(
        format_args!("thread ids have 16 bits"),
        xeneva::get_thread_id().unwrap_or(u64::MAX) >> 16,
        0,
    );
    checks.holds(
        format_args!("process ids are positive"),
        xeneva::get_process_id().is_ok_and(|id| id > 0),
    );
    checks.holds(
        format_args!("a millisecond passes"),
        xeneva::process_sleep(1).is_ok(),
    );
    // SAFETY: no service has this number.
    let answer = unsafe { Xeneva::call(LIMIT, [0; 6]) };
    checks.equal(format_args!("service {LIMIT}"), answer, FAILED);
    checks.status()
}

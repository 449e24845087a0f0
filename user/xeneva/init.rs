//! The first process of XenevaOS, when its image has that name.
//!
//! Purpose: process 1 may not exit, and reaps whoever ends. Says its id, tries
//! to exit, then says `reaped` for every end. Neighbours:
//! `harness/tests/xeneva/ideas.rs` runs it as `init.exe`.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_user::{Process, Xeneva, say, xeneva};

mayfly_user::program!(Xeneva, run);

fn run(process: &Process<Xeneva>) -> i32 {
    match xeneva::get_process_id() {
        Ok(id) => say!(process, "process {id}"),
        Err(_) => return 1,
    }
    say!(process, "exit answers {}", xeneva::process_exit());
    while xeneva::wait_for_termination(-1).is_ok() {
        say!(process, "reaped");
    }
    1
}

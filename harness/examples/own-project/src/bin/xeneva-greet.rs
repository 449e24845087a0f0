//! Greets from XenevaOS: a PE32+ file, as its name begins with `xeneva-`.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_user::{Process, Xeneva, say, xeneva};

mayfly_user::program!(Xeneva, run);

fn run(process: &Process<Xeneva>) -> i32 {
    match xeneva::get_process_id() {
        Ok(id) if id > 0 => say!(process, "Hello from a process with a number!"),
        _ => say!(process, "no number"),
    }
    0
}

//! Copies standard input to standard output, until it ends, on XenevaOS.
//!
//! Purpose: standard streams of another interface's program come through it.
//! Input that is empty for now counts as ended (`specs/xeneva.md` §4), unless
//! the first argument says how many bytes are to come.
//! Neighbours: `../patchwork/spawn.rs` and `../veridian/copy.rs` do the same.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_user::{Process, Xeneva, xeneva};

mayfly_user::program!(Xeneva, run);

fn run(process: &Process<Xeneva>) -> i32 {
    let mut owed = process.arguments().number(1).unwrap_or(0);
    let mut buffer = [0; 512];
    loop {
        match xeneva::read_file(0, &mut buffer) {
            // No service waits for input: it is asked for again.
            0 if owed > 0 => {
                let _woken = xeneva::process_sleep(1);
            }
            0 => return 0,
            count => {
                xeneva::write_file(1, &buffer[..count]);
                owed = owed.saturating_sub(count as u64);
            }
        }
    }
}

//! Copies standard input to standard output, until it ends, on XenevaOS.
//!
//! Purpose: standard streams of another interface's program come through it. A
//! pipe that is empty for now counts as ended (`specs/xeneva.md` §4).
//! Neighbours: `../patchwork/spawn.rs` and `../veridian/copy.rs` do the same.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_user::{Process, Xeneva, xeneva};

mayfly_user::program!(Xeneva, run);

fn run(_: &Process<Xeneva>) -> i32 {
    let mut buffer = [0; 512];
    loop {
        match xeneva::read_file(0, &mut buffer) {
            0 => return 0,
            count => xeneva::write_file(1, &buffer[..count]),
        };
    }
}

//! Opens files on XenevaOS, and says what came of it.
//!
//! The arguments are pairs of a path and mode bits; each file is read from and
//! written to once.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_user::console::Bytes;
use mayfly_user::{Process, Xeneva, say, xeneva};

mayfly_user::program!(Xeneva, run);

fn run(process: &Process<Xeneva>) -> i32 {
    let arguments = process.arguments();
    for at in (1..arguments.len()).step_by(2) {
        let path = arguments.text(at).unwrap_or(c"");
        let mode = arguments.number(at + 1).unwrap_or(0);
        let name = Bytes(path.to_bytes());
        match xeneva::open_file(path, mode) {
            Ok(fd) => {
                let read = xeneva::read_file(fd, &mut [0]);
                let written = xeneva::write_file(fd, b"x");
                say!(process, "{name} {mode}: read {read}, wrote {written}");
            }
            Err(_) => say!(process, "{name} {mode}: not opened"),
        }
    }
    0
}

//! Greets each of its arguments on PatchworkOS; status 2 without any.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_user::console::Bytes;
use mayfly_user::{Patchwork, Process, patchwork, say};

mayfly_user::program!(Patchwork, run);

fn run(process: &Process<Patchwork>) -> i32 {
    // The first one is the program's name.
    let names = process.arguments().iter().skip(1);
    let mut greeted = 0;
    for name in names {
        say!(process, "Hello, {}!", Bytes(name));
        greeted += 1;
    }
    if greeted == 0 {
        let _ = patchwork::write(patchwork::STDOUT, b"nobody to greet\n");
        return 2;
    }
    0
}

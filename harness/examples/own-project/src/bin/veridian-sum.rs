//! Adds up its arguments on VeridianOS, and prints the sum.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_user::{Process, Veridian, say};

mayfly_user::program!(Veridian, run);

fn run(process: &Process<Veridian>) -> i32 {
    let words = process.arguments().iter().skip(1);
    match words.map(number).sum::<Option<u64>>() {
        Some(sum) => say!(process, "{sum}"),
        None => {
            say!(process, "not all of that are numbers");
            return 1;
        }
    }
    0
}

fn number(word: &[u8]) -> Option<u64> {
    core::str::from_utf8(word).ok()?.parse().ok()
}

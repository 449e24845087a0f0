//! Adds up its arguments on VeridianOS, and prints the sum.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_user::{Process, Veridian, say};

mayfly_user::program!(Veridian, run);

fn run(process: &Process<Veridian>) -> i32 {
    let numbers = process.arguments().iter().skip(1);
    let numbers = numbers.map(|word| core::str::from_utf8(word).unwrap().parse::<u64>());
    match numbers.sum::<Result<u64, _>>() {
        Ok(sum) => say!(process, "{sum}"),
        Err(why) => {
            say!(process, "not a number: {why}");
            return 1;
        }
    }
    0
}

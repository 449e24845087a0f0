//! Copies the console's input to its output, until it ends, on VeridianOS.
//!
//! Purpose: standard streams of another interface's program come through it.
//! Neighbours: `../patchwork/spawn.rs` and `../xeneva/copy.rs` do the same.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::nr;
use mayfly_user::{Process, System as _, Veridian, veridian};

mayfly_user::program!(Veridian, run);

fn run(_: &Process<Veridian>) -> i32 {
    let mut buffer = [0_u8; 512];
    loop {
        let place = buffer.as_mut_ptr().expose_provenance() as u64;
        let words = [veridian::console(), place, 512, 0, 0, 0];
        // SAFETY: the buffer is lent, and as long as that.
        let count = unsafe { Veridian::call(nr::READ, words) };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match buffer.get(..count) {
            Some([]) => return 0,
            Some(bytes) => Veridian::write(bytes),
            None => return 1,
        }
    }
}

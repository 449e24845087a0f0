//! Takes all of something that it can get, on PatchworkOS.
//!
//! Neighbours: `user/lib/src/programs/exhaust.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_user::programs::exhaust::{self, Greedy};
use mayfly_user::{Patchwork, patchwork};

mayfly_user::program!(Patchwork, exhaust::run::<Taker>);
mayfly_user::thread!(idle_entry, nothing);

fn nothing(_: u64) {
    Taker::idle();
}

struct Taker;

impl Greedy for Taker {
    type System = Patchwork;

    fn handle() -> bool {
        patchwork::open(c"/dev/null").is_ok()
    }

    fn memory() -> Option<(u64, u64)> {
        let length = 64 << 12;
        let zeros = patchwork::open(c"/dev/zero").ok()?;
        let start = patchwork::map(zeros, length, 3);
        patchwork::close(zeros).ok()?;
        Some((start.ok()?, length))
    }

    fn thread() -> bool {
        patchwork::thread_create(idle_entry, 0).is_ok()
    }

    fn process() -> bool {
        let suspended = patchwork::spawn_flags::SUSPEND;
        patchwork::spawn(&[c"/bin/patchwork-exit"], suspended).is_ok()
    }

    fn laden() -> bool {
        let mut arguments = exhaust::long_arguments::<512>();
        arguments[0] = c"/bin/patchwork-exit".as_ptr().expose_provenance();
        arguments[511] = 0;
        patchwork::spawn_array(&arguments, patchwork::spawn_flags::SUSPEND).is_ok()
    }

    fn idle() {
        patchwork::nanosleep(u64::MAX);
    }
}

//! Takes all of something that it can get, on XenevaOS.
//!
//! Neighbours: `user/lib/src/programs/exhaust.rs` has the program.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use mayfly_user::Xeneva;
use mayfly_user::programs::exhaust::{self, Greedy};
use mayfly_user::xeneva::{self, memory, thread};

mayfly_user::program!(Xeneva, exhaust::run::<Taker>);
mayfly_user::sub_thread!(idle_entry, nothing);

fn nothing(_argc: u64, _argv: u64) {}

struct Taker;

impl Greedy for Taker {
    type System = Xeneva;

    fn handle() -> bool {
        xeneva::open_file(c"/dev/null", 2).is_ok()
    }

    fn memory() -> Option<(u64, u64)> {
        let length = 64 << 12;
        let start = memory::map(length, memory::WRITE, 0, memory::ANONYMOUS, 0).ok()?;
        Some((start.as_ptr().expose_provenance() as u64, length))
    }

    fn thread() -> bool {
        thread::create(idle_entry, c"idles").is_ok()
    }

    fn process() -> bool {
        xeneva::create_process(c"nobody").is_ok()
    }

    fn idle() {
        thread::pause();
    }
}

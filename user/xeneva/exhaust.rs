//! Takes all of something that it can get, on XenevaOS.
//!
//! Neighbours: `user/lib/src/programs/exhaust.rs` has the program.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use core::ffi::c_char;

use mayfly_user::Xeneva;
use mayfly_user::programs::exhaust::{self, Greedy, IDLE};
use mayfly_user::xeneva::{self, memory, thread};

mayfly_user::program!(Xeneva, exhaust::run::<Taker>);
mayfly_user::sub_thread!(idle_entry, nothing);

fn nothing(_argc: u64, _argv: u64) {}

/// Descriptors of a process.
const FILES: i32 = 60;

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

    fn laden() -> bool {
        let Ok(pid) = xeneva::create_process(c"laden") else {
            return false;
        };
        for descriptor in 0..FILES {
            let Ok(file) = xeneva::open_file(c"/dev/null", 2) else {
                return false;
            };
            let given = xeneva::set_file_to_process(file, descriptor, pid);
            xeneva::close_file(file);
            if given.is_err() {
                return false;
            }
        }
        let mut arguments = exhaust::long_arguments::<500>().map(|it| it as *const c_char);
        arguments[0] = IDLE.as_ptr();
        xeneva::load_exec(pid, c"/bin/xeneva-exhaust.exe", &arguments).is_ok()
    }

    fn idle() {
        thread::pause();
    }
}

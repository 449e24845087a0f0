//! Takes all of something that it can get, on VeridianOS.
//!
//! Neighbours: `user/lib/src/programs/exhaust.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{Timespec, nr};
use mayfly_user::programs::exhaust::{self, Greedy};
use mayfly_user::veridian::image::this_program;
use mayfly_user::veridian::memory::mmap;
use mayfly_user::veridian::{capability, process};
use mayfly_user::{System as _, Veridian, veridian};

mayfly_user::program!(Veridian, exhaust::run::<Taker>);

/// Protection: to be read and written. Flags: private, of no object.
const READ_WRITE: u64 = 3;
const OWN: u64 = 1 | 4;
/// Size of a stack.
const STACK: u64 = 4096;

struct Taker;

extern "sysv64" fn nothing(_: u64) -> ! {
    loop {
        Taker::idle();
    }
}

fn map(length: u64) -> Option<u64> {
    mmap(0, length, READ_WRITE, OWN, None, 0).ok()
}

impl Greedy for Taker {
    type System = Veridian;

    fn handle() -> bool {
        let own = veridian::start_info().process_token;
        capability::derive(own, 0).is_ok()
    }

    fn memory() -> Option<(u64, u64)> {
        let length = 64 << 12;
        Some((map(length)?, length))
    }

    fn thread() -> bool {
        let Some(stack) = map(STACK) else {
            return false;
        };
        let entry = (nothing as *const ()).expose_provenance() as u64;
        // SAFETY: the stack is this thread's alone, and stays.
        let id = unsafe { Veridian::call(nr::THREAD_CREATE, [entry, stack, STACK, 0, 0, 0]) };
        Veridian::error(id) == 0
    }

    fn process() -> bool {
        process::create(this_program(), &[], &[]).is_ok()
    }

    fn laden() -> bool {
        let arguments = exhaust::long_arguments::<500>();
        let program = this_program();
        let words = [
            program.as_ptr().expose_provenance() as u64,
            program.len() as u64,
            arguments.as_ptr().expose_provenance() as u64,
            arguments.len() as u64,
            0,
            0,
        ];
        // SAFETY: the call writes nowhere.
        let made = unsafe { Veridian::call(nr::PROCESS_CREATE, words) };
        Veridian::error(made) == 0
    }

    fn idle() {
        let hour = Timespec {
            seconds: 3600,
            ..Timespec::default()
        };
        // A sleep that fails is a short one.
        let _ = veridian::nanosleep(&hour);
    }
}

//! Makes XenevaOS services with random arguments.
//!
//! Purpose: what the kind of an argument does not say.
//! Neighbours: `user/lib/src/programs/random.rs` makes the calls.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use core::ffi::CStr;

use mayfly_abi::table::{Argument, Row};
use mayfly_abi::xeneva::nr;
use mayfly_user::Xeneva;
use mayfly_user::programs::random::{self, Callable, Random};

mayfly_user::program!(Xeneva, random::run::<Calls>);

struct Calls;

impl Callable for Calls {
    type System = Xeneva;

    const LEFT_OUT: &'static [u64] = &[
        nr::PauseThread,
        nr::ProcessExit,
        nr::ProcessWaitForTermination,
    ];

    const DURATIONS: &'static [u64] = &[];

    const TEXTS: &'static [&'static CStr] = &[
        c"",
        c"text",
        c"%s",
        c"%d %x %u %c\n",
        c"%p %%%",
        c"%",
        c"/file",
        c"/fonts/none",
        c"xeneva-exit",
        c"/bin/xeneva-null.exe",
        c"/bin/patchwork-exit.exe",
        c"/bin/none.exe",
    ];

    fn word(row: &Row, argument: &Argument, random: &mut Random) -> Option<u64> {
        match (row.number, argument.name) {
            (nr::ProcessSleep, _) => Some(random.below(2)),
            (nr::SeTextOut, "first" | "second" | "third") if random.below(2) == 0 => {
                Some(random.memory())
            }
            _ => None,
        }
    }
}

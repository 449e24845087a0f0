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
mayfly_user::sub_thread!(idle_entry, idle);

/// Where mappings are asked for: nothing of the program's own is there.
const PLAYGROUND: u64 = 0x20_0000_0000;
const PAGE: u64 = 4096;
/// Threads are made by one call in so many, so that their number suffices.
const THREADS: u64 = 8;

fn idle(_argc: u64, _argv: u64) {}

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
        c"/dev/shmem/new",
        c"/dev/shmem/1",
    ];

    fn word(row: &Row, argument: &Argument, random: &mut Random) -> Option<u64> {
        match (row.number, argument.name) {
            (nr::ProcessSleep, _) => Some(random.below(2)),
            (nr::CreateMemMapping | nr::UnmapMemMapping, "address") => {
                let place = PLAYGROUND + random.below(16) * PAGE;
                Some(random.one_of(&[place, place, place + 5, 0]))
            }
            // What is unmapped lies between the image and the stacks.
            (nr::CreateMemMapping | nr::UnmapMemMapping, "length") => Some(random.below(8 * PAGE)),
            (nr::CreateMemMapping, "offset") => Some(random.below(4) * PAGE),
            (nr::GetProcessHeapMem, _) => Some(random.one_of(&[0, 1, PAGE, u64::MAX])),
            (nr::CreateSharedMem, "size") => {
                Some(random.one_of(&[0, 1, PAGE, 3 * PAGE, 1 << 40, u64::MAX]))
            }
            (nr::CreateSharedMem | nr::ObtainSharedMem | nr::UnmapSharedMem, "key" | "id") => {
                Some(random.below(6))
            }
            (nr::CreateUserThread, "entry") => Some(match random.below(THREADS) {
                0 => (idle_entry as *const ()).expose_provenance() as u64,
                1 => u64::MAX,
                _ => 0,
            }),
            (nr::SeTextOut, "first" | "second" | "third") if random.below(2) == 0 => {
                Some(random.memory())
            }
            _ => None,
        }
    }
}

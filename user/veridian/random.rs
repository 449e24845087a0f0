//! Makes VeridianOS calls with random arguments.
//!
//! Purpose: what the kind of an argument does not say.
//! Neighbours: `user/lib/src/programs/random.rs` makes the calls.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ffi::CStr;

use mayfly_abi::table::{Argument, Row};
use mayfly_abi::veridian::{Timespec, nr};
use mayfly_user::programs::random::{self, Callable, Random};
use mayfly_user::{Veridian, veridian};

mayfly_user::program!(Veridian, random::run::<Calls>);

/// A sleep that is soon over.
static BRIEF: Timespec = Timespec {
    seconds: 0,
    nanoseconds: 1000,
};

/// Where memory is mapped and unmapped, and the size of a page.
const PLAYGROUND: u64 = 0x20_0000_0000;
const PAGE: u64 = 4096;

/// A thread that ends at once, on whatever stack.
#[cfg(target_os = "none")]
#[unsafe(naked)]
unsafe extern "sysv64" fn brief() -> ! {
    core::arch::naked_asm!(
        "mov eax, {exit}",
        "xor edi, edi",
        "syscall",
        "ud2",
        exit = const nr::THREAD_EXIT,
    )
}

/// Where that thread begins.
fn brief_entry() -> u64 {
    #[cfg(target_os = "none")]
    {
        (brief as *const ()).expose_provenance() as u64
    }
    #[cfg(not(target_os = "none"))]
    0
}

struct Calls;

impl Callable for Calls {
    type System = Veridian;

    const LEFT_OUT: &'static [u64] = &[nr::EXIT, nr::THREAD_EXIT];

    const DURATIONS: &'static [u64] = &[0, 0, 1, 1000, 20_000];

    const TEXTS: &'static [&'static CStr] = &[c""];

    fn word(row: &Row, argument: &Argument, random: &mut Random) -> Option<u64> {
        match (row.number, argument.name) {
            (nr::NANOSLEEP, _) => {
                let brief = (&raw const BRIEF).expose_provenance() as u64;
                Some(random.one_of(&[brief, brief, brief + 4, 0, 8, 1 << 47]))
            }
            // Never the program itself: it would unmap what it runs on.
            (nr::MUNMAP | nr::MPROTECT, "address") => {
                let place = PLAYGROUND + random.below(16) * PAGE;
                let bad = random.memory() & (PAGE - 1) | 1 << 47;
                Some(random.one_of(&[place, place, place + 1, place + PAGE - 1, bad, 0]))
            }
            (nr::MMAP, "address") => {
                let place = PLAYGROUND + random.below(16) * PAGE;
                let taken = random.memory();
                Some(random.one_of(&[place, place, place + 1, 0, taken, 1 << 47]))
            }
            (nr::MMAP | nr::MUNMAP | nr::MPROTECT, "length") => {
                let some = random.below(9 * PAGE);
                Some(random.one_of(&[some, some, some, 0, 1, PAGE, 1 << 47, u64::MAX]))
            }
            (nr::MMAP | nr::MPROTECT, "prot") => Some(random.one_of(&[1, 3, 3, 3, 0, 2, 5, 7])),
            (nr::MMAP, "flags") => Some(random.one_of(&[5, 5, 6, 0xd, 0x15, 0x1d, 1, 2, 3, 0x20])),
            (nr::WRITE | nr::READ, "capability") if random.below(2) == 0 => {
                Some(veridian::console())
            }
            (nr::THREAD_CREATE, "entry") => {
                Some(random.one_of(&[brief_entry(), brief_entry(), 0, 8, 1 << 47]))
            }
            (nr::THREAD_CREATE, "stack_base") if random.below(4) > 0 => Some(random.memory()),
            _ => None,
        }
    }
}

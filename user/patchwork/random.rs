//! Makes PatchworkOS calls with random arguments.
//!
//! Purpose: what the kind of an argument does not say: which files there are,
//! what may be mapped over, and who wakes a thread that waits for itself.
//! Neighbours: `user/lib/src/programs/random.rs` makes the calls.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ffi::CStr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use mayfly_abi::patchwork::{Errno, nr};
use mayfly_abi::table::{Argument, Row};
use mayfly_user::programs::random::{self, Callable, PROGRESS, Random};
use mayfly_user::{Patchwork, System, patchwork};

mayfly_user::program!(Patchwork, random::run::<Calls>);
mayfly_user::thread!(brief_entry, brief);
mayfly_user::thread!(rescue_entry, rescue);

/// Where mappings are asked for: nothing of the program's own is there.
const PLAYGROUND: u64 = 0x20_0000_0000;
const PAGE: u64 = 4096;
/// Nanoseconds without a call after which the main thread counts as waiting.
const PATIENCE: u64 = 5_000_000;
/// Descriptors of a process.
const DESCRIPTORS: u64 = 64;
/// Standard output, which the program itself needs.
const OUTPUT: u64 = 1;

/// What children are started with: programs that are there and that are not,
/// and no end of the array.
static ARGUMENTS: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
const PROGRAMS: [&CStr; 5] = [
    c"/bin/patchwork-exit",
    c"/bin/veridian-exit",
    c"/bin/none",
    c"/tmp/r/a",
    c"/tmp/r/a*",
];
/// A spawn flag: the child waits, for ever if nobody starts it.
const SUSPEND: u64 = 1;

struct Calls;

impl Callable for Calls {
    type System = Patchwork;

    const LEFT_OUT: &'static [u64] = &[nr::PROCESS_EXIT, nr::THREAD_EXIT];

    const DURATIONS: &'static [u64] = &[0, 0, 1, 1000, 20_000, 100_000];

    const TEXTS: &'static [&'static CStr] = &[
        c"",
        c"/",
        c".",
        c"..",
        c"/:d",
        c":d",
        c"/tmp:d",
        c"/tmp/r:cd",
        c"/tmp/r:d",
        c"/tmp/r:dR",
        c"/tmp/r",
        c"/tmp/r/a:c",
        c"/tmp/r/a:cw",
        c"/tmp/r/a:ca",
        c"/tmp/r/a:ct",
        c"/tmp/r/a:ce",
        c"/tmp/r/a",
        c"/tmp/r/b",
        c"/tmp/r/b:x",
        c"/tmp/r/d:cd",
        c"/tmp/r/d:cd",
        c"/tmp/r/d:d",
        c"/tmp/r/d",
        c"/tmp/r/d/../a",
        c"/tmp/r/d/e:c",
        c"/tmp/r/d/e",
        c"/tmp/r/d/f:cd",
        c"/tmp/r/d/f/../../d/f/g:c",
        c"a",
        c"a:c",
        c"d/e",
        c"../r/d:d",
        c"/tmp/r/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn:c",
        c"/tmp/r/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn:c",
        c"/tmp/r/a*",
        c"/tmp/r/a:q",
        c"/dev/zero",
        c"/dev/zero",
        c"/dev/zero:r",
        c"/dev/one",
        c"/dev/null",
        c"/dev/klog:rw",
        c"/dev/pipe/new",
        c"/dev/pipe/new",
        c"/dev/pipe/new",
        c"/dev:dR",
        c"/proc:d",
    ];

    fn prepare() {
        for (place, program) in ARGUMENTS.iter().step_by(2).zip(PROGRAMS) {
            place.store(program.as_ptr().expose_provenance() as u64, Relaxed);
        }
        let _ = patchwork::thread_create(rescue_entry, 0);
    }

    fn word(row: &Row, argument: &Argument, random: &mut Random) -> Option<u64> {
        match (row.number, argument.name) {
            (nr::CLOSE, "fd") | (nr::DUP2, "new") => match random.below(DESCRIPTORS + 1) {
                OUTPUT => Some(0),
                fd => Some(fd),
            },
            (nr::MMAP, "fd") if random.below(2) == 0 => patchwork::open(c"/dev/zero").ok(),
            (nr::MMAP | nr::MPROTECT, "prot") => Some(random.one_of(&[1, 3, 3, 3, 0, 2, 7])),
            (nr::MMAP | nr::MUNMAP | nr::MPROTECT, "address") => {
                let place = PLAYGROUND + random.below(16) * PAGE;
                let bad = random.memory() & (PAGE - 1) | 1 << 47;
                Some(random.one_of(&[place, place, place + 1, place + PAGE - 1, bad, 0]))
            }
            (nr::MMAP | nr::MUNMAP | nr::MPROTECT, "length") => {
                let some = random.below(9 * PAGE);
                Some(random.one_of(&[some, some, some, 0, 1, PAGE, 1 << 47, u64::MAX]))
            }
            (nr::SPAWN, "argv") if random.below(2) == 0 => {
                let program = random.below(ARGUMENTS.len() as u64) * 8;
                Some(ARGUMENTS.as_ptr().expose_provenance() as u64 + program)
            }
            (nr::SPAWN, "flags") => Some(random.any() & !SUSPEND),
            (nr::THREAD_CREATE, "entry") if random.below(2) == 0 => {
                Some((brief_entry as *const ()).expose_provenance() as u64)
            }
            (nr::THREAD_CREATE, "entry") => Some(random.one_of(&[0, 8, 1 << 47, u64::MAX])),
            _ => None,
        }
    }

    /// Whoever waits at both ends of a pipe waits until it is rescued, which
    /// takes its time: most calls that would are not made. Nor is most of what
    /// nobody wants to read.
    fn is_safe(number: u64, words: &[u64; 6], random: &mut Random) -> bool {
        let events: u64 = match number {
            nr::READ => 1,
            nr::WRITE if words[0] <= OUTPUT + 1 && random.below(8) > 0 => return false,
            nr::WRITE => 2,
            _ => return true,
        };
        let pollfd = [words[0], events];
        let address = pollfd.as_ptr().expose_provenance() as u64;
        // SAFETY: the call writes to nothing but the array.
        let ready = unsafe { Patchwork::call(nr::POLL, [address, 1, 0, 0, 0, 0]) };
        ready != 0 || random.below(32) == 0
    }

    fn after(error: u32, random: &mut Random) {
        if error == Errno::EMFILE.code() && random.below(2) == 0 {
            close_all();
        }
    }
}

/// Closes what random calls have opened.
fn close_all() {
    for fd in (0..DESCRIPTORS).filter(|fd| *fd != OUTPUT) {
        // SAFETY: the call takes no address.
        unsafe { Patchwork::call(nr::CLOSE, [fd, 0, 0, 0, 0, 0]) };
    }
}

/// A thread that somebody started: it lets others go first, and ends.
fn brief(_: u64) {
    let _ = patchwork::yield_now();
}

/// Ends what the main thread waits for when it makes no calls any more.
fn rescue(_: u64) {
    let mut before = 0;
    loop {
        let _ = patchwork::nanosleep(PATIENCE);
        let now = PROGRESS.load(Relaxed);
        if now == before {
            close_all();
        }
        before = now;
    }
}

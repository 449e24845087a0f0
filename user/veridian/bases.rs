//! FS and GS bases that threads of VeridianOS set for themselves.
//!
//! Purpose: each thread keeps its own over calls and switches (spec §1, C5).
//! Where the processor has no FSGSBASE, nothing is tried, and the line says so.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::veridian::Timespec;
use mayfly_user::check::Checks;
use mayfly_user::veridian::thread::{self, FOREVER, Stack};
use mayfly_user::{Process, Veridian, say, veridian};

mayfly_user::program!(Veridian, run);

const COUNT: usize = 8;
const ROUNDS: u64 = 20;

static STACKS: [Stack; COUNT] = [const { Stack::new() }; COUNT];
/// What the threads' FS bases point at.
static WORDS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

fn run(process: &Process<Veridian>) -> i32 {
    if __cpuid_count(7, 0).ebx & 1 == 0 {
        say!(process, "no FSGSBASE");
        return 0;
    }
    let mut checks = Checks::new(process, "bases");
    checks.holds(format_args!("zero at first"), get() == (0, 0));
    let own = (0x1234_5000, 0x7fff_ffff_f000);
    set(own);
    let mut ids = [0; COUNT];
    for (index, id) in ids.iter_mut().enumerate() {
        // SAFETY: each thread has a stack of its own.
        let made = unsafe { thread::create(keep, &STACKS[index], index as u64) };
        checks.holds(format_args!("thread {index}: {made:?}"), made.is_ok());
        *id = made.unwrap_or(0);
    }
    for _ in 0..ROUNDS {
        let _ = veridian::yield_now();
        checks.holds(format_args!("after a yield: {:x?}", get()), get() == own);
    }
    for (index, id) in ids.into_iter().enumerate() {
        let code = thread::join(id, FOREVER);
        checks.holds(format_args!("thread {index}: {code:?}"), code == Ok(0));
        checks.equal(
            format_args!("word {index}"),
            WORDS[index].load(SeqCst),
            ROUNDS,
        );
    }
    checks.holds(format_args!("after all: {:x?}", get()), get() == own);
    checks.finish()
}

/// Keeps its own bases, and counts by way of FS; its code is 0 if they stayed.
extern "sysv64" fn keep(index: u64) -> ! {
    let started = get() == (0, 0);
    let place = usize::try_from(index).unwrap_or(0) % COUNT;
    let word = WORDS[place].as_ptr().expose_provenance() as u64;
    let own = (word, index << 32);
    set(own);
    let mut kept = true;
    for _ in 0..ROUNDS {
        // SAFETY: FS points at this thread's own word.
        unsafe { asm!("inc qword ptr fs:[0]", options(nostack)) };
        match index % 2 {
            0 => drop(veridian::yield_now()),
            _ => drop(veridian::nanosleep(&Timespec {
                seconds: 0,
                nanoseconds: 1000,
            })),
        }
        kept &= get() == own;
    }
    thread::exit(i32::from(!(started && kept)))
}

/// FS and GS base.
fn get() -> (u64, u64) {
    let (fs, gs);
    // SAFETY: the processor has the instruction, and the kernel switched it on.
    unsafe { asm!("rdfsbase {}", out(reg) fs, options(nomem, nostack, preserves_flags)) };
    // SAFETY: as above.
    unsafe { asm!("rdgsbase {}", out(reg) gs, options(nomem, nostack, preserves_flags)) };
    (fs, gs)
}

fn set((fs, gs): (u64, u64)) {
    // SAFETY: no code of this program uses FS or GS but that above.
    unsafe { asm!("wrfsbase {}", in(reg) fs, options(nomem, nostack, preserves_flags)) };
    // SAFETY: as above.
    unsafe { asm!("wrgsbase {}", in(reg) gs, options(nomem, nostack, preserves_flags)) };
}

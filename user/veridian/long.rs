//! Calls of VeridianOS that take long, and a thread that spins meanwhile.
//!
//! Purpose: READ and WRITE of memory and MMAP with POPULATE do not keep the
//! processor until they are done: others have a turn (spec §8, §9), and what
//! comes of the call is the same. The other thread makes no call.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::veridian::SyscallError;
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::{create, kind, right};
use mayfly_user::veridian::memory::{map, mmap, prot};
use mayfly_user::veridian::thread::{self, FOREVER, Stack};
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

/// Bytes that are read and written, and that are brought in.
const COPIED: u64 = (1 << 20) + (64 << 10);
const POPULATED: u64 = (4 << 20) + (64 << 10);
const ANONYMOUS: u64 = map::PRIVATE | map::ANONYMOUS;
const READ_WRITE: u64 = prot::READ | prot::WRITE;

static STACK: Stack = Stack::new();
/// What the other thread counts.
static TURNS: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicU64 = AtomicU64::new(0);

fn run(process: &Process<Veridian>) -> i32 {
    let mut checks = Checks::new(process, "long");
    let done = calls(&mut checks);
    checks.holds(format_args!("no call failed: {done:?}"), done.is_ok());
    checks.finish()
}

fn calls(checks: &mut Checks<'_, Veridian>) -> Result<(), Option<SyscallError>> {
    // SAFETY: no other thread has this stack.
    let other = unsafe { thread::create(spin, &STACK, 0) }?;
    let space = veridian::start_info().space_token;
    let object = create(kind::MEMORY, COPIED, right::READ | right::WRITE, space)?;
    let place = mmap(0, COPIED, READ_WRITE, ANONYMOUS, None, 0)?;
    // SAFETY: the memory is new, and nothing else refers to it.
    let bytes = unsafe { core::slice::from_raw_parts_mut(place as *mut u8, size(COPIED)) };
    // Another number in each page.
    for (page, number) in bytes.chunks_exact_mut(4096).zip(1_u64..) {
        page[..8].copy_from_slice(&number.to_le_bytes());
    }
    let written = goes_on(checks, "WRITE", || veridian::write(object, bytes, 0))?;
    checks.equal(format_args!("written"), written, COPIED);
    bytes.fill(0);
    let read = goes_on(checks, "READ", || veridian::read(object, bytes, 0))?;
    checks.equal(format_args!("read"), read, COPIED);
    let mut pages = bytes.chunks_exact(4096).zip(1_u64..);
    let kept = pages.all(|(page, number)| page[..8] == number.to_le_bytes());
    checks.holds(format_args!("all of it is as it was"), kept);
    // Half of it is behind the end.
    let short = veridian::write(object, bytes, COPIED / 2);
    checks.holds(
        format_args!("a short one: {short:?}"),
        short == Ok(COPIED / 2),
    );
    let flags = ANONYMOUS | map::POPULATE;
    let populated = goes_on(checks, "POPULATE", || {
        mmap(0, POPULATED, READ_WRITE, flags, None, 0)
    })?;
    // SAFETY: the memory is new, and nothing else refers to it.
    let bytes = unsafe { core::slice::from_raw_parts(populated as *const u8, size(POPULATED)) };
    let zeros = bytes.chunks_exact(4096).all(|page| page[..8] == [0; 8]);
    checks.holds(format_args!("new pages are zeros"), zeros);
    OVER.store(1, SeqCst);
    thread::join(other, FOREVER).map(|_| ())
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Makes a call; the other thread has a turn before it is over.
fn goes_on<T>(checks: &mut Checks<'_, Veridian>, what: &str, call: impl FnOnce() -> T) -> T {
    // Its slice has just begun: the other one's end is not what comes next.
    let _ = veridian::yield_now();
    let before = TURNS.load(SeqCst);
    let answer = call();
    let after = TURNS.load(SeqCst);
    checks.holds(format_args!("{what}: a turn for another"), after > before);
    answer
}

extern "sysv64" fn spin(_: u64) -> ! {
    while OVER.load(SeqCst) == 0 {
        TURNS.fetch_add(1, SeqCst);
    }
    thread::exit(0);
}

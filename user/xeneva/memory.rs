//! Memory of XenevaOS: segments that processes share, mappings, the heap.
//!
//! The first argument says what is done:
//!
//! - `own`: maps, stores, unmaps and grows the heap.
//! - `file PATH`: prints the first line of a file that is mapped.
//! - `store KEY WORD`: stores a word in a new segment and pauses.
//! - `load KEY`: prints that word, and what the segment's file holds.
//! - `hold KEY`: maps a segment twice, and ends without unmapping it.
//! - `execute PROT`: maps a page with that protection, puts a function there and
//!   calls it; prints `calls` before, and what it answered behind.
//! - `full`: maps until no more can be had.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use core::mem;
use core::ptr::NonNull;

use mayfly_user::check::Checks;
use mayfly_user::console::Bytes;
use mayfly_user::xeneva::memory::{self, ANONYMOUS};
use mayfly_user::xeneva::{self, Failed, thread};
use mayfly_user::{Process, Xeneva, say};

mayfly_user::program!(Xeneva, run);

const PAGE: u64 = 4096;
/// `mov eax, 42` and `ret`.
const ANSWER: u64 = u64::from_le_bytes([0xb8, 42, 0, 0, 0, 0xc3, 0, 0]);

fn run(process: &Process<Xeneva>) -> i32 {
    let mut checks = Checks::new(process, "memory");
    let done = perform(process, &mut checks);
    checks.holds(format_args!("services succeed"), done.is_ok());
    checks.finish()
}

fn perform(process: &Process<Xeneva>, checks: &mut Checks<'_, Xeneva>) -> Result<(), Failed> {
    let arguments = process.arguments();
    let number = arguments.number(2).unwrap_or(0);
    let key = u16::try_from(number).unwrap_or(0);
    match arguments.get(1).unwrap_or(b"") {
        b"own" => own(checks)?,
        b"file" => {
            let fd = xeneva::open_file(arguments.text(2).unwrap_or(c""), 2)?;
            let start = memory::map(PAGE, memory::READ_ONLY, memory::PRIVATE, fd, 0)?;
            // SAFETY: a page was mapped there, and nobody writes to it.
            let bytes = unsafe { NonNull::slice_from_raw_parts(start.cast::<u8>(), 4096).as_ref() };
            let line = bytes.split(|byte| *byte == b'\n').next();
            say!(process, "{}", Bytes(line.unwrap_or(b"")));
        }
        b"store" => {
            let id = memory::create_shared(key, PAGE)?;
            store(memory::obtain_shared(id)?, arguments.number(3).unwrap_or(0));
            say!(process, "stored");
            thread::pause();
        }
        b"load" => {
            let id = memory::create_shared(key, 0)?;
            say!(process, "{}", load(memory::obtain_shared(id)?));
        }
        b"hold" => {
            let id = memory::create_shared(key, PAGE)?;
            memory::obtain_shared(id)?;
            memory::obtain_shared(id)?;
        }
        b"execute" => {
            let start = memory::map(PAGE, number, 0, ANONYMOUS, 0)?;
            store(start, ANSWER);
            say!(process, "calls");
            // SAFETY: the bytes are a function by that convention, if the memory
            // may be executed; otherwise the call ends this process.
            let answer =
                unsafe { mem::transmute::<NonNull<u64>, extern "sysv64" fn() -> u64>(start) };
            say!(process, "{}", answer());
        }
        b"full" => {
            let mut count = 0;
            while let Ok(start) = memory::map(64 * PAGE, memory::WRITE, 0, ANONYMOUS, 0) {
                for page in 0..64 {
                    // SAFETY: 64 pages of 512 words were mapped there.
                    store(unsafe { start.add(page * 512) }, 1);
                }
                count += 1;
            }
            checks.holds(format_args!("there was some"), count > 0);
        }
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    Ok(())
}

/// Maps, stores, unmaps.
fn own(checks: &mut Checks<'_, Xeneva>) -> Result<(), Failed> {
    let first = memory::map(PAGE + 1, 0, 0, ANONYMOUS, 0)?;
    let second = memory::map(PAGE, memory::WRITE, 0, ANONYMOUS, 0)?;
    let at = |place: NonNull<u64>| place.as_ptr().expose_provenance() as u64;
    checks.equal(format_args!("mappings begin there"), at(first), 0xc000_0000);
    checks.equal(
        format_args!("the next lies behind"),
        at(second),
        at(first) + 2 * PAGE,
    );
    // SAFETY: two pages were mapped there.
    let last = unsafe { first.add(1023) };
    checks.equal(format_args!("new memory"), load(last), 0);
    store(last, 7);
    checks.equal(format_args!("what was stored"), load(last), 7);
    // SAFETY: `first` is not used below.
    let unmapped = unsafe { memory::unmap(first, 2 * PAGE) };
    checks.equal(format_args!("unmapping"), unmapped, 0);
    let again = memory::map(PAGE, 0, 0, ANONYMOUS, 0)?;
    checks.equal(format_args!("its place is free"), at(again), 0xc000_0000);
    checks.equal(format_args!("what comes there is new"), load(again), 0);
    let heap = memory::grow_heap(2 * PAGE)?;
    checks.equal(
        format_args!("the heap begins there"),
        at(heap),
        0x3_0000_0000,
    );
    store(heap, 9);
    let more = memory::grow_heap(PAGE)?;
    checks.equal(
        format_args!("it grows at its end"),
        at(more),
        at(heap) + 2 * PAGE,
    );
    checks.equal(
        format_args!("the end"),
        at(memory::grow_heap(0)?),
        at(more) + PAGE,
    );
    checks.equal(format_args!("what it held"), load(heap), 9);
    checks.equal(format_args!("what is new in it"), load(more), 0);
    let odd = memory::grow_heap(PAGE - 1);
    checks.holds(format_args!("it grows by pages"), odd.is_err());
    Ok(())
}

fn store(place: NonNull<u64>, value: u64) {
    // SAFETY: the callers give places in memory that was mapped for them.
    unsafe { place.write_volatile(value) }
}

fn load(place: NonNull<u64>) -> u64 {
    // SAFETY: as above.
    unsafe { place.read_volatile() }
}

//! What is measured on XenevaOS, an operation at a time.
//!
//! Arguments: OPERATION `count` or `time` ROUNDS; see `measure.rs` of the
//! library. With `answer` it is the other process of a pair.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use core::ffi::CStr;
use core::ptr::{self, NonNull};

use mayfly_user::measure::{NO_SUCH, Rounds};
use mayfly_user::xeneva::{self, Failed, memory, thread};
use mayfly_user::{Process, Xeneva};

mayfly_user::program!(Xeneva, run);
mayfly_user::sub_thread!(over_entry, be_over);

const PAGE: u64 = 4096;
const MEBIBYTE: u64 = 1 << 20;
/// Key of the segment.
const KEY: u16 = 7;
/// What wakes a thread; none means more than another.
const SIGNAL: i32 = 1;

/// Modes of files (`specs/xeneva.md`).
const READ: u64 = 2;
const WRITE: u64 = 4;
const MAKE: u64 = 8;

fn run(process: &Process<Xeneva>) -> i32 {
    let rounds = Rounds::of(process);
    // XenevaOS has no status to tell this by: its rounds are missing then.
    perform(&rounds).unwrap_or(NO_SUCH)
}

fn perform(rounds: &Rounds<'_, Xeneva>) -> Result<i32, Failed> {
    match rounds.operation() {
        b"null" => rounds.run(|| Ok(xeneva::null_call())),
        b"getid" => rounds.run(xeneva::get_process_id),
        b"open" => {
            let mut first = None;
            rounds.run(|| {
                let file = xeneva::open_file(c"/dev/null", READ)?;
                xeneva::close_file(file);
                same(&mut first, file)
            })
        }
        b"read" => {
            let zero = xeneva::open_file(c"/dev/zero", READ)?;
            rounds.run(|| all(xeneva::read_file(zero, &mut [0]), 1))
        }
        b"write" => {
            let null = xeneva::open_file(c"/dev/null", WRITE)?;
            rounds.run(|| all(xeneva::write_file(null, b"x"), 1))
        }
        b"file" => {
            let mut first = None;
            rounds.run(|| {
                let file = xeneva::open_file(c"/tmp/costs", WRITE | MAKE)?;
                all(xeneva::write_file(file, &[7; 4096]), 4096)?;
                xeneva::close_file(file);
                same(&mut first, file)
            })
        }
        b"fault" => fault(rounds),
        b"mmap-4k" => map(rounds, PAGE),
        b"mmap-1m" => map(rounds, MEBIBYTE),
        b"shm" => shared(rounds, PAGE),
        b"handover-1m" => shared(rounds, MEBIBYTE),
        b"thread" => rounds.run(|| {
            thread::create(over_entry, c"over")?;
            Ok(thread::pause())
        }),
        b"wake" => wake(rounds),
        b"spawn" => rounds.run(spawn),
        b"answer" => answer(),
        b"end" => Ok(0),
        b"fail" => rounds.run(|| xeneva::open_file(c"/none", READ)),
        _ => Ok(NO_SUCH),
    }
}

/// What a round got is what the first one got: a service that gives it back, and
/// has no answer, did so.
fn same<T: Copy + PartialEq>(first: &mut Option<T>, now: T) -> Result<(), Failed> {
    match *first.get_or_insert(now) == now {
        true => Ok(()),
        false => Err(Failed),
    }
}

/// A service moved as much as it was to.
fn all(moved: impl TryInto<usize>, wanted: usize) -> Result<(), Failed> {
    match moved.try_into() {
        Ok(moved) if moved == wanted => Ok(()),
        _ => Err(Failed),
    }
}

/// Touches pages, one after the other.
fn fault(rounds: &Rounds<'_, Xeneva>) -> Result<i32, Failed> {
    let length = (rounds.count() + 1) * PAGE;
    let mut next = memory::map(length, memory::WRITE, 0, memory::ANONYMOUS, 0)?;
    rounds.run(|| {
        touch(next);
        // SAFETY: there is a page more than rounds, of 512 words each.
        next = unsafe { next.add(512) };
        Ok(())
    })
}

/// Stores a word in mapped memory.
fn touch(place: NonNull<u64>) {
    // SAFETY: the caller mapped it, to be written, for itself alone.
    unsafe { place.write_volatile(1) };
}

fn map(rounds: &Rounds<'_, Xeneva>, length: u64) -> Result<i32, Failed> {
    let mut first = None;
    rounds.run(|| {
        let start = memory::map(length, memory::WRITE, 0, memory::ANONYMOUS, 0)?;
        // SAFETY: nothing refers to it.
        unsafe { memory::unmap(start, length) };
        same(&mut first, start)
    })
}

/// Maps a segment that is there, touches its first and last word, and unmaps it.
fn shared(rounds: &Rounds<'_, Xeneva>, length: u64) -> Result<i32, Failed> {
    let id = memory::create_shared(KEY, length)?;
    let last = usize::try_from(length / 8 - 1).map_err(|_| Failed)?;
    let ends = |start: NonNull<u64>| {
        touch(start);
        // SAFETY: the segment has so many words.
        touch(unsafe { start.add(last) });
    };
    // A second mapping, so that the segment stays.
    let kept = memory::obtain_shared(id)?;
    ends(kept);
    let mut first = None;
    rounds.run(|| {
        let start = memory::obtain_shared(id)?;
        ends(start);
        // SAFETY: nothing refers to it.
        unsafe { memory::unmap_shared(KEY) };
        // Either of the two goes, and its place is taken the next time.
        match start == kept {
            true => Ok(()),
            false => same(&mut first, start),
        }
    })
}

/// Wakes the main thread, and is over.
fn be_over(_argc: u64, _argv: u64) {
    if let Ok(pid) = xeneva::get_process_id()
        && let Ok(pid) = i32::try_from(pid)
    {
        // A failure leaves the main thread waiting, which whoever measures notices.
        let _sent = thread::send_signal(pid, SIGNAL);
    }
}

/// Wakes another process's main thread, and waits until it has done the same.
fn wake(rounds: &Rounds<'_, Xeneva>) -> Result<i32, Failed> {
    let id = memory::create_shared(KEY, PAGE)?;
    let own = xeneva::get_process_id()?;
    // SAFETY: the segment is mapped, to be written, and nobody else has it yet.
    unsafe { memory::obtain_shared(id)?.write_volatile(own) };
    let other = start(c"answer")?;
    // It has read who wakes it, and pauses.
    thread::pause();
    rounds.run(|| {
        thread::send_signal(other, SIGNAL)?;
        Ok(thread::pause())
    })
}

/// The other side of [`wake`].
fn answer() -> Result<i32, Failed> {
    let segment = memory::obtain_shared(memory::create_shared(KEY, PAGE)?)?;
    // SAFETY: whoever started this process wrote it there before.
    let other = unsafe { segment.read_volatile() };
    let other = i32::try_from(other).map_err(|_| Failed)?;
    while thread::send_signal(other, SIGNAL).is_ok() {
        thread::pause();
    }
    Ok(0)
}

/// Starts a process that ends at once, and waits for its end.
fn spawn() -> Result<(), Failed> {
    let pid = start(c"end")?;
    xeneva::wait_for_termination(pid)?;
    Ok(())
}

/// Starts this program again, for another operation.
fn start(operation: &CStr) -> Result<i32, Failed> {
    let pid = xeneva::create_process(c"costs")?;
    let arguments = [operation.as_ptr(), ptr::null()];
    xeneva::load_exec(pid, c"/bin/xeneva-costs.exe", &arguments[..1])?;
    Ok(pid)
}

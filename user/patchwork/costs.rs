//! What is measured on PatchworkOS, an operation at a time.
//!
//! Arguments: OPERATION `count` or `time` ROUNDS; see `measure.rs` of the
//! library. With `yield`, `echo` and `answer` it is the other process of a pair.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ffi::CStr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::patchwork::{Errno, nr};
use mayfly_user::measure::{NO_SUCH, Rounds};
use mayfly_user::patchwork;
use mayfly_user::patchwork::files::{self, DIRENT};
use mayfly_user::{Patchwork, Process, System};

mayfly_user::program!(Patchwork, run);
mayfly_user::thread!(yield_entry, yield_for_ever);
mayfly_user::thread!(turn_entry, take_turns);
mayfly_user::thread!(over_entry, be_over);

const PAGE: u64 = 4096;
const MEBIBYTE: u64 = 1 << 20;
/// Longest message through a pipe.
const MESSAGE: usize = 2048;
/// Longest message through a socket.
const PACKET: usize = 4096;
/// What the directory that is read has in it.
const ENTRIES: usize = 16;
/// READ and WRITE (§3), and READ alone.
const READ_WRITE: u64 = 3;
const READ: u64 = 1;
/// What a place in a file is counted from (§5).
const FROM_START: u8 = 0;
/// For ever.
const NEVER: u64 = u64::MAX;
/// Longest path of a socket's file, its end included.
const PATH: usize = 48;
/// This program, as a child.
const ITSELF: &CStr = c"/bin/patchwork-costs";

/// Whose turn it is, or what is over.
static TURN: AtomicU64 = AtomicU64::new(0);

type Result<T> = core::result::Result<T, Option<Errno>>;

fn run(process: &Process<Patchwork>) -> i32 {
    let rounds = Rounds::of(process);
    match perform(&rounds) {
        Ok(status) => status,
        Err(error) => error.map_or(-1, |error| error.code().cast_signed()),
    }
}

fn perform(rounds: &Rounds<'_, Patchwork>) -> Result<i32> {
    match rounds.operation() {
        b"null" => rounds.run(|| Ok(patchwork::getpid())),
        b"getid" => rounds.run(|| Ok(patchwork::gettid())),
        b"clock" => rounds.run(|| Ok(patchwork::uptime())),
        b"read" => {
            let zero = patchwork::open(c"/dev/zero")?;
            rounds.run(|| all(patchwork::read(zero, &mut [0])?, 1))
        }
        b"write" => {
            let null = patchwork::open(c"/dev/null")?;
            rounds.run(|| all(patchwork::write(null, b"x")?, 1))
        }
        b"stat" => rounds.run(|| files::stat(c"/dev/null")),
        b"open" => rounds.run(|| patchwork::close(patchwork::open(c"/dev/null")?)),
        b"file" => file(rounds),
        b"directory" => directory(rounds),
        b"yield-threads" => {
            patchwork::thread_create(yield_entry, 0)?;
            rounds.run(patchwork::yield_now)
        }
        b"yield-processes" => {
            patchwork::spawn(&[ITSELF, c"yield"], 0)?;
            rounds.run(patchwork::yield_now)
        }
        b"pipe-1" => pipe(rounds, 1),
        b"pipe-2048" => pipe(rounds, MESSAGE),
        b"socket-1" => socket(rounds, 1),
        b"socket-4096" => socket(rounds, PACKET),
        b"futex" => futex(rounds),
        b"fault" => fault(rounds),
        b"mmap-4k" => map(rounds, PAGE),
        b"mmap-1m" => map(rounds, MEBIBYTE),
        b"mprotect" => protect(rounds),
        b"shm" => shared(rounds, PAGE),
        b"handover-1m" => shared(rounds, MEBIBYTE),
        b"thread" => rounds.run(|| {
            TURN.store(0, SeqCst);
            patchwork::thread_create(over_entry, 0)?;
            // It may be over before this one waits.
            let _ = patchwork::futex_wait(&TURN, 0, NEVER);
            all(TURN.load(SeqCst), 1)
        }),
        b"spawn" => rounds.run(spawn),
        b"yield" => {
            yield_for_ever(0);
            Ok(0)
        }
        b"echo" => echo(),
        b"answer" => answer(),
        b"end" => Ok(0),
        b"fail" => fail(rounds),
        _ => Ok(NO_SUCH),
    }
}

/// A call moved as much as it was to.
fn all(moved: impl TryInto<usize>, wanted: usize) -> Result<()> {
    match moved.try_into() {
        Ok(moved) if moved == wanted => Ok(()),
        _ => Err(None),
    }
}

/// Goes wrong in its last round, as whoever measures is to notice.
fn fail(rounds: &Rounds<'_, Patchwork>) -> Result<i32> {
    let null = patchwork::open(c"/dev/null")?;
    let mut left = rounds.count();
    rounds.run(|| {
        left -= 1;
        let path = if left == 0 { c"/none" } else { c"/dev/null" };
        patchwork::dup2(null, null)?;
        patchwork::close(patchwork::open(path)?)
    })
}

/// Gives the processor away again and again.
fn yield_for_ever(_: u64) {
    // Nobody ends it; whoever measures makes fewer rounds than this.
    for _ in 0..2_000 {
        let _ = patchwork::yield_now();
    }
}

/// Writes a file from its beginning, and reads it again.
fn file(rounds: &Rounds<'_, Patchwork>) -> Result<i32> {
    let file = patchwork::open(c"/tmp/costs:create")?;
    let mut page = [7; MESSAGE];
    rounds.run(|| {
        files::seek(file, 0, FROM_START)?;
        all(patchwork::write(file, &page)?, MESSAGE)?;
        files::seek(file, 0, FROM_START)?;
        all(patchwork::read(file, &mut page)?, MESSAGE)
    })
}

/// Reads a directory from its beginning, in one call: itself, what it is in, and
/// the rest of [`ENTRIES`].
fn directory(rounds: &Rounds<'_, Patchwork>) -> Result<i32> {
    patchwork::open(c"/tmp/costs:create:directory")?;
    files::chdir(c"/tmp/costs")?;
    for letter in (b'a'..).take(ENTRIES - 2) {
        let name = [letter, b':', b'c', 0];
        patchwork::close(patchwork::open(text(&name)?)?)?;
    }
    let directory = patchwork::open(c"/tmp/costs:directory")?;
    let mut entries = [0; ENTRIES * DIRENT];
    rounds.run(|| {
        files::seek(directory, 0, FROM_START)?;
        all(
            files::entries(directory, &mut entries)?.len(),
            ENTRIES * DIRENT,
        )
    })
}

/// Sends a message to another process, which sends it back.
fn pipe(rounds: &Rounds<'_, Patchwork>, size: usize) -> Result<i32> {
    let [far, near] = patchwork::open2(c"/dev/pipe/new")?;
    let [reader, writer] = patchwork::open2(c"/dev/pipe/new")?;
    let own = patchwork::dup(patchwork::STDOUT)?;
    patchwork::dup2(far, patchwork::STDIN)?;
    patchwork::dup2(writer, patchwork::STDOUT)?;
    patchwork::spawn(&[ITSELF, c"echo"], patchwork::spawn_flags::STDIO_FDS)?;
    patchwork::dup2(own, patchwork::STDOUT)?;
    let mut message = [0; MESSAGE];
    rounds.run(|| {
        all(patchwork::write(near, &message[..size])?, size)?;
        let mut left = size;
        while left > 0 {
            match patchwork::read(reader, &mut message[..left])? {
                0 => return Err(None),
                count => left -= count,
            }
        }
        Ok(())
    })
}

/// The other end: sends back whatever comes.
fn echo() -> Result<i32> {
    let mut message = [0; MESSAGE];
    loop {
        let count = patchwork::read(patchwork::STDIN, &mut message)?;
        if count == 0 {
            return Ok(0);
        }
        patchwork::write(patchwork::STDOUT, &message[..count])?;
    }
}

/// Sends a message to another process through a local socket; it comes back.
fn socket(rounds: &Rounds<'_, Patchwork>, size: usize) -> Result<i32> {
    let mut path = [0; PATH];
    let listener = make_socket(b"bind costs && listen", b"accept", &mut path)?;
    patchwork::spawn(&[ITSELF, c"answer"], 0)?;
    let data = patchwork::open(listener)?;
    let mut message = [0; PACKET];
    rounds.run(|| {
        all(patchwork::write(data, &message[..size])?, size)?;
        all(patchwork::read(data, &mut message[..size])?, size)
    })
}

/// The other end of [`socket`].
fn answer() -> Result<i32> {
    let mut path = [0; PATH];
    let data = patchwork::open(make_socket(b"connect costs", b"data", &mut path)?)?;
    let mut message = [0; PACKET];
    loop {
        let count = patchwork::read(data, &mut message)?;
        if count == 0 {
            return Ok(0);
        }
        patchwork::write(data, &message[..count])?;
    }
}

/// Makes a socket and tells it something; the path of one of its files.
fn make_socket<'path>(
    told: &[u8],
    file: &[u8],
    path: &'path mut [u8; PATH],
) -> Result<&'path CStr> {
    let made = patchwork::open(c"/net/local/seqpacket")?;
    let mut number = [0; 20];
    let count = patchwork::read(made, &mut number)?;
    name(path, &number[..count], b"ctl");
    let control = patchwork::open(text(path)?)?;
    patchwork::write(control, told)?;
    patchwork::close(control)?;
    name(path, &number[..count], file);
    text(path)
}

/// Writes the path of a socket's file.
fn name(path: &mut [u8; PATH], number: &[u8], file: &[u8]) {
    path.fill(0);
    let parts = [b"/net/local/", number, b"/", file];
    let bytes = parts.into_iter().flatten();
    path.iter_mut()
        .zip(bytes)
        .for_each(|(place, byte)| *place = *byte);
}

/// A path that ends in zeros.
fn text(path: &[u8]) -> Result<&CStr> {
    CStr::from_bytes_until_nul(path).map_err(|_| None)
}

/// Wakes a thread, and waits until it has done the same.
fn futex(rounds: &Rounds<'_, Patchwork>) -> Result<i32> {
    patchwork::thread_create(turn_entry, 0)?;
    rounds.run(|| {
        TURN.store(1, SeqCst);
        patchwork::futex_wake(&TURN)?;
        while TURN.load(SeqCst) == 1 {
            // The turn may have come before it waits; else this is for ever.
            let _ = patchwork::futex_wait(&TURN, 1, NEVER);
        }
        Ok(())
    })
}

/// The other side of [`futex`].
fn take_turns(_: u64) {
    loop {
        while TURN.load(SeqCst) == 0 {
            let _ = patchwork::futex_wait(&TURN, 0, NEVER);
        }
        TURN.store(0, SeqCst);
        let _ = patchwork::futex_wake(&TURN);
    }
}

/// Says that a thread is over.
fn be_over(_: u64) {
    TURN.store(1, SeqCst);
    let _ = patchwork::futex_wake(&TURN);
}

/// Touches pages, one after the other.
fn fault(rounds: &Rounds<'_, Patchwork>) -> Result<i32> {
    let zero = patchwork::open(c"/dev/zero")?;
    let start = patchwork::map(zero, (rounds.count() + 1) * PAGE, READ_WRITE)?;
    let mut next = start;
    rounds.run(|| {
        touch(next);
        next += PAGE;
        Ok(())
    })
}

/// Stores a word in mapped memory.
fn touch(address: u64) {
    let place = address as *mut u64;
    // SAFETY: the caller mapped it, to read and to write, for itself alone.
    unsafe { place.write_volatile(1) };
}

fn map(rounds: &Rounds<'_, Patchwork>, length: u64) -> Result<i32> {
    let zero = patchwork::open(c"/dev/zero")?;
    rounds.run(|| {
        let start = patchwork::map(zero, length, READ_WRITE)?;
        // SAFETY: nothing refers to it.
        unsafe { patchwork::unmap(start, length) }
    })
}

/// Takes a page the right to be written, and gives it back.
fn protect(rounds: &Rounds<'_, Patchwork>) -> Result<i32> {
    let zero = patchwork::open(c"/dev/zero")?;
    let start = patchwork::map(zero, PAGE, READ_WRITE)?;
    touch(start);
    rounds.run(|| {
        for prot in [READ, READ_WRITE] {
            // SAFETY: nothing refers to that memory meanwhile.
            done(unsafe { Patchwork::call(nr::MPROTECT, [start, PAGE, prot, 0, 0, 0]) })?;
        }
        Ok(())
    })
}

/// The result of a raw call, unless that is an error.
fn done(result: u64) -> Result<u64> {
    match result {
        u64::MAX => Err(None),
        result => Ok(result),
    }
}

/// Hands shared memory over by its key: shared, claimed, mapped, its first and
/// last word touched, unmapped, closed.
fn shared(rounds: &Rounds<'_, Patchwork>, length: u64) -> Result<i32> {
    let memory = patchwork::open(c"/dev/shmem/new")?;
    let first = patchwork::map(memory, length, READ_WRITE)?;
    touch(first);
    touch(first + length - 8);
    rounds.run(|| {
        let mut key = [0_u64; 2];
        let place = key.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: the key is written, to where it may be.
        done(unsafe { Patchwork::call(nr::SHARE, [place, memory, NEVER, 0, 0, 0]) })?;
        // SAFETY: the call writes nowhere.
        let claimed = done(unsafe { Patchwork::call(nr::CLAIM, [place, 0, 0, 0, 0, 0]) })?;
        let start = patchwork::map(claimed, length, READ_WRITE)?;
        touch(start);
        touch(start + length - 8);
        // SAFETY: nothing refers to it.
        unsafe { patchwork::unmap(start, length) }?;
        patchwork::close(claimed)
    })
}

/// Starts a process that ends at once, and waits for its end: the only other
/// end of the pipe is its standard input.
fn spawn() -> Result<()> {
    let [reader, writer] = patchwork::open2(c"/dev/pipe/new")?;
    let own = patchwork::dup(patchwork::STDIN)?;
    patchwork::dup2(writer, patchwork::STDIN)?;
    patchwork::close(writer)?;
    let started = patchwork::spawn(&[ITSELF, c"end"], patchwork::spawn_flags::STDIO_FDS);
    patchwork::dup2(own, patchwork::STDIN)?;
    patchwork::close(own)?;
    started?;
    patchwork::read(reader, &mut [0])?;
    patchwork::close(reader)?;
    Ok(())
}

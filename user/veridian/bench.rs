//! The five benchmarks of VeridianOS's page, as spec §11.5 defines them (T21).
//!
//! `ITERATIONS`, 100,000 unless said otherwise. Each line is a name, the number
//! of samples, and ticks of the time stamp counter: the least, the median, the
//! 99th percentile, the mean. The first line says how many ticks a microsecond
//! has, measured against the monotonic clock.
//!
//! - `context-switch`: half of two processes' yields to each other.
//! - `small-ipc-8`, `small-ipc-64`: half of a call and its reply between them.
//! - `large-ipc-4096`: a request of 4 KiB, one way, and `memory-token-1m`: one
//!   that hands 1 MiB over by its token.
//! - `memory-allocation`: half of mapping a page and unmapping it.
//! - `capability-validation`, and `null-call`, which is to be taken from it.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::cell::UnsafeCell;

use mayfly_abi::veridian::{SyscallError, UNASSIGNED, clock};
use mayfly_user::veridian::capability::{create, kind, revoke, right, validate};
use mayfly_user::veridian::family::{self, Link};
use mayfly_user::veridian::ipc::{self, MESSAGE_MAX};
use mayfly_user::veridian::memory::{self, PAGE, map, mmap, prot};
use mayfly_user::veridian::thread::FOREVER;
use mayfly_user::{Process, Veridian, say, stub, veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

/// Most samples.
const SAMPLES: usize = 100_000;
const ANONYMOUS: u64 = map::PRIVATE | map::ANONYMOUS | map::POPULATE;
const HANDED_OVER: u64 = 1 << 20;
/// Requests, by their first byte.
const ECHO: u8 = 1;
const STAMP: u8 = 2;
const SPIN: u8 = 3;

/// Samples, in ticks.
struct Samples(UnsafeCell<[u32; SAMPLES]>);

// SAFETY: only `samples` gives access, and this program has one thread.
unsafe impl Sync for Samples {}

static ROOM: Samples = Samples(UnsafeCell::new([0; SAMPLES]));

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    if arguments.get(1) == Some(b"server") {
        let creator = arguments.number(2).unwrap_or(0);
        let served = family::join(creator).and_then(|link| serve(&link));
        return i32::from(served.is_err());
    }
    let count = arguments.number(1).unwrap_or(SAMPLES as u64);
    let count = usize::try_from(count).unwrap_or(SAMPLES).clamp(1, SAMPLES);
    // SAFETY: this is the only reference there is, as `run` is called once.
    let room = unsafe { &mut *ROOM.0.get() };
    match measure(process, &mut room[..count]) {
        Ok(()) => 0,
        Err(error) => {
            say!(process, "a call failed: {error:?}");
            1
        }
    }
}

/// The time stamp counter, once all before it is done.
fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every processor of this architecture has the instruction.
        unsafe { core::arch::x86_64::_mm_lfence() };
        // SAFETY: as above; it changes no memory.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
}

/// Ticks of a microsecond, measured for a hundredth of a second.
fn ticks_a_microsecond() -> Answer<u64> {
    let now = || -> Answer<u64> {
        let time = veridian::clock_get(clock::MONOTONIC)?;
        Ok((time.seconds * 1_000_000_000 + time.nanoseconds).cast_unsigned())
    };
    let (before, begun) = (ticks(), now()?);
    while now()? < begun + 10_000_000 {}
    let (after, ended) = (ticks(), now()?);
    Ok((after - before) * 1000 / (ended - begun))
}

/// Times something as often as there is room, and says how long it took.
fn sample(
    process: &Process<Veridian>,
    name: &str,
    samples: &mut [u32],
    divisor: u64,
    mut once: impl FnMut() -> Answer<Option<u64>>,
) -> Answer<()> {
    for _ in 0..10 {
        once()?;
    }
    for place in samples.iter_mut() {
        let before = ticks();
        let stamp = once()?;
        let after = stamp.unwrap_or_else(ticks);
        let passed = after.saturating_sub(before) / divisor;
        *place = u32::try_from(passed).unwrap_or(u32::MAX);
    }
    samples.sort_unstable();
    let sum: u64 = samples.iter().map(|sample| u64::from(*sample)).sum();
    let count = samples.len();
    let at = |part: usize| samples[(count * part / 100).min(count - 1)];
    let (median, p99, mean) = (at(50), at(99), sum / count as u64);
    say!(
        process,
        "{name} samples {count} min {} median {median} p99 {p99} mean {mean}",
        samples[0],
    );
    Ok(())
}

fn measure(process: &Process<Veridian>, samples: &mut [u32]) -> Answer<()> {
    say!(process, "ticks-per-us {}", ticks_a_microsecond()?);
    let server = family::start(b"server", &[], &[])?;
    let link = &server.link;
    let mut response = [0; MESSAGE_MAX];
    for (name, length) in [("small-ipc-8", 8), ("small-ipc-64", 64)] {
        let request = [ECHO; 64];
        sample(process, name, samples, 2, || {
            link.call(&request[..length], &mut response, FOREVER, 0)?;
            Ok(None)
        })?;
    }
    let mut stamped = |request: &[u8], capability| {
        link.call(request, &mut response, FOREVER, capability)?;
        let stamp = response.first_chunk().unwrap_or(&[0; 8]);
        Ok(Some(u64::from_le_bytes(*stamp)))
    };
    let large = [STAMP; MESSAGE_MAX];
    sample(process, "large-ipc-4096", samples, 1, || stamped(&large, 0))?;
    let rights = right::READ | right::WRITE | right::MODIFY | right::GRANT | right::REVOKE;
    let space = veridian::start_info().space_token;
    let object = create(kind::MEMORY, HANDED_OVER, rights, space)?;
    sample(process, "memory-token-1m", samples, 1, || {
        stamped(&[STAMP; 8], object)
    })?;
    let token = veridian::console();
    sample(process, "memory-allocation", samples, 2, || {
        let place = mmap(0, PAGE, prot::READ | prot::WRITE, ANONYMOUS, None, 0)?;
        // SAFETY: nothing refers to the page.
        unsafe { memory::munmap(place, PAGE) }?;
        Ok(None)
    })?;
    sample(process, "capability-validation", samples, 1, || {
        validate(token, right::READ)?;
        Ok(None)
    })?;
    sample(process, "null-call", samples, 1, || {
        // SAFETY: there is no such call.
        unsafe { stub::number_in_rax(UNASSIGNED, [0; 6]) };
        Ok(None)
    })?;
    // The server yields from now on, and nobody else runs.
    link.call(&[SPIN], &mut response, FOREVER, 0)?;
    sample(process, "context-switch", samples, 2, || {
        veridian::yield_now()?;
        Ok(None)
    })?;
    link.tell(0)?;
    let ended = server.wait()?;
    match ended.exit_code {
        0 => Ok(()),
        _ => Err(None),
    }
}

/// Answers requests; yields once it is told to, until there is a message.
fn serve(link: &Link) -> Answer<()> {
    let mut buffer = [0; MESSAGE_MAX];
    loop {
        let told = link.receive(&mut buffer, FOREVER)?;
        let stamp = ticks();
        let length = usize::try_from(told.message_len).unwrap_or(0);
        match buffer[0] {
            STAMP => {
                ipc::reply(told.reply_token, &stamp.to_le_bytes(), 0)?;
                if told.capability != 0 {
                    revoke(told.capability)?;
                }
            }
            SPIN => {
                ipc::reply(told.reply_token, &[], 0)?;
                return spin(link);
            }
            _ => {
                ipc::reply(told.reply_token, &buffer[..length], 0)?;
            }
        }
    }
}

/// Yields until the creator says that it is enough.
fn spin(link: &Link) -> Answer<()> {
    let mut turns = 0_u64;
    loop {
        veridian::yield_now()?;
        turns += 1;
        // A look now and then: it is not what is measured.
        if turns.is_multiple_of(1024) && link.receive(&mut [0; 8], 0).is_ok() {
            return Ok(());
        }
    }
}

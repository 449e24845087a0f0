//! What is measured on VeridianOS, an operation at a time.
//!
//! Arguments: OPERATION `count` or `time` ROUNDS; see `measure.rs` of the
//! library. With `yield` and `serve` it is the other process of a pair.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::veridian::{IpcCallResult, IpcReceiveResult, SyscallError, clock};
use mayfly_user::measure::{NO_SUCH, Rounds};
use mayfly_user::veridian::capability::{self, kind, right};
use mayfly_user::veridian::family::decimal;
use mayfly_user::veridian::image::this_program;
use mayfly_user::veridian::ipc::{self, MESSAGE_MAX, Request};
use mayfly_user::veridian::memory::{mmap, mprotect, munmap};
use mayfly_user::veridian::thread::{self, FOREVER, Stack};
use mayfly_user::veridian::{self, process};
use mayfly_user::{Process, System, Veridian};

mayfly_user::program!(Veridian, run);

const PAGE: u64 = 4096;
const MEBIBYTE: u64 = 1 << 20;
/// Protections and flags of mappings (§8).
const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const PRIVATE: u64 = 1;
const SHARED: u64 = 2;
const ANONYMOUS: u64 = 4;
const POPULATE: u64 = 16;

static STACK: Stack = Stack::new();

type Result<T> = core::result::Result<T, Option<SyscallError>>;

fn run(process: &Process<Veridian>) -> i32 {
    let rounds = Rounds::of(process);
    match perform(&rounds) {
        Ok(status) => status,
        Err(error) => error.map_or(-1, |error| error.code().cast_signed()),
    }
}

fn perform(rounds: &Rounds<'_, Veridian>) -> Result<i32> {
    match rounds.operation() {
        // SAFETY: the call has no effect.
        b"null" => rounds.run(|| Ok(unsafe { Veridian::call(Veridian::NULL, [0; 6]) })),
        b"clock" => rounds.run(|| veridian::clock_get(clock::MONOTONIC)),
        b"yield-threads" => {
            // SAFETY: only this thread runs on it.
            unsafe { thread::create(yield_for_ever, &STACK, 0) }?;
            rounds.run(veridian::yield_now)
        }
        b"yield-processes" => {
            process::start(process::create(this_program(), &[b"costs", b"yield"], &[])?)?;
            rounds.run(veridian::yield_now)
        }
        b"send-8" => one_way(rounds, 8, false),
        b"send-4096" => one_way(rounds, MESSAGE_MAX, false),
        b"transfer" => one_way(rounds, 8, true),
        b"call-threads" => calls(rounds, 8, true),
        b"call-8" => calls(rounds, 8, false),
        b"call-64" => calls(rounds, 64, false),
        b"call-4096" => calls(rounds, MESSAGE_MAX, false),
        b"fault" => fault(rounds),
        b"mmap-4k" => anonymous(rounds, PAGE, 0),
        b"mmap-1m" => anonymous(rounds, MEBIBYTE, 0),
        b"mmap-page" => anonymous(rounds, PAGE, POPULATE),
        b"mprotect" => protect(rounds),
        b"shm" => shared(rounds, PAGE),
        b"handover-1m" => shared(rounds, MEBIBYTE),
        b"validate" => {
            let token = ipc::endpoint_create()?.capability;
            rounds.run(|| capability::validate(token, right::READ))
        }
        b"derive-revoke" => {
            let token = ipc::endpoint_create()?.capability;
            let rights = right::READ | right::REVOKE;
            rounds.run(|| capability::revoke(capability::derive(token, rights)?))
        }
        b"thread" => rounds.run(|| {
            // SAFETY: the last thread on it has been joined.
            let id = unsafe { thread::create(end, &STACK, 0) }?;
            thread::join(id, FOREVER)
        }),
        b"spawn" => spawn(rounds, this_program()),
        b"spawn-small" => spawn(rounds, &small()),
        b"yield" => yield_for_ever(0),
        b"serve" => serve(rounds),
        b"end" => Ok(0),
        _ => Ok(NO_SUCH),
    }
}

/// Gives the processor away again and again.
extern "sysv64" fn yield_for_ever(_: u64) -> ! {
    // Nobody ends it; whoever measures makes fewer rounds than this.
    for _ in 0..2_000 {
        let _ = veridian::yield_now();
    }
    veridian::exit(0)
}

extern "sysv64" fn end(_: u64) -> ! {
    thread::exit(0)
}

/// Sends a message to an endpoint of its own, and receives it.
fn one_way(rounds: &Rounds<'_, Veridian>, size: usize, passes: bool) -> Result<i32> {
    let [one, other] = [ipc::endpoint_create()?, ipc::endpoint_create()?];
    let ids = [one.endpoint_id, other.endpoint_id];
    let channel = ipc::channel_create(ids, [one.capability, other.capability])?;
    let given = if passes { one.capability } else { 0 };
    let mut message = [0; MESSAGE_MAX];
    rounds.run(|| {
        ipc::send(channel, &message[..size], given, one.capability)?;
        let mut told = IpcReceiveResult::default();
        let (endpoint, token) = (other.endpoint_id, other.capability);
        ipc::receive(endpoint, &mut message, 0, token, &mut told)?;
        all(told.message_len, size)?;
        match passes {
            true => capability::revoke(told.capability),
            false => Ok(()),
        }
    })
}

/// A message has the length that it was sent with.
fn all(length: impl TryInto<usize>, wanted: usize) -> Result<()> {
    match length.try_into() {
        Ok(length) if length == wanted => Ok(()),
        _ => Err(None),
    }
}

/// Calls a server, a thread of this process or another process.
fn calls(rounds: &Rounds<'_, Veridian>, size: usize, in_thread: bool) -> Result<i32> {
    let [client, server] = [ipc::endpoint_create()?, ipc::endpoint_create()?];
    let ids = [client.endpoint_id, server.endpoint_id];
    let channel = ipc::channel_create(ids, [client.capability, server.capability])?;
    if in_thread {
        TOKENS[0].store(server.endpoint_id, SeqCst);
        TOKENS[1].store(server.capability, SeqCst);
        // SAFETY: only this thread runs on it.
        unsafe { thread::create(serve_thread, &STACK, 0) }?;
    } else {
        let mut digits = [b'0'; 20];
        let endpoint = decimal(server.endpoint_id, &mut digits);
        let arguments = [b"costs", &b"serve"[..], b"", endpoint];
        let id = process::create(this_program(), &arguments, &[server.capability])?;
        process::start(id)?;
    }
    let mut buffer = [0; MESSAGE_MAX];
    let message = [1; MESSAGE_MAX];
    rounds.run(|| {
        let request = Request {
            channel,
            token: client.capability,
            message: &message[..size],
            capability: 0,
            timeout: FOREVER,
        };
        ipc::request(&request, &mut buffer, &mut IpcCallResult::default())
    })
}

/// Id and token of the endpoint that a thread serves.
static TOKENS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

extern "sysv64" fn serve_thread(_: u64) -> ! {
    answer(TOKENS[0].load(SeqCst), TOKENS[1].load(SeqCst))
}

/// Serves the endpoint whose id is the third argument, with the granted token.
fn serve(rounds: &Rounds<'_, Veridian>) -> Result<i32> {
    let token = veridian::granted().first().copied().unwrap_or(0);
    answer(rounds.count(), token)
}

/// Sends back whatever is asked, until the endpoint is gone.
fn answer(endpoint: u64, token: u64) -> ! {
    let mut message = [0; MESSAGE_MAX];
    loop {
        let mut told = IpcReceiveResult::default();
        if ipc::receive(endpoint, &mut message, FOREVER, token, &mut told).is_err() {
            veridian::exit(0);
        }
        let length = usize::try_from(told.message_len).unwrap_or(0);
        let response = message.get(..length).unwrap_or(&[]);
        let _ = ipc::reply(told.reply_token, response, 0);
    }
}

fn map(length: u64, flags: u64, token: u64) -> Result<u64> {
    mmap(0, length, READ_WRITE, flags, Some(token), 0)
}

fn unmap(start: u64, length: u64) -> Result<()> {
    // SAFETY: nothing refers to it.
    unsafe { munmap(start, length) }
}

/// Stores a word in mapped memory.
fn touch(address: u64) {
    let place = address as *mut u64;
    // SAFETY: the caller mapped it, to read and to write, for itself alone.
    unsafe { place.write_volatile(1) };
}

/// Touches pages, one after the other.
fn fault(rounds: &Rounds<'_, Veridian>) -> Result<i32> {
    let mut next = map((rounds.count() + 1) * PAGE, PRIVATE | ANONYMOUS, 0)?;
    rounds.run(|| {
        touch(next);
        next += PAGE;
        Ok(())
    })
}

/// A child is made, started, and collected.
fn spawn(rounds: &Rounds<'_, Veridian>, image: &[u8]) -> Result<i32> {
    rounds.run(|| {
        let id = process::create(image, &[b"costs", b"end"], &[])?;
        process::start(id)?;
        process::wait(id, FOREVER)
    })
}

/// An executable that does nothing but end: an ELF header, a program header,
/// and `mov eax, 1; xor edi, edi; syscall`.
fn small() -> [u8; 129] {
    const CODE: [u8; 9] = [0xb8, 1, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
    const BASE: u64 = 0x40_0000;
    let mut file = [0; 129];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    // An executable for x86_64, version 1.
    put(16, &[2, 0, 62, 0, 1]);
    put(24, &(BASE + 120).to_le_bytes());
    // The program header follows; sizes of headers, and one of them.
    put(32, &[64]);
    put(52, &[64, 0, 56, 0, 1, 0, 64]);
    // To be loaded, read and executed: all of the file.
    put(64, &[1, 0, 0, 0, 5]);
    put(80, &BASE.to_le_bytes());
    put(88, &BASE.to_le_bytes());
    put(96, &[129]);
    put(104, &[129]);
    put(112, &4096_u64.to_le_bytes());
    put(120, &CODE);
    file
}

fn anonymous(rounds: &Rounds<'_, Veridian>, length: u64, also: u64) -> Result<i32> {
    rounds.run(|| unmap(map(length, PRIVATE | ANONYMOUS | also, 0)?, length))
}

/// Takes a page the right to be written, and gives it back.
fn protect(rounds: &Rounds<'_, Veridian>) -> Result<i32> {
    let start = map(PAGE, PRIVATE | ANONYMOUS, 0)?;
    touch(start);
    rounds.run(|| {
        for prot in [READ, READ_WRITE] {
            // SAFETY: nothing refers to that memory meanwhile.
            unsafe { mprotect(start, PAGE, prot) }?;
        }
        Ok(())
    })
}

/// Hands memory over by its token: sent, received, mapped, its first and last
/// word touched, unmapped, the token given up.
fn shared(rounds: &Rounds<'_, Veridian>, length: u64) -> Result<i32> {
    let space = veridian::start_info().space_token;
    let rights = right::READ | right::WRITE | right::MODIFY | right::GRANT | right::REVOKE;
    let memory = capability::create(kind::MEMORY, length, rights, space)?;
    let first = map(length, SHARED, memory)?;
    touch(first);
    touch(first + length - 8);
    let [one, other] = [ipc::endpoint_create()?, ipc::endpoint_create()?];
    let ids = [one.endpoint_id, other.endpoint_id];
    let channel = ipc::channel_create(ids, [one.capability, other.capability])?;
    rounds.run(|| {
        ipc::send(channel, b"here", memory, one.capability)?;
        let mut told = IpcReceiveResult::default();
        let (endpoint, token) = (other.endpoint_id, other.capability);
        ipc::receive(endpoint, &mut [0; 8], 0, token, &mut told)?;
        let start = map(length, SHARED, told.capability)?;
        touch(start);
        touch(start + length - 8);
        unmap(start, length)?;
        capability::revoke(told.capability)
    })
}

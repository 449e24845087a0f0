//! What many processes of VeridianOS may have together.
//!
//! - `threads`: processes of 255 threads until the kernel has no memory for one
//!   more thread, or one more endpoint.
//! - `processes N`: children that are not started, until the table of N is full,
//!   or for 0 until memory is.
//! - `mesh`: a process connects its endpoints with each other until it has all
//!   channels that it may have; another one is not held up.
//! - `channels`: processes of many endpoints that are all connected with one.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{SyscallError, nr};
use mayfly_user::check::Checks;
use mayfly_user::veridian::family::{self, Child, GRANTS, Link};
use mayfly_user::veridian::image::this_program;
use mayfly_user::veridian::thread::{FOREVER, STACK_SIZE, Stack};
use mayfly_user::veridian::{ipc, process};
use mayfly_user::{Process, System, Veridian, stub, veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

/// As long as nobody looks whether a silent child lives.
const SECOND: u64 = 1_000_000_000;
/// The error of a thread, and of an endpoint, that there is no memory for.
const NO_MEMORY: u64 = SyscallError::OutOfMemory.code() as u64;
/// Exit code of a child that has no memory for its message.
const UNTOLD: i32 = 91;
/// Most children.
const CHILDREN: usize = 64;
/// Channels of an endpoint.
const CHANNELS: u64 = 1024;

/// Threads that all wait and never use it.
static STACK: Stack = Stack::new();

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let what = arguments.get(1).unwrap_or(b"");
    if let (b"child", Some(creator)) = (arguments.get(0).unwrap_or(b""), arguments.number(2)) {
        return match family::join(creator) {
            Ok(link) => child(what, &link, creator),
            Err(_) => 90,
        };
    }
    if what == b"pair" {
        return if pair().is_ok() { 7 } else { 1 };
    }
    let mut checks = Checks::new(process, "limits");
    match what {
        b"threads" => threads(&mut checks),
        b"channels" => channels(&mut checks),
        b"mesh" => mesh(&mut checks),
        b"processes" => processes(&mut checks, arguments.number(2).unwrap_or(0)),
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    checks.finish()
}

/// Makes what is asked for, tells how much there is, and stays.
fn child(what: &[u8], link: &Link, creator: u64) -> i32 {
    let mut made = 0_u64;
    let refused = loop {
        let one_more = match what {
            b"threads" => thread(),
            _ => channel(creator),
        };
        match one_more {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    let endpoint = ipc::endpoint_create().err();
    let code = |error: Option<Option<SyscallError>>| error.flatten().map_or(0, SyscallError::code);
    let words = [made, code(Some(refused)).into(), code(endpoint).into()];
    let mut message = [0; 24];
    for (place, word) in message.as_chunks_mut().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    match link.call(&message, &mut [], FOREVER, 0) {
        // It would have told of the same.
        Err(Some(SyscallError::OutOfMemory)) if words[1..] == [NO_MEMORY; 2] => UNTOLD,
        _ => 0,
    }
}

/// One more thread, which waits without a stack.
fn thread() -> Answer<u64> {
    let words = [wait_entry(), STACK.base(), STACK_SIZE as u64, 0, 0, 0];
    // SAFETY: the call makes a thread that uses no memory.
    let word = unsafe { stub::number_in_rax(nr::THREAD_CREATE, words) };
    match Veridian::error(word) {
        0 => Ok(word),
        code => Err(SyscallError::from_code(code)),
    }
}

/// Waits for the main thread, which does not end before the process.
#[cfg(target_os = "none")]
#[unsafe(naked)]
unsafe extern "sysv64" fn wait() -> ! {
    core::arch::naked_asm!(
        "2:",
        "mov eax, {nanosleep}",
        "lea rdi, [rip + {long}]",
        "syscall",
        "jmp 2b",
        nanosleep = const nr::NANOSLEEP,
        long = sym LONG,
    )
}

#[cfg(target_os = "none")]
static LONG: mayfly_abi::veridian::Timespec = mayfly_abi::veridian::Timespec {
    seconds: 1 << 40,
    nanoseconds: 0,
};

fn wait_entry() -> u64 {
    #[cfg(target_os = "none")]
    {
        (wait as *const ()).expose_provenance() as u64
    }
    #[cfg(not(target_os = "none"))]
    0
}

/// One more endpoint, connected with the creator's.
fn channel(creator: u64) -> Answer<u64> {
    let made = ipc::endpoint_create()?;
    let theirs = veridian::granted()[GRANTS - 1];
    ipc::channel_create([made.endpoint_id, creator], [made.capability, theirs])
}

/// What a child told; it waits for the reply to end. `OutOfMemory` when that was
/// all that it had to tell, and there was none for the message either.
fn hear(child: &Child) -> Answer<([u64; 3], u64)> {
    let mut message = [0; 24];
    let timeout = Some(SyscallError::Timeout);
    let told = loop {
        match child.link.receive(&mut message, SECOND) {
            Err(error) if error == timeout => {}
            told => break told?,
        }
        match process::wait(child.process, 0) {
            Ok(info) if info.exit_code == UNTOLD => {
                return Err(Some(SyscallError::OutOfMemory));
            }
            Ok(_) => return Err(None),
            Err(error) if error == timeout => {}
            Err(error) => return Err(error),
        }
    };
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(message.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Ok((words, told.reply_token))
}

/// Lets children end.
fn end(checks: &mut Checks<'_, Veridian>, children: &[(Child, u64)]) {
    for (child, reply) in children {
        let ended = ipc::reply(*reply, &[], 0).and_then(|_| child.wait());
        checks.holds(format_args!("{ended:?}"), ended.is_ok());
    }
}

fn threads(checks: &mut Checks<'_, Veridian>) {
    let full = u64::from(SyscallError::ResourceExhausted.code());
    let mut children = [(Child::default(), 0); CHILDREN];
    let mut count = 0;
    for place in &mut children {
        let Ok(child) = family::start(b"threads", &[], &[]) else {
            break;
        };
        let ([made, refused, endpoint], reply) = match hear(&child) {
            Ok(told) => told,
            Err(Some(SyscallError::OutOfMemory)) => return end(checks, &children[..count]),
            Err(_) => break,
        };
        *place = (child, reply);
        count += 1;
        if refused == NO_MEMORY {
            checks.equal(format_args!("an endpoint"), endpoint, NO_MEMORY);
            return end(checks, &children[..count]);
        }
        checks.equal(format_args!("child {count}: {made} threads"), refused, full);
    }
    checks.holds(format_args!("{count} children: memory is out"), false);
}

fn channels(checks: &mut Checks<'_, Veridian>) {
    let full = u64::from(SyscallError::ResourceExhausted.code());
    let mut children = [(Child::default(), 0); 4];
    let mut sum = 0;
    for place in &mut children {
        let Ok(child) = family::start(b"channels", &[], &[]) else {
            return checks.holds(format_args!("a child"), false);
        };
        let Ok(([made, refused, _], reply)) = hear(&child) else {
            return checks.holds(format_args!("its message"), false);
        };
        // Its link is one more.
        sum += made + 1;
        checks.equal(format_args!("{sum} channels"), refused, full);
        *place = (child, reply);
    }
    checks.equal(format_args!("channels"), sum, CHANNELS);
    let info = veridian::start_info();
    let more = ipc::endpoint_create().and_then(|other| {
        let ends = [info.endpoint_id, other.endpoint_id];
        ipc::channel_create(ends, [info.endpoint_token, other.capability])
    });
    let exhausted = Err(Some(SyscallError::ResourceExhausted));
    checks.holds(format_args!("one more: {more:?}"), more == exhausted);
    end(checks, &children);
}

/// Endpoints of a mesh, and the channels that it gets to.
const CORNERS: usize = 70;
const MESH: u64 = 2048;

fn mesh(checks: &mut Checks<'_, Veridian>) {
    let mut corners = [(0, 0); CORNERS];
    let (mut made, mut refused) = (0, None);
    'all: for at in 0..CORNERS {
        let Ok(new) = ipc::endpoint_create() else {
            return checks.holds(format_args!("endpoint {at}"), false);
        };
        corners[at] = (new.endpoint_id, new.capability);
        for (id, token) in &corners[..at] {
            let ends = [new.endpoint_id, *id];
            match ipc::channel_create(ends, [new.capability, *token]) {
                Ok(_) => made += 1,
                Err(error) => {
                    refused = error;
                    break 'all;
                }
            }
        }
    }
    checks.equal(format_args!("channels of one process"), made, MESH);
    let full = refused == Some(SyscallError::ResourceExhausted);
    checks.holds(format_args!("one more: {refused:?}"), full);
    // A child of the same program, with channels of its own.
    let end = process::create(this_program(), &[b"x", b"pair"], &[]);
    let ended = end.and_then(|id| process::start(id).and_then(|()| process::wait(id, FOREVER)));
    let code = ended.map(|ended| ended.exit_code);
    checks.holds(format_args!("another process: {code:?}"), code == Ok(7));
}

/// Connects two endpoints of this process.
fn pair() -> Answer<()> {
    let [one, other] = [ipc::endpoint_create()?, ipc::endpoint_create()?];
    let ends = [one.endpoint_id, other.endpoint_id];
    ipc::channel_create(ends, [one.capability, other.capability]).map(|_| ())
}

/// Bytes of the smallest image that loads: a page of headers, and two of code.
const IMAGE: usize = 4096 + 2;

/// An image of a program that faults.
fn smallest() -> [u8; IMAGE] {
    const START: u64 = 0x40_0000;
    let mut image = [0; IMAGE];
    image[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    image[16..20].copy_from_slice(&[2, 0, 62, 0]);
    image[20] = 1;
    image[24..32].copy_from_slice(&START.to_le_bytes());
    for (at, byte) in [(32, 64), (52, 64), (54, 56), (56, 1)] {
        image[at] = byte;
    }
    // One segment that is read and executed.
    let words = [5 << 32 | 1, 4096, START, START, 2, 2, 4096];
    for (place, word) in image[64..].as_chunks_mut().0.iter_mut().zip(words) {
        *place = u64::to_le_bytes(word);
    }
    image[4096..].copy_from_slice(&[0x0f, 0x0b]);
    image
}

fn processes(checks: &mut Checks<'_, Veridian>, most: u64) {
    let image = smallest();
    let mut made = 0;
    let refused = loop {
        match process::create(&image, &[], &[]) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    let wanted = match most {
        0 => SyscallError::OutOfMemory,
        _ => SyscallError::ResourceExhausted,
    };
    checks.holds(
        format_args!("{made} made: {refused:?}"),
        refused == Some(wanted) && (most == 0 || made == most),
    );
}

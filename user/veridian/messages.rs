//! Messages of VeridianOS between two processes (T11, T12, T13, T15).
//!
//! Purpose: what goes from one address space to another (spec §6). The parent
//! sends and calls, its child receives and replies. The first argument says
//! what is done:
//!
//! - `sizes`: messages of every size arrive as they were sent.
//! - `queue`: 64 are queued, in order, and not one more.
//! - `calls`: replies, timeouts, late replies, tokens that are used or another's.
//! - `small`: a buffer that is too small keeps the message.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{IpcReceiveResult, SyscallError, nr};
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::{derive, right};
use mayfly_user::veridian::family::{self, Child, Link};
use mayfly_user::veridian::ipc::{self, MESSAGE_MAX};
use mayfly_user::veridian::thread::FOREVER;
use mayfly_user::{Process, System, Veridian, stub, veridian};

mayfly_user::program!(Veridian, run);

const SIZES: [usize; 10] = [0, 1, 8, 63, 64, 65, 100, 1000, 4095, 4096];
/// Messages that a queue holds.
const QUEUE: u64 = 64;
/// Nanoseconds that a machine needs to let the child receive, and those that the
/// busiest needs.
const WHILE: u64 = 10_000_000;
const LONG: u64 = 20_000_000_000;
/// What the child does with a request, by its first byte.
const ECHO: u8 = 1;
const TWICE: u8 = 2;
const KEEP: u8 = 3;
const SETTLE: u8 = 4;
const FINISH: u8 = 5;
const REFUSE: u8 = 6;

fn run(process: &Process<Veridian>) -> i32 {
    let mut checks = Checks::new(process, "messages");
    let what = process.arguments().get(1).unwrap_or(b"");
    if let Some(creator) = process.arguments().number(2) {
        return match family::join(creator) {
            Ok(link) => {
                child(&mut checks, what, &link);
                let more = code(link.receive(&mut [], 0));
                let none = SyscallError::Timeout.code();
                checks.error(format_args!("nothing more"), more, none);
                // Its creator says that all is well.
                checks.status()
            }
            Err(_) => 90,
        };
    }
    match family::start(what, &[], &[]) {
        Ok(child) => parent(&mut checks, what, &child),
        Err(error) => checks.holds(format_args!("a child: {error:?}"), false),
    }
    checks.finish()
}

fn code<T>(result: Result<T, Option<SyscallError>>) -> u32 {
    match result {
        Ok(_) => 0,
        Err(error) => error.map_or(u32::MAX, SyscallError::code),
    }
}

/// The bytes of a message of a length.
fn fill(message: &mut [u8]) {
    let length = message.len();
    for (at, byte) in message.iter_mut().enumerate() {
        *byte = (at * 7 + length).to_le_bytes()[0];
    }
}

fn parent(checks: &mut Checks<'_, Veridian>, what: &[u8], child: &Child) {
    let link = &child.link;
    // It does not receive until it is told to.
    let ready = match what {
        b"queue" | b"small" => link.hear().map_or(0, |(_, told)| told.reply_token),
        _ => 0,
    };
    match what {
        b"sizes" => {
            let mut message = [0; MESSAGE_MAX + 1];
            for length in SIZES {
                fill(&mut message[..length]);
                let sent = code(link.send(&message[..length], 0));
                checks.error(format_args!("a message of {length}"), sent, 0);
            }
            let long = code(link.send(&message, 0));
            checks.error(
                format_args!("too long"),
                long,
                SyscallError::InvalidParameter.code(),
            );
        }
        b"queue" => {
            for number in 0..QUEUE {
                let sent = code(link.tell(number));
                checks.error(format_args!("message {number}"), sent, 0);
            }
            let full = code(link.tell(QUEUE));
            let busy = SyscallError::Busy.code();
            checks.error(format_args!("one more"), full, busy);
            let mut response = [0; 8];
            let called = code(link.call(b"x", &mut response, FOREVER, 0));
            checks.error(format_args!("a call"), called, busy);
        }
        b"calls" => calls(checks, link),
        b"small" => {
            for length in [100, 8, 4096] {
                let mut message = [0; MESSAGE_MAX];
                fill(&mut message[..length]);
                let sent = code(link.send(&message[..length], 0));
                checks.error(format_args!("a message of {length}"), sent, 0);
            }
        }
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    if ready != 0 {
        let told = code(ipc::reply(ready, &[], 0));
        checks.error(format_args!("the signal to begin"), told, 0);
    }
    let ended = child.wait().map(|ended| ended.exit_code);
    checks.holds(format_args!("the child: {ended:?}"), ended == Ok(0));
}

/// The client's side of T13.
fn calls(checks: &mut Checks<'_, Veridian>, link: &Link) {
    let mut response = [0; MESSAGE_MAX];
    for length in SIZES.into_iter().skip(1) {
        let mut message = [0; MESSAGE_MAX];
        fill(&mut message[..length]);
        message[0] = ECHO;
        response.fill(0);
        let told = link.call(&message[..length], &mut response, FOREVER, 0);
        let same = told.is_ok_and(|told| told.response_len == length as u64)
            && response[..length] == message[..length];
        checks.holds(format_args!("an echo of {length}: {told:?}"), same);
    }
    let timeout = SyscallError::Timeout.code();
    let poll = code(link.call(&[ECHO], &mut response, 0, 0));
    checks.error(format_args!("a call without time"), poll, timeout);
    let refused = code(link.call(&[REFUSE], &mut response, FOREVER, 0));
    checks.error(format_args!("a reply after others"), refused, 0);
    let twice = code(link.call(&[TWICE], &mut response, FOREVER, 0));
    checks.error(format_args!("a reply that comes twice"), twice, 0);
    let token = kept(checks, link);
    checks.holds(format_args!("{token:#x}"), token != 0 && token >> 63 == 0);
    let small = code(link.call(&[ECHO; 65], &mut response[..64], FOREVER, 0));
    checks.error(
        format_args!("a reply that does not fit"),
        small,
        SyscallError::BufferTooSmall.code(),
    );
    // The child owes a reply still, by a token that is the child's alone.
    let foreign = code(ipc::reply(token, b"mine", 0));
    let none = SyscallError::InvalidCapability.code();
    checks.error(format_args!("another's reply token"), foreign, none);
    let told = link.call(&[FINISH], &mut response, FOREVER, 0);
    checks.error(format_args!("the end"), code(told), 0);
}

/// The token of a call whose reply does not come in time. The child tells it,
/// once it has received such a call before its time was over.
fn kept(checks: &mut Checks<'_, Veridian>, link: &Link) -> u64 {
    let mut limit = WHILE;
    loop {
        let late = code(link.call(&[KEEP], &mut [], limit, 0));
        let timeout = SyscallError::Timeout.code();
        checks.error(format_args!("a reply that does not come"), late, timeout);
        let mut token = [0; 8];
        let told = link.call(&[SETTLE], &mut token, FOREVER, 0);
        checks.error(format_args!("the token"), code(told), 0);
        if token != [0; 8] || limit > LONG {
            return u64::from_le_bytes(token);
        }
        limit *= 2;
    }
}

fn child(checks: &mut Checks<'_, Veridian>, what: &[u8], link: &Link) {
    let mut buffer = [0; MESSAGE_MAX];
    let mut wanted = [0; MESSAGE_MAX];
    if matches!(what, b"queue" | b"small") {
        let began = code(link.call(b"ready", &mut [], FOREVER, 0));
        checks.error(format_args!("the signal to begin"), began, 0);
    }
    match what {
        b"sizes" => {
            for length in SIZES {
                let told = link.receive(&mut buffer, FOREVER);
                fill(&mut wanted[..length]);
                let fine = told.is_ok_and(|told| is_plain(&told, length));
                let same = buffer[..length] == wanted[..length];
                checks.holds(format_args!("{length}: {told:?}"), fine && same);
            }
        }
        b"queue" => {
            for number in 0..QUEUE {
                let heard = link.hear().map(|(number, _)| number);
                checks.holds(format_args!("{heard:?}, not {number}"), heard == Ok(number));
            }
        }
        b"calls" => serve(checks, link),
        _ => small(checks, link),
    }
}

/// A message from the creator, with nothing but its bytes.
fn is_plain(told: &IpcReceiveResult, length: usize) -> bool {
    let sender = veridian::start_info().parent_id;
    let wanted = IpcReceiveResult {
        sender,
        message_len: length as u64,
        capability: 0,
        reply_token: 0,
    };
    *told == wanted
}

/// T15.
fn small(checks: &mut Checks<'_, Veridian>, link: &Link) {
    let mut buffer = [0x55; MESSAGE_MAX];
    let mut wanted = [0; MESSAGE_MAX];
    for length in [100, 8, 4096] {
        for room in [0, 1, length - 1] {
            let mut told = IpcReceiveResult::default();
            let room_for = &mut buffer[..room];
            let refused = ipc::receive(link.endpoint, room_for, FOREVER, link.token, &mut told);
            let error = SyscallError::BufferTooSmall.code();
            checks.error(format_args!("{length} in {room}"), code(refused), error);
            checks.holds(format_args!("{told:?}"), is_plain(&told, length));
        }
        let told = link.receive(&mut buffer, 0);
        fill(&mut wanted[..length]);
        let fine = told.is_ok_and(|told| is_plain(&told, length));
        let same = buffer[..length] == wanted[..length];
        checks.holds(format_args!("{length} after all: {told:?}"), fine && same);
    }
}

/// The server's side of T13.
fn serve(checks: &mut Checks<'_, Veridian>, link: &Link) {
    let mut buffer = [0; MESSAGE_MAX];
    let mut kept = 0;
    let used = SyscallError::InvalidCapability.code();
    loop {
        let Ok(told) = link.receive(&mut buffer, FOREVER) else {
            return checks.holds(format_args!("a request"), false);
        };
        let length = usize::try_from(told.message_len).unwrap_or(0);
        let message = buffer.get(..length).unwrap_or(&[]);
        match message.first().copied().unwrap_or(0) {
            KEEP => kept = told.reply_token,
            SETTLE => {
                let told = code(ipc::reply(told.reply_token, &kept.to_le_bytes(), 0));
                checks.error(format_args!("the kept token"), told, 0);
            }
            FINISH => {
                let late = code(ipc::reply(kept, b"late", 0));
                let gone = SyscallError::NotFound.code();
                checks.error(format_args!("a late reply"), late, gone);
                let again = code(ipc::reply(kept, b"late", 0));
                checks.error(format_args!("and again"), again, used);
                let told = code(ipc::reply(told.reply_token, &[], 0));
                checks.error(format_args!("the last"), told, 0);
                return;
            }
            first => {
                if first == REFUSE {
                    refuse(checks, told.reply_token);
                }
                let replied = code(ipc::reply(told.reply_token, message, 0));
                checks.error(format_args!("a reply"), replied, 0);
                if first == TWICE {
                    let again = code(ipc::reply(told.reply_token, message, 0));
                    checks.error(format_args!("the same again"), again, used);
                }
            }
        }
    }
}

/// Replies that cannot be, in the order of the checks: the token stays good.
fn refuse(checks: &mut Checks<'_, Veridian>, token: u64) {
    /// Where nothing is.
    const NOWHERE: u64 = 0x1234_5678_9000;
    let console = veridian::console();
    let kept = derive(console, right::WRITE).unwrap_or(0);
    let long = MESSAGE_MAX as u64 + 1;
    for (token, length, capability, error) in [
        (0, long, 99, SyscallError::InvalidParameter),
        (token + (1 << 16), 8, kept, SyscallError::InvalidCapability),
        (console, 8, 0, SyscallError::InvalidCapability),
        (token, 8, 99, SyscallError::InvalidCapability),
        (token, 8, kept, SyscallError::PermissionDenied),
        (token, 8, 0, SyscallError::InvalidAddress),
        (token, 100, console, SyscallError::InvalidAddress),
    ] {
        let words = [token, NOWHERE, length, capability, 0, 0];
        // SAFETY: the call writes to none of this program's memory.
        let word = unsafe { stub::number_in_rax(nr::IPC_REPLY, words) };
        let found = Veridian::error(word);
        checks.error(format_args!("{words:x?}"), found, error.code());
    }
}

//! Calls and replies of VeridianOS between two threads (`specs/veridian.md` §6).
//!
//! Purpose: what one thread alone cannot see: a call is received, answered,
//! answered late or answered twice, and a receive waits. The first byte of a
//! request says what its server does with it. Neighbours: `threads.rs`.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::veridian::{IpcCallResult, IpcReceiveResult, SyscallError, Timespec};
use mayfly_user::check::Checks;
use mayfly_user::veridian::ipc::{self, MESSAGE_MAX, Request};
use mayfly_user::veridian::thread::{self, FOREVER, Stack};
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

/// What the server does with a request.
const ECHO: u8 = 1;
const TWICE: u8 = 2;
const LATE: u8 = 3;
const MILLISECOND: u64 = 1_000_000;

static STACK: Stack = Stack::new();
/// Id and token of the server's endpoint.
static SERVER: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
/// Error codes of the server's replies, one byte each, the last lowest.
static REPLIES: AtomicU64 = AtomicU64::new(0);

fn run(process: &Process<Veridian>) -> i32 {
    let mut checks = Checks::new(process, "exchange");
    let (Ok(server), Ok(client)) = (ipc::endpoint_create(), ipc::endpoint_create()) else {
        checks.holds(format_args!("two endpoints"), false);
        return checks.finish();
    };
    SERVER[0].store(server.endpoint_id, SeqCst);
    SERVER[1].store(server.capability, SeqCst);
    let ids = [client.endpoint_id, server.endpoint_id];
    let tokens = [client.capability, server.capability];
    let channel = ipc::channel_create(ids, tokens).unwrap_or(0);
    // SAFETY: only this thread runs on it.
    let made = unsafe { thread::create(serve, &STACK, 0) };
    checks.holds(format_args!("thread: {made:?}"), made.is_ok());
    let caller = Caller {
        channel,
        token: client.capability,
    };
    let mut told = IpcReceiveResult::default();
    let (endpoint, token) = (client.endpoint_id, client.capability);
    let waited = ipc::receive(endpoint, &mut [], MILLISECOND, token, &mut told);
    checks.error(
        format_args!("a receive nobody sends to"),
        code(waited),
        SyscallError::Timeout.code(),
    );
    sizes(&mut checks, &caller);
    refusals(&mut checks, &caller);
    checks.finish()
}

/// Whoever makes calls.
struct Caller {
    channel: u64,
    token: u64,
}

impl Caller {
    fn call(&self, message: &[u8], response: &mut [u8], timeout: u64) -> (u32, IpcCallResult) {
        let request = Request {
            channel: self.channel,
            token: self.token,
            message,
            capability: 0,
            timeout,
        };
        let mut told = IpcCallResult::default();
        let result = ipc::request(&request, response, &mut told);
        (code(result), told)
    }
}

fn code(result: Result<u64, Option<SyscallError>>) -> u32 {
    match result {
        Ok(_) => 0,
        Err(error) => error.map_or(u32::MAX, SyscallError::code),
    }
}

/// A reply is as long as its request, and the same.
fn sizes(checks: &mut Checks<'_, Veridian>, caller: &Caller) {
    let mut message = [0; MESSAGE_MAX];
    let mut response = [0; MESSAGE_MAX];
    for length in [1, 8, 63, 64, 65, 1000, 4095, 4096] {
        let request = &mut message[..length];
        for (byte, at) in request.iter_mut().zip(length..) {
            *byte = at.to_le_bytes()[0];
        }
        request[0] = ECHO;
        response.fill(0);
        let (error, told) = caller.call(request, &mut response, FOREVER);
        checks.error(format_args!("a call of {length} bytes"), error, 0);
        checks.equal(
            format_args!("the length of its reply"),
            told.response_len,
            length as u64,
        );
        let same = response[..length] == *request;
        checks.holds(format_args!("{length} bytes come back"), same);
    }
}

/// Replies that the caller or the server cannot have.
fn refusals(checks: &mut Checks<'_, Veridian>, caller: &Caller) {
    let mut response = [0; 8];
    let (error, told) = caller.call(&[ECHO; 100], &mut response, FOREVER);
    checks.error(
        format_args!("a reply that does not fit"),
        error,
        SyscallError::BufferTooSmall.code(),
    );
    checks.equal(format_args!("its length"), told.response_len, 100);
    let (error, _) = caller.call(&[TWICE], &mut response, FOREVER);
    checks.error(format_args!("a call that is answered twice"), error, 0);
    let (error, _) = caller.call(&[LATE], &mut response, 50 * MILLISECOND);
    checks.error(
        format_args!("a call that is answered late"),
        error,
        SyscallError::Timeout.code(),
    );
    // The server is through with all of that when it answers this.
    let (error, _) = caller.call(&[ECHO], &mut response, FOREVER);
    checks.error(format_args!("a last call"), error, 0);
    let used = SyscallError::InvalidCapability.code();
    let late = SyscallError::NotFound.code();
    // Twice: 0 and the error; late: its error.
    let wanted = u64::from(used) << 8 | u64::from(late);
    checks.equal(format_args!("replies"), REPLIES.load(SeqCst), wanted);
}

/// Answers requests for ever.
extern "sysv64" fn serve(_: u64) -> ! {
    let [endpoint, token] = [0, 1].map(|at: usize| SERVER[at].load(SeqCst));
    let mut buffer = [0; MESSAGE_MAX];
    let mut told = IpcReceiveResult::default();
    loop {
        if ipc::receive(endpoint, &mut buffer, FOREVER, token, &mut told).is_err() {
            thread::exit(1);
        }
        let length = usize::try_from(told.message_len).unwrap_or(0);
        let message = buffer.get(..length).unwrap_or(&[]);
        if message.first() == Some(&LATE) {
            let late = Timespec {
                seconds: 0,
                nanoseconds: 100_000_000,
            };
            let _ = veridian::nanosleep(&late);
        }
        note(ipc::reply(told.reply_token, message, 0));
        if message.first() == Some(&TWICE) {
            note(ipc::reply(told.reply_token, message, 0));
        }
    }
}

/// Notes a reply that failed.
fn note(result: Result<u64, Option<SyscallError>>) {
    if result.is_err() {
        let before = REPLIES.load(SeqCst);
        REPLIES.store(before << 8 | u64::from(code(result)), SeqCst);
    }
}

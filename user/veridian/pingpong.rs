//! Two processes of VeridianOS that exchange messages (`specs/veridian.md` §11.5).
//!
//! Purpose: what IPC between address spaces costs. The first argument says what
//! goes to and fro, the second how many bytes, the third how often.
//!
//! - `call`: a call, and a reply of the same length.
//! - `send`: a message each way, to a thread that waits for it.
//! - `memory`: a call with a token for memory of so many bytes.
//! - `yield`: nothing but turns.
//!
//! Neighbours: `exchange.rs` has two threads, and looks at the answers.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use mayfly_abi::veridian::{IpcCallResult, IpcReceiveResult};
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::{create, derive, kind, revoke, right};
use mayfly_user::veridian::image::this_program;
use mayfly_user::veridian::ipc::{self, MESSAGE_MAX, Request};
use mayfly_user::veridian::process;
use mayfly_user::veridian::thread::FOREVER;
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

/// Ids of the child's endpoint and of the channel, which the child finds here:
/// it begins with its creator's data, what was zero at first excepted.
static ENDPOINT: AtomicU64 = AtomicU64::new(NONE);
static CHANNEL: AtomicU64 = AtomicU64::new(NONE);
/// No id.
const NONE: u64 = u64::MAX;

/// What goes to and fro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    Call,
    Send,
    Memory,
    Yield,
}

/// Room for a message: one page, so that the longest does not lie in two.
#[repr(align(4096))]
struct Page([u8; MESSAGE_MAX]);

/// One side of the channel.
struct Side {
    channel: u64,
    endpoint: u64,
    token: u64,
}

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let traffic = match arguments.get(1).unwrap_or(b"") {
        b"send" => Traffic::Send,
        b"memory" => Traffic::Memory,
        b"yield" => Traffic::Yield,
        _ => Traffic::Call,
    };
    if CHANNEL.load(Relaxed) != NONE {
        return answer(traffic, arguments.number(2).unwrap_or(0));
    }
    let mut checks = Checks::new(process, "pingpong");
    let number = |index| arguments.number(index).unwrap_or(0);
    let (Ok(own), Ok(other)) = (ipc::endpoint_create(), ipc::endpoint_create()) else {
        return 2;
    };
    let ends = [own.endpoint_id, other.endpoint_id];
    let channel = ipc::channel_create(ends, [own.capability, other.capability]);
    ENDPOINT.store(other.endpoint_id, Relaxed);
    CHANNEL.store(channel.unwrap_or(NONE), Relaxed);
    let [name, length] = [1, 2].map(|at| arguments.get(at).unwrap_or(b""));
    let capabilities = [veridian::console(), other.capability];
    let child = process::create(this_program(), &[b"x", name, length], &capabilities).unwrap_or(0);
    let started = process::start(child);
    checks.holds(format_args!("a child: {started:?}"), started.is_ok());
    let side = Side {
        channel: CHANNEL.load(Relaxed),
        endpoint: own.endpoint_id,
        token: own.capability,
    };
    match traffic {
        Traffic::Call => calls(&mut checks, &side, number(2), number(3)),
        Traffic::Send => sends(&mut checks, &side, number(2), number(3)),
        Traffic::Memory => hands_over(&mut checks, &side, number(2), number(3)),
        Traffic::Yield => turns(&mut checks, number(3)),
    }
    checks.finish()
}

fn calls(checks: &mut Checks<'_, Veridian>, side: &Side, length: u64, rounds: u64) {
    let length = usize::try_from(length).unwrap_or(0).min(MESSAGE_MAX);
    let (mut message, mut response) = (Page([0; MESSAGE_MAX]), Page([0; MESSAGE_MAX]));
    let (message, response) = (&mut message.0, &mut response.0);
    for round in 0..rounds {
        message[..length].fill(round.to_le_bytes()[0]);
        let request = side.request(&message[..length]);
        let told = ipc::request(
            &request,
            &mut response[..length],
            &mut IpcCallResult::default(),
        );
        let same = message[..length] == response[..length];
        checks.holds(
            format_args!("call {round}: {told:?}"),
            told == Ok(0) && same,
        );
    }
}

fn sends(checks: &mut Checks<'_, Veridian>, side: &Side, length: u64, rounds: u64) {
    let length = usize::try_from(length).unwrap_or(0).min(MESSAGE_MAX);
    let (mut message, mut came) = (Page([0; MESSAGE_MAX]), Page([0; MESSAGE_MAX]));
    let (message, came) = (&mut message.0, &mut came.0);
    for round in 0..rounds {
        message[..length].fill(round.to_le_bytes()[0]);
        let sent = ipc::send(side.channel, &message[..length], 0, side.token);
        let got = side.receive(&mut came[..length]).map(|_| ());
        let same = message[..length] == came[..length];
        let fine = sent == Ok(0) && got == Ok(()) && same;
        checks.holds(format_args!("message {round}: {sent:?} {got:?}"), fine);
    }
}

fn hands_over(checks: &mut Checks<'_, Veridian>, side: &Side, bytes: u64, rounds: u64) {
    let rights = right::READ | right::WRITE | right::GRANT | right::REVOKE;
    let memory = create(
        kind::MEMORY,
        bytes,
        rights,
        veridian::start_info().space_token,
    );
    checks.holds(format_args!("memory: {memory:?}"), memory.is_ok());
    for round in 0..rounds {
        let passed = derive(memory.unwrap_or(0), rights).unwrap_or(0);
        let request = Request {
            capability: passed,
            ..side.request(b"take it!")
        };
        let told = ipc::request(&request, &mut [0; 8], &mut IpcCallResult::default());
        checks.holds(format_args!("call {round}: {told:?}"), told == Ok(0));
        let revoked = revoke(passed);
        checks.holds(format_args!("revoked: {revoked:?}"), revoked == Ok(()));
    }
}

fn turns(checks: &mut Checks<'_, Veridian>, rounds: u64) {
    for round in 0..rounds {
        let turn = veridian::yield_now();
        checks.holds(format_args!("turn {round}: {turn:?}"), turn == Ok(0));
    }
}

impl Side {
    fn request<'a>(&self, message: &'a [u8]) -> Request<'a> {
        Request {
            channel: self.channel,
            token: self.token,
            message,
            capability: 0,
            timeout: FOREVER,
        }
    }

    /// Waits for a message; what was told of it.
    fn receive(&self, buffer: &mut [u8]) -> Result<IpcReceiveResult, ()> {
        let mut told = IpcReceiveResult::default();
        let got = ipc::receive(self.endpoint, buffer, FOREVER, self.token, &mut told);
        got.map(|_| told).map_err(|_| ())
    }
}

/// The child's part, until its creator's end ends its endpoint.
fn answer(traffic: Traffic, length: u64) -> i32 {
    let [_, token] = *veridian::granted() else {
        return 3;
    };
    let side = Side {
        channel: CHANNEL.load(Relaxed),
        endpoint: ENDPOINT.load(Relaxed),
        token,
    };
    let mut buffer = Page([0; MESSAGE_MAX]);
    let buffer = &mut buffer.0;
    let length = usize::try_from(length).unwrap_or(0).min(MESSAGE_MAX);
    if traffic == Traffic::Yield {
        while veridian::capability::validate(token, 0).is_ok() {
            let _ = veridian::yield_now();
        }
    }
    while let Ok(told) = side.receive(&mut buffer[..length]) {
        let length = usize::try_from(told.message_len).unwrap_or(0);
        let message = buffer.get(..length).unwrap_or(&[]);
        let answered = match traffic {
            Traffic::Send => ipc::send(side.channel, message, 0, token),
            // A token that came is not passed back.
            _ => ipc::reply(told.reply_token, message, 0),
        };
        if answered.is_err() || (traffic == Traffic::Memory) != (told.capability != 0) {
            return 4;
        }
    }
    0
}

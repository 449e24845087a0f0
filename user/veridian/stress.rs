//! A crowd of processes of VeridianOS that send each other messages (T20).
//!
//! `crowd N ROUNDS SECONDS`: N children, all alive at once, each with endpoints,
//! memory and tokens of its own, make ROUNDS calls each to their creator, which
//! passes memory on to them; then they end. That is done at least once, and
//! again until the time is over. What it leaves is looked at from outside.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{SyscallError, clock};
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::{create, derive, kind, revoke, right, validate};
use mayfly_user::veridian::family::{self, Child, Link};
use mayfly_user::veridian::ipc;
use mayfly_user::veridian::memory::{self, PAGE, map, mmap, prot};
use mayfly_user::veridian::thread::FOREVER;
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

/// Most children.
const CHILDREN: usize = 200;
const BOTH: u64 = prot::READ | prot::WRITE;
const RIGHTS: u64 = right::READ | right::WRITE | right::MODIFY | right::GRANT | right::REVOKE;
/// Longest request.
const LENGTH: usize = 200;

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let number = |index| arguments.number(index).unwrap_or(1);
    if arguments.get(1) == Some(b"member") {
        let done = family::join(number(2)).and_then(|link| member(&link, number(3)));
        return done.map_or_else(|error| error.map_or(99, code), |()| 0);
    }
    let mut checks = Checks::new(process, "stress");
    let end = now() + number(4).saturating_mul(1_000_000_000);
    loop {
        let done = crowd(&mut checks, number(2), number(3));
        checks.holds(format_args!("no call failed: {done:?}"), done.is_ok());
        if done.is_err() || now() >= end {
            return checks.finish();
        }
    }
}

fn code(error: SyscallError) -> i32 {
    i32::try_from(error.code()).unwrap_or(99)
}

/// Nanoseconds since boot.
fn now() -> u64 {
    let time = veridian::clock_get(clock::MONOTONIC).unwrap_or_default();
    (time.seconds * 1_000_000_000 + time.nanoseconds).cast_unsigned()
}

fn crowd(checks: &mut Checks<'_, Veridian>, count: u64, rounds: u64) -> Answer<()> {
    let mut children = [Child::default(); CHILDREN];
    let count = usize::try_from(count).unwrap_or(0).min(CHILDREN);
    let children = &mut children[..count];
    for child in children.iter_mut() {
        *child = family::start(b"member", &[rounds], &[])?;
    }
    // Nobody does anything before all are there.
    for child in children.iter() {
        child.link.tell(1)?;
    }
    let space = veridian::start_info().space_token;
    let object = create(kind::MEMORY, PAGE, RIGHTS, space)?;
    let Some(any) = children.first() else {
        return Ok(());
    };
    let mut served = 0;
    for _ in 0..count as u64 * rounds {
        let mut request = [0; LENGTH];
        let told = any.link.receive(&mut request, FOREVER)?;
        let length = usize::try_from(told.message_len).unwrap_or(0);
        let message = &request[..length];
        served += u64::from(message.iter().all(|byte| *byte == length.to_le_bytes()[0]));
        if told.capability != 0 {
            // What it passed on is used, and given up.
            let mut word = [0; 8];
            veridian::read(told.capability, &mut word, 0)?;
            let sender = u64::from_le_bytes(word);
            checks.equal(format_args!("whose memory"), sender, told.sender);
            revoke(told.capability)?;
        }
        let passed = derive(object, RIGHTS)?;
        ipc::reply(told.reply_token, message, passed)?;
        revoke(passed)?;
    }
    checks.equal(format_args!("requests"), served, count as u64 * rounds);
    for child in children.iter() {
        let ended = child.wait()?;
        let fine = ended.exit_code == 0 && ended.exit_reason == 0;
        checks.holds(format_args!("child: {}", ended.exit_code), fine);
    }
    revoke(object)
}

/// A child: waits for the others, then calls.
fn member(link: &Link, rounds: u64) -> Answer<()> {
    let info = veridian::start_info();
    link.hear()?;
    for round in 0..rounds {
        // Endpoints come and go.
        let endpoint = ipc::endpoint_create()?;
        let ends = [endpoint.endpoint_id, link.endpoint];
        let channel = ipc::channel_create(ends, [endpoint.capability, link.token])?;
        let own = Link {
            channel,
            endpoint: endpoint.endpoint_id,
            token: endpoint.capability,
        };
        own.tell(round)?;
        // Memory too, every other round with the request.
        let object = create(kind::MEMORY, PAGE, RIGHTS, info.space_token)?;
        let place = mmap(0, PAGE, BOTH, map::SHARED, Some(object), 0)?;
        // SAFETY: the page is mapped, and no reference is to it.
        unsafe { memory::store(place, info.process_id) };
        let length =
            usize::try_from((info.process_id * 7 + round * 31) % LENGTH as u64).unwrap_or(0);
        let request = [length.to_le_bytes()[0]; LENGTH];
        let mut response = [0; LENGTH];
        let passed = [object, 0][usize::from(round % 2 == 1)];
        let told = loop {
            match link.call(&request[..length], &mut response, FOREVER, passed) {
                // So many call at once that the queue is full.
                Err(Some(SyscallError::Busy)) => veridian::yield_now()?,
                other => break other?,
            };
        };
        if told.response_len != length as u64 || response[..length] != request[..length] {
            return Err(Some(SyscallError::InvalidParameter));
        }
        // What came with the reply is about to be revoked, or was by now.
        match validate(told.capability, right::READ) {
            Ok(()) | Err(Some(SyscallError::InvalidCapability)) => {}
            other => return other,
        }
        if link.hear()?.0 != round {
            return Err(Some(SyscallError::NotFound));
        }
        revoke(object)?;
        revoke(own.token)?;
    }
    Ok(())
}

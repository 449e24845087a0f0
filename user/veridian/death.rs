//! The death of a server of VeridianOS (T16).
//!
//! Purpose: whoever waits for a process that ends is told (spec §6.4). A server
//! takes one caller's request, sees another one's queued, and ends: the first
//! caller is interrupted, the second one never was heard. One more process
//! waits at an endpoint that ends too.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{IpcReceiveResult, SyscallError};
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::validate;
use mayfly_user::veridian::family::{self, Child, GRANTS, Link};
use mayfly_user::veridian::thread::FOREVER;
use mayfly_user::veridian::{granted, ipc};
use mayfly_user::{Process, Veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

/// Status of a child whose calls failed before they should.
const FAILED: i32 = 90;

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let number = |index| arguments.number(index).unwrap_or(0);
    if let Some(creator) = arguments.number(2) {
        let Ok(link) = family::join(creator) else {
            return FAILED;
        };
        let done = match arguments.get(1).unwrap_or(b"") {
            b"server" => server(&link),
            b"caller" => caller(&link, number(3)),
            _ => waiter(&link, number(3)),
        };
        return done.unwrap_or(FAILED);
    }
    let mut checks = Checks::new(process, "death");
    let done = parent(&mut checks);
    checks.holds(format_args!("no call failed: {done:?}"), done.is_ok());
    checks.finish()
}

fn parent(checks: &mut Checks<'_, Veridian>) -> Answer<()> {
    let server = family::start(b"server", &[], &[])?;
    // The endpoint that it serves, and the one where nobody sends.
    let (service, token) = hear(&server.link)?;
    let (silent, quiet) = hear(&server.link)?;
    let waiter = family::start(b"waiter", &[silent], &[quiet])?;
    waiter.link.hear()?;
    let served = family::start(b"caller", &[service], &[token])?;
    let (word, _) = hear(&server.link)?;
    checks.equal(format_args!("it took the first"), word, 1);
    let queued = family::start(b"caller", &[service], &[token])?;
    // The server ends when it sees that there is a second one.
    let ended = server.wait()?;
    checks.holds(
        format_args!("its end: {}", ended.exit_code),
        ended.exit_code == 7,
    );
    for (who, child, error) in [
        ("served", served, SyscallError::Interrupted),
        ("queued", queued, SyscallError::NotFound),
        ("receiving", waiter, SyscallError::NotFound),
    ] {
        let code = told_error(&child)?;
        checks.error(format_args!("{who}"), code, error.code());
    }
    gone(checks, &server.link, service, token);
    Ok(())
}

/// A number, and the capability that came with it.
fn hear(link: &Link) -> Answer<(u64, u64)> {
    link.hear().map(|(number, told)| (number, told.capability))
}

/// The error that ended a child's wait.
fn told_error(child: &Child) -> Answer<u32> {
    let ended = child.wait()?;
    Ok(ended.exit_code.cast_unsigned())
}

/// What is left of the server's endpoints to those who hold tokens for them.
fn gone(checks: &mut Checks<'_, Veridian>, link: &Link, service: u64, token: u64) {
    let not_found = Err(Some(SyscallError::NotFound));
    let mut expect = |what: &str, found: Answer<()>| {
        checks.holds(format_args!("{what}: {found:?}"), found == not_found);
    };
    expect("send", link.tell(1));
    let mut response = [0; 8];
    let called = link.call(b"x", &mut response, FOREVER, 0);
    expect("call", called.map(|_| ()));
    let mut told = IpcReceiveResult::default();
    let received = ipc::receive(service, &mut response, FOREVER, token, &mut told);
    expect("receive", received.map(|_| ()));
    let ends = [link.endpoint, service];
    let made = ipc::channel_create(ends, [link.token, token]);
    expect("channel", made.map(|_| ()));
    let valid = validate(token, 0);
    checks.holds(
        format_args!("the token is one still: {valid:?}"),
        valid.is_ok(),
    );
}

/// Makes two endpoints and passes them on; takes one request, and ends when it
/// sees another.
fn server(link: &Link) -> Answer<i32> {
    let service = ipc::endpoint_create()?;
    let silent = ipc::endpoint_create()?;
    for made in [service, silent] {
        link.send(&made.endpoint_id.to_le_bytes(), made.capability)?;
    }
    let mut told = IpcReceiveResult::default();
    let mut receive = |buffer: &mut [u8]| {
        let (endpoint, token) = (service.endpoint_id, service.capability);
        ipc::receive(endpoint, buffer, FOREVER, token, &mut told)
    };
    receive(&mut [0; 8])?;
    link.tell(1)?;
    // For the second one there is no room: it stays queued.
    match receive(&mut []) {
        Err(Some(SyscallError::BufferTooSmall)) => Ok(7),
        _ => Ok(FAILED),
    }
}

/// Calls the service; ends with the error.
fn caller(link: &Link, service: u64) -> Answer<i32> {
    let token = granted()[GRANTS];
    let channel = ipc::channel_create([link.endpoint, service], [link.token, token])?;
    let to = Link { channel, ..*link };
    Ok(status(to.call(b"request", &mut [0; 8], FOREVER, 0)))
}

/// Receives where nobody sends; ends with the error.
fn waiter(link: &Link, silent: u64) -> Answer<i32> {
    let at = Link {
        endpoint: silent,
        token: granted()[GRANTS],
        ..*link
    };
    link.tell(0)?;
    Ok(status(at.receive(&mut [0; 8], FOREVER)))
}

fn status<T>(result: Answer<T>) -> i32 {
    match result {
        Err(Some(error)) => i32::try_from(error.code()).unwrap_or(FAILED),
        _ => FAILED,
    }
}

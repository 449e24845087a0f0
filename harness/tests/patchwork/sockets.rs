//! Local sockets of PatchworkOS (`specs/patchwork.md` §12).
//!
//! Purpose: `/net/local` through its files: what `ctl` takes and refuses, what
//! `accept` and `data` say, messages between two sockets and between two
//! processes. Neighbours: what waits for another process is tested in
//! `kernel/core`, where time stands still; `files.rs` has descriptors.

use mayfly::prelude::*;

use super::files::{close, open, read, write};
use super::pipes::{IN, OUT, poll};

/// The other side is gone.
const HUP: u32 = 8;
/// Longest message.
const LONGEST: usize = 16_376;

/// Makes a socket: its directory.
pub(crate) fn socket(probe: &Probe<'_>) -> Result<String> {
    let made = open(probe, "/net/local/seqpacket")?;
    let number = read(probe, made, 20)?;
    // The socket stays: programs read the number and close this.
    close(probe, made)?;
    let number = String::from_utf8(number).expect("digits");
    Ok(format!("/net/local/{number}"))
}

/// Writes to the control file of a socket.
fn control(probe: &Probe<'_>, socket: &str, commands: &str) -> Result<Result<u64, &'static str>> {
    let fd = open(probe, &format!("{socket}/ctl"))?;
    let arguments = args![fd, input(commands), commands.len()];
    let call = probe.call(patchwork::WRITE, arguments)?;
    close(probe, fd)?;
    Ok(call.result)
}

/// The error of an open that fails.
fn refused(probe: &Probe<'_>, path: &str) -> Result<&'static str> {
    let call = probe.call(patchwork::OPEN, args![text(path)])?;
    Ok(call.result.expect_err(path))
}

/// A socket that listens at an address.
fn listening(probe: &Probe<'_>, address: &str) -> Result<String> {
    let socket = socket(probe)?;
    let commands = format!("bind {address} && listen");
    let done = control(probe, &socket, &commands)?;
    assert_eq!(done, Ok(commands.len() as u64));
    Ok(socket)
}

/// A connection to an address: its file.
fn connect(probe: &Probe<'_>, address: &str) -> Result<u64> {
    let socket = socket(probe)?;
    assert!(control(probe, &socket, &format!("connect {address}"))?.is_ok());
    open(probe, &format!("{socket}/data"))
}

/// Both sides of a connection.
fn pair(server: &Probe<'_>, client: &Probe<'_>) -> Result<(u64, u64)> {
    let listener = listening(server, "pair")?;
    let data = connect(client, "pair")?;
    Ok((open(server, &format!("{listener}/accept"))?, data))
}

#[mayfly::test(covers = "patchwork OPEN, patchwork READ, patchwork WRITE")]
fn two_sockets_exchange_messages(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let (server, client) = pair(&probe, &probe)?;
    write(&probe, client, b"one")?;
    write(&probe, client, b"two")?;
    write(&probe, server, b"back")?;
    assert_eq!(read(&probe, server, 100)?, b"one");
    // The rest of a message that is read in part is gone.
    assert_eq!(read(&probe, server, 1)?, b"t");
    write(&probe, client, b"three")?;
    assert_eq!(read(&probe, server, 100)?, b"three");
    assert_eq!(read(&probe, client, 100)?, b"back");
    Ok(())
}

#[mayfly::test(covers = "patchwork READ, patchwork WRITE")]
fn two_processes_exchange_messages(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let (server, client) = pair(&one, &other)?;
    let message: Vec<u8> = (0..=250).cycle().take(LONGEST).collect();
    for length in [1, 0, 4096, LONGEST, 5000, 11_000, LONGEST] {
        write(&other, client, &message[..length])?;
        assert_eq!(read(&one, server, LONGEST)?, message[..length]);
        write(&one, server, &message[..length])?;
        assert_eq!(read(&other, client, LONGEST)?, message[..length]);
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE EMSGSIZE, patchwork WRITE EAGAIN, patchwork READ EAGAIN")]
fn a_queue_holds_so_much(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let listener = listening(&probe, "full")?;
    let sender = socket(&probe)?;
    assert!(control(&probe, &sender, "connect full")?.is_ok());
    let sender = open(&probe, &format!("{sender}/data:nonblock"))?;
    let receiver = open(&probe, &format!("{listener}/accept:n"))?;
    let send = |length: usize| -> Result<_> {
        let arguments = args![sender, input(vec![7; length]), length];
        Ok(probe.call(patchwork::WRITE, arguments)?.result)
    };
    let receive = || -> Result<_> {
        let call = probe.call(patchwork::READ, args![receiver, out(8), 8])?;
        Ok(call.result)
    };
    assert_eq!(receive()?, Err("EAGAIN"));
    assert_eq!(send(LONGEST + 1)?, Err("EMSGSIZE"));
    assert_eq!(send(LONGEST)?, Ok(LONGEST as u64));
    assert_eq!(send(0)?, Err("EAGAIN"));
    assert_eq!(receive()?, Ok(8));
    // Each message takes eight bytes of its own.
    assert_eq!(send(8184)?, Ok(8184));
    assert_eq!(send(8185)?, Err("EAGAIN"));
    assert_eq!(send(8184)?, Ok(8184));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork OPEN EAGAIN, patchwork OPEN EINVAL, patchwork OPEN ENOENT, patchwork OPEN EMFILE, patchwork OPEN2 ENOSYS"
)]
fn an_accept_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let socket = socket(&probe)?;
    let accept = format!("{socket}/accept");
    assert_eq!(refused(&probe, &accept)?, "EINVAL");
    assert!(control(&probe, &socket, "bind a")?.is_ok());
    assert_eq!(refused(&probe, &accept)?, "EINVAL");
    assert!(control(&probe, &socket, "listen")?.is_ok());
    assert_eq!(refused(&probe, &format!("{accept}:nonblock"))?, "EAGAIN");
    assert_eq!(refused(&probe, &format!("{accept}:directory"))?, "ENOTDIR");
    let both = probe.call(patchwork::OPEN2, args![text(&accept), out(16)])?;
    assert_eq!(both.result, Err("ENOSYS"));
    let client = connect(&probe, "a")?;
    while probe.call(patchwork::DUP, args![0])?.result.is_ok() {}
    assert_eq!(refused(&probe, &accept)?, "EMFILE");
    close(&probe, 0)?;
    // The connection was not lost.
    assert_eq!(open(&probe, &accept)?, 0);
    write(&probe, client, b"x")?;
    assert_eq!(read(&probe, 0, 9)?, b"x");
    // Nobody else can open these files.
    let other = vm.probe(Abi::Patchwork)?;
    assert_eq!(refused(&other, &accept)?, "ENOENT");
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN EAGAIN, patchwork READ EAGAIN")]
fn a_socket_made_not_to_wait_does_not(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let made = open(&probe, "/net/local/seqpacket:nonblock")?;
    let number = String::from_utf8(read(&probe, made, 20)?).expect("digits");
    let server = format!("/net/local/{number}");
    assert!(control(&probe, &server, "bind a && listen")?.is_ok());
    assert_eq!(refused(&probe, &format!("{server}/accept"))?, "EAGAIN");
    let client = connect(&probe, "a")?;
    let accepted = open(&probe, &format!("{server}/accept"))?;
    let call = probe.call(patchwork::READ, args![accepted, out(8), 8])?;
    assert_eq!(call.result, Err("EAGAIN"));
    write(&probe, client, b"x")?;
    assert_eq!(read(&probe, accepted, 8)?, b"x");
    Ok(())
}

#[mayfly::test(
    covers = "patchwork WRITE EUNKNOWNCTL, patchwork WRITE ENOENT, patchwork WRITE E2BIG, patchwork WRITE EINVAL, patchwork WRITE ENAMETOOLONG, patchwork WRITE EADDRINUSE, patchwork WRITE ECONNREFUSED, patchwork WRITE EISCONN"
)]
fn a_command_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let listener = listening(&probe, "taken")?;
    let bound = socket(&probe)?;
    assert!(control(&probe, &bound, "bind \"only bound\"")?.is_ok());
    let connected = socket(&probe)?;
    assert!(control(&probe, &connected, "connect taken")?.is_ok());
    let fresh = socket(&probe)?;
    let (long, longest) = ("x".repeat(32), "y".repeat(257));
    for (socket, commands, error) in [
        (&fresh, "", "EUNKNOWNCTL"),
        (&fresh, "  ", "EUNKNOWNCTL"),
        (&fresh, "bind", "EUNKNOWNCTL"),
        (&fresh, "bind a b", "EUNKNOWNCTL"),
        (&fresh, "listen 1 2", "EUNKNOWNCTL"),
        (&fresh, "connect", "EUNKNOWNCTL"),
        (&fresh, "&& listen", "EUNKNOWNCTL"),
        (&fresh, "close", "ENOENT"),
        (&fresh, "Bind a", "ENOENT"),
        (&fresh, &longest, "E2BIG"),
        (&fresh, "bind \"\"", "EINVAL"),
        (&fresh, "bind a/b", "EINVAL"),
        (&fresh, "bind ..", "EINVAL"),
        (&fresh, "bind a:r", "EINVAL"),
        (&fresh, "bind a*", "EINVAL"),
        (&fresh, &format!("bind {long}"), "ENAMETOOLONG"),
        (&fresh, "bind taken", "EADDRINUSE"),
        (&fresh, "listen", "EINVAL"),
        (&bound, "bind again", "EINVAL"),
        (&bound, "listen 0", "EINVAL"),
        (&bound, "listen many", "EINVAL"),
        (&listener, "listen", "EINVAL"),
        (&listener, "connect taken", "EINVAL"),
        (&connected, "bind b", "EINVAL"),
        (&connected, "listen", "EINVAL"),
        (&connected, "connect taken", "EISCONN"),
        (&fresh, "connect nobody", "ECONNREFUSED"),
        (&fresh, "connect \"only bound\"", "ECONNREFUSED"),
    ] {
        assert_eq!(control(&probe, socket, commands)?, Err(error), "{commands}");
    }
    // What comes before a command that fails was done.
    let done = control(&probe, &fresh, "bind late && nonsense")?;
    assert_eq!(done, Err("ENOENT"));
    assert_eq!(
        control(&probe, &bound, "connect late")?,
        Err("ECONNREFUSED")
    );
    assert!(control(&probe, &fresh, "listen 99999999999")?.is_ok());
    assert!(control(&probe, &bound, "connect late")?.is_ok());
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE ECONNREFUSED")]
fn a_full_backlog_refuses(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let listener = socket(&probe)?;
    assert!(control(&probe, &listener, "bind few && listen 2")?.is_ok());
    connect(&probe, "few")?;
    connect(&probe, "few")?;
    let third = socket(&probe)?;
    let refused = control(&probe, &third, "connect few")?;
    assert_eq!(refused, Err("ECONNREFUSED"));
    open(&probe, &format!("{listener}/accept"))?;
    assert!(control(&probe, &third, "connect few")?.is_ok());
    Ok(())
}

#[mayfly::test(
    covers = "patchwork READ ENOTCONN, patchwork WRITE ENOTCONN, patchwork READ ENOSYS, patchwork WRITE ENOSYS, patchwork WRITE EFAULT, patchwork SEEK ESPIPE"
)]
fn a_file_of_a_socket_says_what_it_cannot(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let listener = listening(&probe, "a")?;
    let fresh = socket(&probe)?;
    let made = open(&probe, "/net/local/seqpacket")?;
    let ctl = open(&probe, &format!("{fresh}/ctl"))?;
    let data = open(&probe, &format!("{fresh}/data"))?;
    let listening = open(&probe, &format!("{listener}/data"))?;
    let name = open(&probe, "/net/local/listen/a")?;
    for (number, fd, error) in [
        (patchwork::READ, data, "ENOTCONN"),
        (patchwork::WRITE, data, "ENOTCONN"),
        (patchwork::READ, listening, "ENOTCONN"),
        (patchwork::WRITE, listening, "ENOTCONN"),
        (patchwork::READ, ctl, "ENOSYS"),
        (patchwork::WRITE, made, "ENOSYS"),
        (patchwork::READ, name, "ENOSYS"),
        (patchwork::WRITE, name, "ENOSYS"),
    ] {
        let call = probe.call(number, args![fd, out(8), 8])?;
        assert_eq!(call.result, Err(error), "{number} of {fd}");
    }
    for fd in [made, ctl, data] {
        let call = probe.call(patchwork::SEEK, args![fd, 0, 0])?;
        assert_eq!(call.result, Err("ESPIPE"));
    }
    let call = probe.call(patchwork::WRITE, args![ctl, 8, 8])?;
    assert_eq!(call.result, Err("EFAULT"));
    // The number is read once.
    assert!(!read(&probe, made, 20)?.is_empty());
    assert!(read(&probe, made, 20)?.is_empty());
    Ok(())
}

#[mayfly::test(covers = "patchwork READ, patchwork WRITE ECONNRESET")]
fn the_end_of_a_connection_is_told(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let (server, client) = pair(&one, &other)?;
    write(&one, server, b"last")?;
    close(&one, server)?;
    assert_eq!(read(&other, client, 9)?, b"last");
    assert!(read(&other, client, 9)?.is_empty());
    let call = other.call(patchwork::WRITE, args![client, input("x"), 1])?;
    assert_eq!(call.result, Err("ECONNRESET"));
    let second = vm.probe(Abi::Patchwork)?;
    let (listener, fd) = (listening(&one, "b")?, connect(&second, "b")?);
    let accepted = open(&one, &format!("{listener}/accept"))?;
    write(&second, fd, b"bye")?;
    second.close()?;
    assert_eq!(read(&one, accepted, 9)?, b"bye");
    assert!(read(&one, accepted, 9)?.is_empty());
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN, patchwork OPEN ENOENT, patchwork GETDENTS")]
fn names_are_there_as_long_as_the_socket(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let listener = listening(&one, "here")?;
    let number = listener.rsplit('/').next().expect("a number");
    assert_eq!(
        names(&other, "/net/local")?,
        ["seqpacket", "listen", number]
    );
    assert_eq!(names(&other, "/net/local/listen")?, ["here"]);
    assert_eq!(names(&one, &listener)?, ["ctl", "data", "accept"]);
    one.close()?;
    assert_eq!(names(&other, "/net/local")?, ["seqpacket", "listen"]);
    assert!(names(&other, "/net/local/listen")?.is_empty());
    assert_eq!(refused(&other, &format!("{listener}/ctl"))?, "ENOENT");
    // The address is free again.
    listening(&other, "here")?;
    Ok(())
}

/// Names in a directory.
fn names(probe: &Probe<'_>, path: &str) -> Result<Vec<String>> {
    let fd = open(probe, &format!("{path}:directory"))?;
    let call = probe.call(patchwork::GETDENTS, args![fd, out(272 * 16), 272 * 16])?;
    let bytes = usize::try_from(call.result.expect("entries")).expect("a length");
    close(probe, fd)?;
    let names = call.buffers[0][..bytes].chunks(272).map(|entry| {
        let name = entry[12..].split(|byte| *byte == 0).next();
        String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
    });
    Ok(names.filter(|name| !name.starts_with('.')).collect())
}

#[mayfly::test(covers = "patchwork POLL, patchwork POLL EINVAL, patchwork POLL ENOSYS")]
fn a_poll_says_what_a_socket_is_ready_for(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let fresh = socket(&probe)?;
    let data = open(&probe, &format!("{fresh}/data"))?;
    let ctl = open(&probe, &format!("{fresh}/ctl"))?;
    let both = IN | OUT;
    assert_eq!(poll(&probe, &[(data, both)], 0)?.0, Err("EINVAL"));
    assert_eq!(poll(&probe, &[(ctl, both)], 0)?.0, Err("ENOSYS"));
    assert!(control(&probe, &fresh, "bind a && listen")?.is_ok());
    assert_eq!(poll(&probe, &[(data, both)], 0)?, (Ok(0), vec![0]));
    let client = connect(&probe, "a")?;
    assert_eq!(poll(&probe, &[(data, both)], u64::MAX)?, (Ok(1), vec![IN]));
    let server = open(&probe, &format!("{fresh}/accept"))?;
    assert_eq!(poll(&probe, &[(data, both)], 0)?, (Ok(0), vec![0]));
    let files = [(server, both), (client, both)];
    assert_eq!(poll(&probe, &files, 0)?, (Ok(2), vec![OUT, OUT]));
    write(&probe, client, &[1; LONGEST])?;
    assert_eq!(poll(&probe, &files, 0)?, (Ok(1), vec![both, 0]));
    write(&probe, server, b"x")?;
    close(&probe, server)?;
    let file = [(client, IN)];
    assert_eq!(poll(&probe, &file, 0)?, (Ok(1), vec![IN | HUP]));
    read(&probe, client, 1)?;
    assert_eq!(poll(&probe, &file, 0)?, (Ok(1), vec![HUP]));
    Ok(())
}

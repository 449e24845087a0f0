//! How origins are made: a boot, and what goes on from one.
//!
//! Neighbours: `source` asks for them, `cache` keeps them.

use std::time::Duration;

use mayfly_abi::Abi;
use mayfly_wire::message::{Request, Resume};

use super::{OpenProbe, Origin, Shell};
use crate::backend::kvm::Kvm;
use crate::client::Client;
use crate::error::{Result, unexpected};
use crate::journal::Answer;
use crate::options::VmOptions;
use crate::terminal::Line;

/// Boots a machine without the caller's own files, and lets it stand still.
pub(super) fn boot(options: &VmOptions) -> Result<Origin> {
    let options = VmOptions {
        files: Vec::new(),
        ..options.clone()
    };
    let mut client = Client::new(Box::new(Kvm::start(&options)?));
    let ready = client.ready(options.setup_timeout)?;
    client.stop(options.setup_timeout)?;
    Ok(Origin::new(client.into_snapshot()?, ready))
}

/// A copy of a machine that has booted, and goes on.
fn resumed(booted: &Origin) -> Result<Client> {
    let (machine, _) = booted.copy(&[], false)?;
    let mut client = Client::of(Box::new(machine), booted.journal());
    client.send("resume a copy", &Request::Resume(Resume::default()))?;
    Ok(client)
}

/// Starts a program on the terminal of a machine that has booted, and lets it
/// stand where it waits for keys.
pub(super) fn open_shell(
    booted: &Origin,
    line: Line,
    program: &str,
    timeout: Duration,
) -> Result<Origin> {
    let mut client = resumed(booted)?;
    let started = client.begin_on_terminal(line, program, timeout)?;
    let Answer::Started { pid, root, abi } = started else {
        return Err(unexpected("start a program on the terminal", &started));
    };
    let screen = client.until_prompt(pid, timeout)?;
    client.stop(timeout)?;
    let mut origin = Origin::new(client.into_snapshot()?, booted.ready.clone());
    origin.shell = Some(Shell {
        pid,
        root,
        abi,
        screen,
    });
    Ok(origin)
}

/// Opens a probe in a machine that has booted, and lets it stand at its first
/// call.
pub(super) fn open_probe(booted: &Origin, abi: Abi, timeout: Duration) -> Result<Origin> {
    let mut client = resumed(booted)?;
    let (opening, code) = ("open a probe", abi.code());
    let opened = client.ask(opening, timeout, |id| Request::OpenProbe { id, abi: code })?;
    let Answer::Started { pid, root, abi } = opened else {
        return Err(unexpected(opening, &opened));
    };
    let standing = "see a probe at its first call";
    let awaits = client.ask(standing, timeout, |id| Request::Await { id, pid })?;
    let Answer::Awaiting(mailbox) = awaits else {
        return Err(unexpected(standing, &awaits));
    };
    let mut origin = Origin::new(client.into_snapshot()?, booted.ready.clone());
    origin.probe = Some(OpenProbe {
        pid,
        root,
        abi,
        mailbox,
    });
    Ok(origin)
}

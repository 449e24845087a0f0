//! Machines that begin as a copy of one that has booted.
//!
//! Purpose: a microVM for each test in less than it takes to boot. A kernel is
//! booted once for each kind of machine, stands still, and becomes an
//! [`Origin`]; machines of that kind are copies, which share its memory until
//! they write. From it come others, with what takes long and is always the same
//! done already: a probe that is open, a shell at its prompt. Origins are kept in this process and, by
//! `cache`, on disk. Neighbours: `microvm` asks for machines, `copy` is one.

mod cache;
mod copy;
mod key;
mod label;
mod make;
mod source;
#[cfg(test)]
mod sources;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use mayfly_vmm::Snapshot;
use mayfly_wire::message::{Event, Request, Resume};

use crate::backend::BackendKind;
use crate::backend::kvm::Kvm;
use crate::client::Client;
use crate::environment;
use crate::error::{Error, Result};
use crate::journal::{Answer, Journal, Ready};
use crate::options::{ExtraFile, VmOptions};
use crate::phase::Phase;
use crate::terminal::Line;
use copy::Copy;
use source::Source;

/// Whether a microVM may begin as a copy of one that has booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotUse {
    /// As `MAYFLY_SNAPSHOT` says: `off`, `memory` or, when it is not set, `disk`.
    #[default]
    Auto,
    /// No: it boots.
    Off,
    /// Of one that this process has booted.
    Memory,
    /// Of one that this process has booted, or an earlier one.
    Disk,
}

impl SnapshotUse {
    /// What is to be done, the environment asked.
    ///
    /// # Errors
    /// When the variable says something else.
    fn settled(self) -> Result<Self> {
        if self != Self::Auto {
            return Ok(self);
        }
        match environment::text("MAYFLY_SNAPSHOT").as_deref() {
            None | Some("disk") => Ok(Self::Disk),
            Some("memory") => Ok(Self::Memory),
            Some("off") => Ok(Self::Off),
            Some(other) => Err(crate::Error::Usage {
                what: "choose whether to use snapshots".into(),
                why: format!("MAYFLY_SNAPSHOT={other:?} is no choice"),
                remedy: "MAYFLY_SNAPSHOT=disk, memory or off".into(),
            }),
        }
    }
}

/// A machine that has got somewhere and stands still.
pub(crate) struct Origin {
    snapshot: Snapshot,
    ready: Ready,
    /// A probe that is open in it and stands at its next call.
    probe: Option<OpenProbe>,
    /// A program that stands at its prompt.
    shell: Option<Shell>,
    /// Its file, if it is on disk.
    kept: Option<PathBuf>,
    /// This host has made a machine of it.
    is_proven: AtomicBool,
}

/// A program at its prompt, as the machine has told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shell {
    pid: u64,
    root: u64,
    abi: u8,
    /// What its terminal shows.
    screen: Vec<u8>,
}

/// A probe, as the machine has told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenProbe {
    pid: u64,
    root: u64,
    abi: u8,
    /// Guest-physical address of its mailbox.
    mailbox: u64,
}

/// Unix time that all copies of this process begin at: the same for all, so
/// that tests that run twice see the same.
static EPOCH: LazyLock<u64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs().max(1))
});

/// A machine that begins as a copy, and its kernel's first message; `None`
/// when `options` ask for one that boots.
pub(crate) fn start(kind: BackendKind, options: &VmOptions) -> Result<Option<(Client, Ready)>> {
    let Some(source) = Source::of(kind, options)? else {
        return Ok(None);
    };
    let origin = source.booted()?;
    let (ready, journal) = (origin.ready.clone(), origin.journal());
    let copy = Copy::new(source, origin);
    Ok(Some((Client::of(Box::new(copy), journal), ready)))
}

/// The same, with a program that stands at its prompt, which is the first thing
/// told; `None` also when there is no such machine to be had.
pub(crate) fn start_at_prompt(
    kind: BackendKind,
    options: &VmOptions,
    line: Line,
    program: &str,
) -> Result<Option<(Client, Ready, Answer)>> {
    // A file of that name is another program.
    let name = |file: &ExtraFile| file.name.rsplit('/').next() == Some(program);
    let source = match Source::of(kind, options)? {
        Some(source) if !options.files.iter().any(name) => source,
        _ => return Ok(None),
    };
    // Whoever starts the program in the ordinary way hears what is wrong.
    let Some(origin) = source.at_prompt(line, program) else {
        return Ok(None);
    };
    let Some(shell) = origin.shell.clone() else {
        return Ok(None);
    };
    let (ready, journal) = (origin.ready.clone(), origin.journal());
    let mut copy = Copy::new(source, Arc::clone(&origin));
    if origin.suspect().is_some() && copy.make_now(line, program).is_err() {
        return Ok(None);
    }
    let mut client = Client::of(Box::new(copy), journal);
    client.look_at(line, shell.screen);
    let id = client.next_id();
    let answer = client.journal.answers.remove(&id);
    Ok(answer.map(|answer| (client, ready, answer)))
}

impl Origin {
    /// A machine that stands still, and what its kernel said first.
    fn new(snapshot: Snapshot, ready: Ready) -> Self {
        Self {
            snapshot,
            ready,
            probe: None,
            shell: None,
            kept: None,
            is_proven: AtomicBool::new(false),
        }
    }

    /// A machine that begins here, and where its bundle of `files` is.
    fn copy(&self, files: &[ExtraFile], to_reset: bool) -> Result<(Kvm, Option<(u64, u64)>)> {
        let copy = Kvm::copy_of(&self.snapshot, files, to_reset)?;
        self.is_proven.store(true, Ordering::Relaxed);
        Ok(copy)
    }

    /// Its file, if no machine was made of it yet: this host may refuse what is
    /// in there.
    fn suspect(&self) -> Option<&Path> {
        let is_proven = self.is_proven.load(Ordering::Relaxed);
        self.kept.as_deref().filter(|_| !is_proven)
    }

    /// What a machine has told that begins here.
    fn journal(&self) -> Journal {
        let mut journal = Journal {
            phase: Phase::Ready,
            ready: Some(self.ready.clone()),
            ..Journal::default()
        };
        // The first request of a client.
        if let Some(started) = self.started(1) {
            journal.apply(started);
        }
        journal
    }

    /// The answer to request `id`, which started the process that runs in it.
    fn started(&self, id: u32) -> Option<Event<'static>> {
        let probe = self.probe.map(|it| (it.pid, it.root, it.abi));
        let shell = self.shell.as_ref().map(|it| (it.pid, it.root, it.abi));
        let (pid, root, abi) = probe.or(shell)?;
        Some(Event::Started { id, pid, root, abi })
    }
}

/// A sibling of a client's machine, which stands still.
pub(crate) fn sibling(client: &mut Client) -> Result<Client> {
    let (machine, _) = Kvm::copy_of(&client.snapshot()?, &[], false)?;
    let mut sibling = client.sibling(Box::new(machine));
    sibling.send("resume a copy", &Request::Resume(Resume::default()))?;
    Ok(sibling)
}

/// What a back end says that has no copies.
pub(crate) fn cannot_copy() -> Error {
    Error::Usage {
        what: "copy the machine".into(),
        why: "only the KVM back end can".into(),
        remedy: "MAYFLY_BACKEND=kvm, or a test that boots a machine of its own".into(),
    }
}

/// What cannot be: a machine that was made is not there.
fn no_machine() -> Error {
    Error::Ended {
        what: "run",
        how: "its machine is gone".into(),
    }
}

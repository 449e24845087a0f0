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

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mayfly_abi::Abi;
use mayfly_vmm::Snapshot;
use mayfly_wire::message::{Event, Request, Resume};

use crate::backend::BackendKind;
use crate::backend::kvm::Kvm;
use crate::client::Client;
use crate::error::{Error, Result, unexpected};
use crate::journal::{Answer, Journal, Ready};
use crate::options::{ExtraFile, VmOptions};
use crate::phase::Phase;
use crate::terminal::Line;
use copy::Copy;
use key::Key;

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
        match std::env::var("MAYFLY_SNAPSHOT").as_deref() {
            Err(_) | Ok("disk") => Ok(Self::Disk),
            Ok("memory") => Ok(Self::Memory),
            Ok("off") => Ok(Self::Off),
            Ok(other) => Err(crate::Error::Usage {
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

/// The origins that this process has, by the kind of machine.
static ORIGINS: LazyLock<Mutex<HashMap<Key, Slot>>> = LazyLock::new(Mutex::default);

/// An origin, while it is made and from then on.
type Slot = Arc<Mutex<Option<Arc<Origin>>>>;

/// Unix time that all copies of this process begin at: the same for all, so
/// that tests that run twice see the same.
static EPOCH: LazyLock<u64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs().max(1))
});

/// Where origins of one kind of machine come from.
struct Source {
    key: Key,
    on_disk: bool,
    setup_timeout: Duration,
}

/// A machine that begins as a copy, and its kernel's first message; `None`
/// when `options` ask for one that boots.
pub(crate) fn start(kind: BackendKind, options: &VmOptions) -> Result<Option<(Client, Ready)>> {
    let Some(source) = Source::of(kind, options)? else {
        return Ok(None);
    };
    let origin = source.booted(options)?;
    Ok(Some(source.copy(origin, options)))
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
    let key = source.key.at_prompt(line, program);
    let make = || {
        open_shell(
            &*source.booted(options)?,
            line,
            program,
            options.setup_timeout,
        )
    };
    // Whoever starts the program in the ordinary way hears what is wrong.
    let Ok(origin) = source.origin(&key, make) else {
        return Ok(None);
    };
    let Some(shell) = origin.shell.clone() else {
        return Ok(None);
    };
    let (mut client, ready) = source.copy(origin, options);
    client.look_at(line, shell.screen);
    let id = client.next_id();
    let answer = client.journal.answers.remove(&id);
    Ok(answer.map(|answer| (client, ready, answer)))
}

impl Source {
    /// Where machines with these options come from; `None` if they boot.
    fn of(kind: BackendKind, options: &VmOptions) -> Result<Option<Self>> {
        if kind != BackendKind::Kvm || options.meter_boot || options.clock_divisor != 1 {
            return Ok(None);
        }
        let usage = match options.snapshot.settled()? {
            SnapshotUse::Off if options.reset => SnapshotUse::Memory,
            usage => usage,
        };
        if usage == SnapshotUse::Off {
            return Ok(None);
        }
        Ok(Some(Self {
            key: Key::new(options)?,
            on_disk: usage == SnapshotUse::Disk,
            setup_timeout: options.setup_timeout,
        }))
    }

    /// The machine that has booted.
    fn booted(&self, options: &VmOptions) -> Result<Arc<Origin>> {
        self.origin(&self.key, || boot(options))
    }

    /// A copy, and what its kernel said first.
    fn copy(self, origin: Arc<Origin>, options: &VmOptions) -> (Client, Ready) {
        let (ready, journal) = (origin.ready.clone(), origin.journal());
        let copy = Copy::new(self, origin, options.files.clone(), options.reset);
        (Client::of(Box::new(copy), journal), ready)
    }

    /// The origin of `key`, which `make` makes if there is none.
    fn origin(&self, key: &Key, make: impl FnOnce() -> Result<Origin>) -> Result<Arc<Origin>> {
        let slot = {
            let mut origins = ORIGINS.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(origins.entry(key.clone()).or_default())
        };
        // Whoever wants the same kind meanwhile waits for this one.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = &*slot {
            return Ok(Arc::clone(origin));
        }
        let made = match self.on_disk {
            true => cache::find_or_make(key, make)?,
            false => make()?,
        };
        Ok(Arc::clone(slot.insert(Arc::new(made))))
    }

    /// The same with a probe of `abi` open.
    fn with_probe(&self, booted: &Origin, abi: Abi) -> Result<Arc<Origin>> {
        let key = self.key.with_probe(abi, booted.ready.entered_tsc);
        self.origin(&key, || open_probe(booted, abi, self.setup_timeout))
    }
}

impl Origin {
    /// What a machine has told that begins here.
    fn journal(&self) -> Journal {
        let mut journal = Journal {
            phase: Phase::Ready,
            ready: Some(self.ready.clone()),
            ..Journal::default()
        };
        let probe = self.probe.map(|it| (it.pid, it.root, it.abi));
        let shell = self.shell.as_ref().map(|it| (it.pid, it.root, it.abi));
        if let Some((pid, root, abi)) = probe.or(shell) {
            // The first request of a client.
            journal.apply(Event::Started {
                id: 1,
                pid,
                root,
                abi,
            });
        }
        journal
    }
}

/// A sibling of a client's machine, which stands still.
pub(crate) fn sibling(client: &mut Client) -> Result<Client> {
    let (machine, _) = Kvm::copy_of(&client.snapshot()?, &[], false)?;
    let mut sibling = client.sibling(Box::new(machine));
    sibling.send("resume a copy", &Request::Resume(Resume::default()))?;
    Ok(sibling)
}

/// Boots a machine without the caller's own files, and lets it stand still.
fn boot(options: &VmOptions) -> Result<Origin> {
    let options = VmOptions {
        files: Vec::new(),
        ..options.clone()
    };
    let mut client = Client::new(Box::new(Kvm::start(&options)?));
    let ready = client.ready(options.setup_timeout)?;
    client.stop(options.setup_timeout)?;
    Ok(Origin {
        snapshot: client.into_snapshot()?,
        ready,
        probe: None,
        shell: None,
    })
}

/// A copy of a machine that has booted, and goes on.
fn resumed(booted: &Origin) -> Result<Client> {
    let (machine, _) = Kvm::copy_of(&booted.snapshot, &[], false)?;
    let mut client = Client::of(Box::new(machine), booted.journal());
    client.send("resume a copy", &Request::Resume(Resume::default()))?;
    Ok(client)
}

/// Starts a program on the terminal of a machine that has booted, and lets it
/// stand where it waits for keys.
fn open_shell(booted: &Origin, line: Line, program: &str, timeout: Duration) -> Result<Origin> {
    let mut client = resumed(booted)?;
    let started = client.begin_on_terminal(line, program, timeout)?;
    let Answer::Started { pid, root, abi } = started else {
        return Err(unexpected("start a program on the terminal", &started));
    };
    let screen = client.until_prompt(timeout)?;
    client.stop(timeout)?;
    Ok(Origin {
        snapshot: client.into_snapshot()?,
        ready: booted.ready.clone(),
        probe: None,
        shell: Some(Shell {
            pid,
            root,
            abi,
            screen,
        }),
    })
}

/// Opens a probe in a machine that has booted, and lets it stand at its first
/// call.
fn open_probe(booted: &Origin, abi: Abi, timeout: Duration) -> Result<Origin> {
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
    Ok(Origin {
        snapshot: client.into_snapshot()?,
        ready: booted.ready.clone(),
        probe: Some(OpenProbe {
            pid,
            root,
            abi,
            mailbox,
        }),
        shell: None,
    })
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

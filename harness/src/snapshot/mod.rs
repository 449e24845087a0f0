//! Machines that begin as a copy of one that has booted.
//!
//! Purpose: a microVM for each test in less than it takes to boot. A kernel is
//! booted once for each kind of machine, stands still, and becomes an
//! [`Origin`]; machines of that kind are copies, which share its memory until
//! they write. Origins are kept in this process and, by `cache`, on disk.
//! Neighbours: `microvm` asks for copies, the KVM back end makes them.

mod cache;
mod key;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use mayfly_vmm::Snapshot;
use mayfly_wire::message::{Request, Resume};

use crate::backend::BackendKind;
use crate::backend::kvm::Kvm;
use crate::client::Client;
use crate::error::Result;
use crate::journal::{Journal, Ready};
use crate::options::VmOptions;
use crate::phase::Phase;
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

/// A machine that has booted and stands still.
pub(crate) struct Origin {
    snapshot: Snapshot,
    ready: Ready,
}

/// The origins that this process has, by the kind of machine.
static ORIGINS: LazyLock<Mutex<HashMap<Key, Slot>>> = LazyLock::new(Mutex::default);

/// An origin, while it is made and from then on.
type Slot = Arc<Mutex<Option<Arc<Origin>>>>;

/// Unix time that all copies of this process begin at: the same for all, so
/// that tests that run twice see the same.
static EPOCH: LazyLock<u64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
});

/// A machine that begins as a copy; `None` when `options` ask for one that boots.
pub(crate) fn start(kind: BackendKind, options: &VmOptions) -> Result<Option<(Client, Begun)>> {
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
    let key = Key::new(options)?;
    let slot = {
        let mut origins = ORIGINS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(origins.entry(key.clone()).or_default())
    };
    // Whoever wants the same kind meanwhile waits for this one.
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let origin = match &*slot {
        Some(origin) => Arc::clone(origin),
        None => {
            let made = Arc::new(match usage {
                SnapshotUse::Disk => cache::find_or_make(&key, || boot(options))?,
                _ => boot(options)?,
            });
            Arc::clone(slot.insert(made))
        }
    };
    drop(slot);
    let (machine, bundle) = Kvm::copy_of(&origin.snapshot, &options.files, options.reset)?;
    let mut client = Client::of(Box::new(machine), origin.journal());
    let (bundle, bundle_size) = bundle.unwrap_or_default();
    let resume = Resume {
        epoch: *EPOCH,
        bundle,
        bundle_size,
    };
    client.send("resume a copy", &Request::Resume(resume))?;
    let origin = Begun { origin, resume };
    Ok(Some((client, origin)))
}

/// What a machine began as, and what it was told then.
pub(crate) struct Begun {
    origin: Arc<Origin>,
    resume: Resume,
}

impl Begun {
    /// The first message of the kernel.
    pub(crate) fn ready(&self) -> &Ready {
        &self.origin.ready
    }

    /// Makes the client's machine what it was at first.
    pub(crate) fn begin_again(&self, client: &mut Client) -> Result<()> {
        client.reset(&self.origin.snapshot, self.origin.journal())?;
        client.send("resume a machine", &Request::Resume(self.resume))
    }
}

impl Origin {
    /// What a machine has told that begins here.
    fn journal(&self) -> Journal {
        Journal {
            phase: Phase::Ready,
            ready: Some(self.ready.clone()),
            ..Journal::default()
        }
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
    })
}

//! Where origins come from: this process has them, the disk, or they are made.
//!
//! Neighbours: `cache` is the disk, `make` makes them, `copy` has a source for
//! the case that it needs another origin.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use mayfly_abi::Abi;

use super::key::Key;
use super::{Origin, SnapshotUse, cache, make};
use crate::backend::BackendKind;
use crate::error::{Error, Result};
use crate::options::VmOptions;
use crate::terminal::Line;

/// The origins that this process has, by the kind of machine.
static ORIGINS: LazyLock<Mutex<HashMap<Key, Arc<Mutex<Slot>>>>> = LazyLock::new(Mutex::default);

/// An origin, while it is made and from then on.
#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Made(Arc<Origin>),
    /// There is none to be had, and nobody waits for that again.
    Refused,
}

/// Where origins of one kind of machine come from.
pub(super) struct Source {
    pub(super) options: VmOptions,
    key: Key,
    is_on_disk: bool,
}

impl Source {
    /// Where machines with these options come from; `None` if they boot.
    pub(super) fn of(kind: BackendKind, options: &VmOptions) -> Result<Option<Self>> {
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
            is_on_disk: usage == SnapshotUse::Disk,
            options: options.clone(),
        }))
    }

    /// The machine that has booted.
    pub(super) fn booted(&self) -> Result<Arc<Origin>> {
        let make = || make::boot(&self.options);
        self.origin(&self.key, self.is_on_disk, make)
    }

    /// The same with a probe of `abi` open.
    pub(super) fn with_probe(&self, booted: &Origin, abi: Abi) -> Result<Arc<Origin>> {
        let key = self.probe_key(booted, abi);
        // Nobody who comes later has the machine that it is of.
        let is_on_disk = self.is_on_disk && booted.kept.is_some();
        let make = || make::open_probe(booted, abi, self.options.setup_timeout);
        self.origin(&key, is_on_disk, make)
    }

    /// The same with a program that stands at its prompt, if it comes to that.
    pub(super) fn at_prompt(&self, line: Line, program: &str) -> Option<Arc<Origin>> {
        let key = self.key.at_prompt(line, program);
        let timeout = self.options.setup_timeout;
        let make = || make::open_shell(&*self.booted()?, line, program, timeout);
        let slot = slot(&key);
        let mut slot = lock(&slot);
        let made = self.fill(&mut slot, &key, self.is_on_disk, make);
        if made.is_err() {
            *slot = Slot::Refused;
        }
        made.ok().flatten()
    }

    /// The origin of `key`, which `make` makes if there is none.
    fn origin(
        &self,
        key: &Key,
        is_on_disk: bool,
        make: impl FnOnce() -> Result<Origin>,
    ) -> Result<Arc<Origin>> {
        let slot = slot(key);
        // Whoever wants the same kind meanwhile waits for this one.
        let made = self.fill(&mut lock(&slot), key, is_on_disk, make)?;
        made.ok_or_else(super::no_machine)
    }

    /// What is in a slot, or in it from now on; `None`: it is refused.
    fn fill(
        &self,
        slot: &mut Slot,
        key: &Key,
        is_on_disk: bool,
        make: impl FnOnce() -> Result<Origin>,
    ) -> Result<Option<Arc<Origin>>> {
        match slot {
            Slot::Made(origin) => return Ok(Some(Arc::clone(origin))),
            Slot::Refused => return Ok(None),
            Slot::Empty => {}
        }
        let made = match is_on_disk {
            true => cache::find_or_make(key, self.options.setup_timeout, make)?,
            false => make()?,
        };
        let made = Arc::new(made);
        *slot = Slot::Made(Arc::clone(&made));
        Ok(Some(made))
    }

    fn probe_key(&self, booted: &Origin, abi: Abi) -> Key {
        self.key.with_probe(abi, booted.ready.entered_tsc)
    }

    /// Does away with a machine that has booted, if it may be its file's fault
    /// that no copy could be made of it; else that was because of `why`.
    pub(super) fn discard(&self, booted: &Arc<Origin>, why: Error) -> Result<()> {
        discard(&self.key, booted, why)
    }

    /// The same for one with a probe of `abi`.
    pub(super) fn discard_probe(
        &self,
        booted: &Origin,
        abi: Abi,
        origin: &Arc<Origin>,
        why: Error,
    ) -> Result<()> {
        discard(&self.probe_key(booted, abi), origin, why)
    }

    /// The same for one with a program at its prompt.
    pub(super) fn discard_prompt(
        &self,
        line: Line,
        program: &str,
        origin: &Arc<Origin>,
        why: Error,
    ) -> Result<()> {
        discard(&self.key.at_prompt(line, program), origin, why)
    }
}

fn discard(key: &Key, origin: &Arc<Origin>, why: Error) -> Result<()> {
    // Another error is the caller's: of the files that it adds, say.
    let (Some(path), Error::Broken { why: words, .. }) = (origin.suspect(), &why) else {
        return Err(why);
    };
    let slot = slot(key);
    let mut slot = lock(&slot);
    // Unless somebody has done it meanwhile.
    if matches!(&*slot, Slot::Made(made) if Arc::ptr_eq(made, origin)) {
        cache::remove(path, words);
        *slot = Slot::Empty;
    }
    Ok(())
}

fn slot(key: &Key) -> Arc<Mutex<Slot>> {
    let mut origins = ORIGINS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(origins.entry(key.clone()).or_default())
}

/// A slot, also when somebody has panicked with it: it is plain data.
fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_a_prompt_is_asked_for_one_only_once() {
        let options = VmOptions::default().snapshot(SnapshotUse::Memory);
        let source = Source::of(BackendKind::Kvm, &options).unwrap().unwrap();
        let (line, program) = (Line::Console, "patchwork-hello");
        assert!(source.at_prompt(line, program).is_none());
        let slot = slot(&source.key.at_prompt(line, program));
        assert!(matches!(*lock(&slot), Slot::Refused));
        assert!(source.at_prompt(line, program).is_none());
    }
}

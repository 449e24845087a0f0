//! Origins on disk, for the processes to come.
//!
//! One file a key. It is written under another name and renamed when it is
//! whole; whoever finds none holds a lock while it makes one, so that processes
//! that start together boot one machine between them. What is found is checked
//! and never trusted: a file that is damaged or of another key is made anew. A
//! cache that cannot be used at all is no error: the machine just boots.
//! Neighbours: the parent, and `mayfly_vmm::Snapshot`, whose format this is.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, SystemTime};

use mayfly_vmm::{Module, Snapshot};

use super::key::Key;
use super::{Origin, label};
use crate::error::Result;
use crate::{environment, image, tell};
use entry::Unusable;
use prune::{LIMITS, RANDOM, UNFINISHED, is_same_day, prune};

mod entry;
mod prune;

/// What is behind a key in a file's name.
const SNAPSHOT: &str = "snapshot";
const LOCK: &str = "lock";

/// The origin of `key`: the one on disk, or what `make` makes, which is kept.
/// Whoever makes it already is waited for as long as `patience`.
pub(super) fn find_or_make(
    key: &Key,
    patience: Duration,
    make: impl FnOnce() -> Result<Origin>,
) -> Result<Origin> {
    let Some(folder) = folder() else {
        return make();
    };
    let path = folder.join(key.file_name()).with_extension(SNAPSHOT);
    match load(&path, key) {
        Found::Good(origin) => return Ok(*origin),
        Found::Foreign(whose) => {
            explain(&Unusable::Foreign(whose), patience);
            return make();
        }
        Found::None | Found::Bad(_) => {}
    }
    let _lock = match entry::lock(&path, patience) {
        Ok(lock) => lock,
        Err(why) => {
            explain(&why, patience);
            return make();
        }
    };
    // Another process may have made it while this one waited.
    match load(&path, key) {
        Found::Good(origin) => return Ok(*origin),
        Found::None | Found::Foreign(_) => {}
        Found::Bad(why) => tell::warn(format_args!(
            "the snapshot {} is made anew: {why}",
            path.display()
        )),
    }
    let mut origin = make()?;
    match store(&path, key, &origin) {
        Ok(()) => origin.kept = Some(path),
        Err(error) => tell::warn(format_args!(
            "no snapshot is kept in {}: {error}",
            folder.display()
        )),
    }
    Ok(origin)
}

/// Says why this machine boots, if that is worth a line.
fn explain(why: &Unusable, patience: Duration) {
    static FOREIGN: Once = Once::new();
    match why {
        Unusable::Foreign(path) => FOREIGN.call_once(|| {
            tell::warn(format_args!(
                "this machine boots: {} is another user's; MAYFLY_CACHE_DIR names a folder of \
                 your own",
                path.display()
            ));
        }),
        Unusable::Held(lock) => tell::warn(format_args!(
            "this machine boots: somebody has held {} for {patience:?}",
            lock.display()
        )),
        Unusable::Missing | Unusable::Broken(_) => {}
    }
}

/// What there is on disk.
enum Found {
    Good(Box<Origin>),
    None,
    /// It is another user's.
    Foreign(PathBuf),
    /// Something that cannot be used, and why.
    Bad(String),
}

fn load(path: &Path, key: &Key) -> Found {
    let (file, about) = match entry::open(path) {
        Ok(opened) => opened,
        Err(Unusable::Missing) => return Found::None,
        Err(Unusable::Foreign(path)) => return Found::Foreign(path),
        Err(Unusable::Broken(error)) => return Found::Bad(error.to_string()),
        Err(Unusable::Held(_)) => return Found::Bad("it is held".into()),
    };
    use_now(&file, &about, path);
    let modules = vec![Module::Static(image::bundle())];
    let (snapshot, label) = match Snapshot::load(file, modules) {
        Ok(loaded) => loaded,
        Err(error) => return Found::Bad(error.to_string()),
    };
    match label::read(&label, key) {
        Ok(told) => {
            let mut origin = Origin::new(snapshot, told.ready);
            (origin.probe, origin.shell) = (told.probe, told.shell);
            origin.kept = Some(path.into());
            Found::Good(Box::new(origin))
        }
        Err(why) => Found::Bad(why),
    }
}

/// Notes that a file is used: it is not the first to be removed. For the first
/// time on a day, others are looked at.
fn use_now(file: &File, about: &Metadata, path: &Path) {
    let now = SystemTime::now();
    // If it cannot be noted, it is removed earlier.
    let _noted = file.set_modified(now);
    let (Ok(used), Some(folder)) = (about.modified(), path.parent()) else {
        return;
    };
    if !is_same_day(used, now) {
        prune(folder, path, &LIMITS);
    }
}

fn store(path: &Path, key: &Key, origin: &Origin) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .rand_bytes(RANDOM)
        .tempfile_in(folder)?;
    let label = label::write(key, origin)?;
    let saved = origin.snapshot.save(written.as_file(), &label);
    saved.map_err(io::Error::other)?;
    written.persist(path).map_err(|error| error.error)?;
    prune(folder, path, &LIMITS);
    Ok(())
}

/// Removes a file of which this host makes no machine.
pub(super) fn remove(path: &Path, why: &str) {
    let removed = match fs::remove_file(path) {
        Ok(()) => "is removed",
        Err(_) => "cannot be removed",
    };
    tell::warn(format_args!(
        "the snapshot {} {removed}, and a machine boots: {why}",
        path.display()
    ));
}

/// Where snapshots are kept: `MAYFLY_CACHE_DIR`; the build folder that this
/// program lies in; the user's folder for caches.
fn folder() -> Option<PathBuf> {
    let variable = |name| environment::value(name).map(PathBuf::from);
    if let Some(folder) = variable("MAYFLY_CACHE_DIR") {
        return Some(folder);
    }
    let program = std::env::current_exe().ok()?;
    // Cargo marks its build folders with this file.
    let build = program
        .ancestors()
        .find(|at| at.join("CACHEDIR.TAG").is_file());
    if let Some(build) = build {
        return Some(build.join("mayfly"));
    }
    let home = || Some(variable("HOME")?.join(".cache"));
    Some(variable("XDG_CACHE_HOME").or_else(home)?.join("mayfly"))
}

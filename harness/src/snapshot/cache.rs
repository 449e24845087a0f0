//! Origins on disk, for the processes to come.
//!
//! One file a key. It is written under another name and renamed when it is
//! whole; whoever finds none holds a lock while it makes one, so that processes
//! that start together boot one machine between them. What is found is checked
//! and never trusted: a file that is damaged or of another key is made anew. A
//! cache that cannot be used at all is no error: the machine just boots.
//! Neighbours: the parent, and `mayfly_vmm::Snapshot`, whose format this is.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mayfly_vmm::{Module, Snapshot};
use mayfly_wire::frame;
use mayfly_wire::message::{self, Event};

use super::Origin;
use super::key::Key;
use crate::error::Result;
use crate::image;
use crate::journal::{Journal, Ready};

/// Files that were not used for so long are removed.
const AGE_MAX: Duration = Duration::from_secs(14 * 24 * 3600);
/// Bytes on disk that all files may take.
const SIZE_MAX: u64 = 256 << 20;
/// Between the key and the kernel's first message in a file's label.
const SEPARATOR: &[u8] = b"\0";

/// The origin of `key`: the one on disk, or what `make` makes, which is kept.
pub(super) fn find_or_make(key: &Key, make: impl FnOnce() -> Result<Origin>) -> Result<Origin> {
    let Some(folder) = folder() else {
        return make();
    };
    let path = folder.join(key.file_name()).with_extension("snapshot");
    if let Found::Good(origin) = load(&path, key) {
        return Ok(origin);
    }
    let Ok(_lock) = lock(&path) else {
        return make();
    };
    // Another process may have made it while this one waited.
    match load(&path, key) {
        Found::Good(origin) => return Ok(origin),
        Found::None => {}
        Found::Bad(why) => eprintln!(
            "mayfly: the snapshot {} is made anew: {why}",
            path.display()
        ),
    }
    let origin = make()?;
    if let Err(error) = store(&path, key, &origin) {
        eprintln!(
            "mayfly: no snapshot is kept in {}: {error}",
            folder.display()
        );
    }
    Ok(origin)
}

/// What there is on disk.
enum Found {
    Good(Origin),
    None,
    /// Something that cannot be used, and why.
    Bad(String),
}

fn load(path: &Path, key: &Key) -> Found {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::None,
        Err(error) => return Found::Bad(error.to_string()),
    };
    // Used now: it is not the first to be removed. If that cannot be noted,
    // it is removed earlier.
    let _noted = file.set_modified(SystemTime::now());
    let modules = vec![Module::Static(image::bundle())];
    let (snapshot, label) = match Snapshot::load(file, modules) {
        Ok(loaded) => loaded,
        Err(error) => return Found::Bad(error.to_string()),
    };
    match read_label(&label, key) {
        Ok(ready) => Found::Good(Origin { snapshot, ready }),
        Err(why) => Found::Bad(why),
    }
}

fn store(path: &Path, key: &Key, origin: &Origin) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = tempfile::Builder::new()
        .prefix("unfinished-")
        .tempfile_in(folder)?;
    let label = label(key, &origin.ready)?;
    let saved = origin.snapshot.save(written.as_file(), &label);
    saved.map_err(io::Error::other)?;
    written.persist(path).map_err(|error| error.error)?;
    prune(folder, path);
    Ok(())
}

/// Holds the key's lock until it is dropped; waits for who holds it now.
fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let lock = File::create(path.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

fn label(key: &Key, ready: &Ready) -> io::Result<Vec<u8>> {
    let mut bytes = [0; 512];
    let ready = Event::Ready(message::Ready {
        version: ready.version,
        kernel: &ready.kernel,
        direct: ready.direct,
        entered_tsc: ready.entered_tsc,
        ready_tsc: ready.ready_tsc,
        tsc_khz: ready.tsc_khz,
        protections: ready.protections,
        frames_free: ready.frames_free,
    });
    let used = frame::encode(&ready, &mut bytes)
        .map_err(|_| io::Error::other("the kernel's first message is too long"))?;
    Ok([key.text().as_bytes(), SEPARATOR, &bytes[..used]].concat())
}

fn read_label(label: &[u8], key: &Key) -> std::result::Result<Ready, String> {
    let broken = || "its label is none of ours".to_owned();
    let end = label
        .iter()
        .position(|byte| *byte == 0)
        .ok_or_else(broken)?;
    let text = std::str::from_utf8(&label[..end]).map_err(|_| broken())?;
    if let Some(difference) = key.difference(text) {
        return Err(format!("it is of another machine ({difference})"));
    }
    let body = match frame::split(&label[end + SEPARATOR.len()..]) {
        Ok(Some((body, []))) => body,
        _ => return Err(broken()),
    };
    let mut journal = Journal::default();
    journal.apply(frame::decode(body).map_err(|_| broken())?);
    journal.ready.ok_or_else(broken)
}

/// Removes what was not used for long, the oldest beyond the size, and what a
/// process left that was killed.
fn prune(folder: &Path, newest: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let about = entry.metadata().ok()?;
            Some((about.modified().ok()?, disk_bytes(&about), entry.path()))
        })
        .filter(|(_, _, path)| path != newest)
        .collect();
    files.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
    let now = SystemTime::now();
    let mut total = 0;
    for (used, bytes, path) in files {
        total += bytes;
        let age = now.duration_since(used).unwrap_or_default();
        if age > AGE_MAX || total > SIZE_MAX {
            // If somebody else removes it first, that is as good.
            let _removed = fs::remove_file(path);
        }
    }
}

fn disk_bytes(about: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(about) * 512
}

/// Where snapshots are kept: `MAYFLY_CACHE_DIR`; the build folder that this
/// program lies in; the user's folder for caches.
fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("MAYFLY_CACHE_DIR") {
        return Some(folder.into());
    }
    let program = std::env::current_exe().ok()?;
    // Cargo marks its build folders with this file.
    let build = program
        .ancestors()
        .find(|at| at.join("CACHEDIR.TAG").is_file());
    if let Some(build) = build {
        return Some(build.join("mayfly"));
    }
    let user = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    Some(user.or_else(home)?.join("mayfly"))
}

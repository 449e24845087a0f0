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

use super::key::Key;
use super::{Origin, label};
use crate::error::Result;
use crate::image;

/// What is kept.
const LIMITS: Limits = Limits {
    age: Duration::from_secs(14 * 24 * 3600),
    unfinished: Duration::from_secs(3600),
    bytes: 256 << 20,
};
/// What the name of a file begins with until it is whole.
const UNFINISHED: &str = "unfinished-";
/// Characters of the name behind that.
const RANDOM: usize = 6;
/// Digits of a key, which is a file's name, and what is behind it.
const KEY_DIGITS: usize = 16;
const SNAPSHOT: &str = "snapshot";
const LOCK: &str = "lock";

/// The origin of `key`: the one on disk, or what `make` makes, which is kept.
pub(super) fn find_or_make(key: &Key, make: impl FnOnce() -> Result<Origin>) -> Result<Origin> {
    let Some(folder) = folder() else {
        return make();
    };
    let path = folder.join(key.file_name()).with_extension(SNAPSHOT);
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
    match label::read(&label, key) {
        Ok(told) => Found::Good(Origin {
            snapshot,
            ready: told.ready,
            probe: told.probe,
            shell: told.shell,
        }),
        Err(why) => Found::Bad(why),
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

/// Holds the key's lock until it is dropped; waits for who holds it now.
fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let lock = File::create(path.with_extension(LOCK))?;
    lock.lock()?;
    Ok(lock)
}

/// When files are removed.
struct Limits {
    /// They were not used for so long.
    age: Duration,
    /// They were begun so long ago, by a process that was killed.
    unfinished: Duration,
    /// Newer ones take so many bytes on disk.
    bytes: u64,
}

/// Removes what was not used for long, the oldest beyond the size, and what a
/// process left that was killed.
fn prune(folder: &Path, newest: &Path, limits: &Limits) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let about = entry.metadata().ok()?;
            let is_ours = entry.file_name().to_str().is_some_and(is_ours);
            let file = (about.modified().ok()?, disk_bytes(&about), entry.path());
            is_ours.then_some(file)
        })
        .filter(|(_, _, path)| path != newest)
        .collect();
    files.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
    let now = SystemTime::now();
    let mut total = 0;
    for (used, bytes, path) in files {
        total += bytes;
        let age = now.duration_since(used).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let age_max = match name.starts_with(UNFINISHED.as_bytes()) {
            true => limits.unfinished,
            false => limits.age,
        };
        if age > age_max || total > limits.bytes {
            // If somebody else removes it first, that is as good.
            let _removed = fs::remove_file(path);
        }
    }
}

/// A file that this module made has such a name: whoever chose the folder may
/// have others there.
fn is_ours(name: &str) -> bool {
    if let Some(random) = name.strip_prefix(UNFINISHED) {
        return random.len() == RANDOM;
    }
    let Some((key, SNAPSHOT | LOCK)) = name.split_once('.') else {
        return false;
    };
    key.len() == KEY_DIGITS && key.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn disk_bytes(about: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(about) * 512
}

/// Where snapshots are kept: `MAYFLY_CACHE_DIR`; the build folder that this
/// program lies in; the user's folder for caches. A variable that is empty is
/// as good as none.
fn folder() -> Option<PathBuf> {
    let variable = |name| {
        let value = std::env::var_os(name)?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of whole blocks that was used so many seconds ago.
    fn file(folder: &Path, name: &str, kibibytes: usize, seconds: u64) {
        let path = folder.join(name);
        fs::write(&path, vec![1; kibibytes << 10]).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        // The size on disk is known when it is there.
        file.sync_all().unwrap();
        let used = SystemTime::now() - Duration::from_secs(seconds);
        file.set_modified(used).unwrap();
    }

    fn snapshot(key: &str) -> String {
        format!("{key:0>16}.{SNAPSHOT}")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_old_or_too_much_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let limits = Limits {
            age: Duration::from_secs(1000),
            unfinished: Duration::from_secs(100),
            bytes: 96 << 10,
        };
        let [new, old, a, b, c] = ["0e", "01", "0a", "0b", "0c"].map(snapshot);
        file(folder, &new, 64, 2000);
        file(folder, &old, 16, 1100);
        file(folder, &a, 64, 10);
        file(folder, &b, 16, 900);
        file(folder, &c, 32, 950);
        file(folder, "unfinished-aaaaaa", 8, 50);
        file(folder, "unfinished-bbbbbb", 0, 150);
        prune(folder, &folder.join(&new), &limits);
        assert_eq!(names(folder), [a, b, new, "unfinished-aaaaaa".into()]);
        prune(&folder.join("none"), folder, &limits);
    }

    #[test]
    fn what_others_keep_in_the_folder_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let limits = Limits {
            age: Duration::ZERO,
            unfinished: Duration::ZERO,
            bytes: 0,
        };
        let others = [
            "thesis.tex",
            "x.snapshot",
            "0123456789abcdef",
            "0123456789abcdef.tar",
            "0123456789abcdeg.snapshot",
            "unfinished-novel",
        ];
        for name in others {
            file(folder, name, 4, 1 << 30);
        }
        prune(folder, &folder.join("none"), &limits);
        let mut kept = others.map(String::from);
        kept.sort();
        assert_eq!(names(folder), kept);
    }
}

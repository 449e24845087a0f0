//! What is kept in a folder of snapshots, and what goes.
//!
//! Neighbours: the parent, and `entry`, which opens what is there.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{LOCK, SNAPSHOT};

/// What is kept.
pub(super) const LIMITS: Limits = Limits {
    age: Duration::from_secs(14 * DAY),
    unfinished: Duration::from_secs(3600),
    bytes: 256 << 20,
};
const DAY: u64 = 24 * 3600;
/// What the name of a file begins with until it is whole.
pub(super) const UNFINISHED: &str = "unfinished-";
/// Characters of the name behind that.
pub(super) const RANDOM: usize = 6;
/// Digits of a key, which is a file's name before the extension.
const KEY_DIGITS: usize = 16;

/// Both are on one day: who uses a file for the first time on a day prunes.
pub(super) fn is_same_day(one: SystemTime, other: SystemTime) -> bool {
    let day = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs() / DAY)
    };
    day(one) == day(other)
}

/// When files are removed.
pub(super) struct Limits {
    /// They were not used for so long.
    age: Duration,
    /// They were begun so long ago, by a process that was killed.
    unfinished: Duration,
    /// Newer ones take so many bytes on disk.
    bytes: u64,
}

/// Removes what was not used for long, the oldest beyond the size, and what a
/// process left that was killed.
pub(super) fn prune(folder: &Path, newest: &Path, limits: &Limits) {
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;

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

    #[test]
    fn days_are_those_of_the_clock() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(is_same_day(at(DAY), at(2 * DAY - 1)));
        assert!(!is_same_day(at(DAY - 1), at(DAY)));
    }
}

//! Hash of the sources that say what a snapshot is, for its key.
//!
//! The build script takes it: a snapshot of an earlier revision of these is one
//! of another machine, whatever the version is called. Neighbours: `key`, and
//! `build.rs`, of which this is a part, as of the library's tests.

use std::fs;
use std::io;
use std::path::Path;

use crate::bundle;

/// Files and folders of the machine and of what is written of it, relative to
/// the workspace. The guest has a hash of its own.
pub(crate) const SOURCES: [&str; 7] = [
    "Cargo.lock",
    "harness/src/backend/kvm.rs",
    "harness/src/client/screen.rs",
    "harness/src/snapshot",
    "vmm/Cargo.toml",
    "vmm/machine/src",
    "vmm/src",
];

/// Hash of all that is in the [`SOURCES`], names included.
pub(crate) fn hash(root: &Path) -> io::Result<u64> {
    let mut all = Vec::new();
    for source in SOURCES {
        collect(root, Path::new(source), &mut all)?;
    }
    Ok(bundle::hash(&all))
}

fn collect(root: &Path, source: &Path, all: &mut Vec<u8>) -> io::Result<()> {
    let path = root.join(source);
    if path.is_dir() {
        let entries = fs::read_dir(&path)?;
        let names = entries.map(|entry| Ok(entry?.file_name()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        return names
            .iter()
            .try_for_each(|name| collect(root, &source.join(name), all));
    }
    let bytes = fs::read(path)?;
    let name = source.as_os_str().as_encoded_bytes();
    for part in [name, &bytes] {
        all.extend((part.len() as u64).to_le_bytes());
        all.extend(part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_has_the_hash_of_the_sources_as_they_are() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let now = format!("{:016x}", hash(&root).unwrap());
        assert_eq!(env!("MAYFLY_MACHINE_HASH"), now);
    }

    #[test]
    fn whatever_changes_gives_another_hash() {
        let root = tempfile::tempdir().unwrap();
        let at = |source: &str| root.path().join(source);
        for source in SOURCES {
            let is_file = Path::new(source).extension().is_some();
            let folder = if is_file {
                at(source).parent().unwrap().into()
            } else {
                at(source)
            };
            fs::create_dir_all(folder).unwrap();
            if is_file {
                fs::write(at(source), b"x").unwrap();
            }
        }
        let mut seen = Vec::new();
        let mut changed = || {
            let now = hash(root.path()).unwrap();
            assert!(!seen.contains(&now));
            seen.push(now);
        };
        changed();
        fs::write(at("vmm/src/boot.rs"), b"one").unwrap();
        changed();
        fs::write(at("vmm/src/boot.rs"), b"two").unwrap();
        changed();
        fs::rename(at("vmm/src/boot.rs"), at("vmm/src/book.rs")).unwrap();
        changed();
        fs::create_dir(at("vmm/src/device")).unwrap();
        fs::rename(at("vmm/src/book.rs"), at("vmm/src/device/book.rs")).unwrap();
        changed();
        fs::remove_file(at("Cargo.lock")).unwrap();
        hash(root.path()).unwrap_err();
    }
}

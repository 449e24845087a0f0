//! The sources that the tool is made of, and their hash.
//!
//! Purpose: a tool tells by this whether it was built from the sources that lie
//! here, committed or not; a commit alone changes nothing. Neighbours: the macro
//! `built_from` of this crate hashes them when the tool is compiled, `mayfly
//! bench` when it asks, with this same file.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher as _;
use std::io;
use std::path::{Path, PathBuf};

/// Files and folders, relative to the workspace.
const SOURCES: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "bench/Cargo.toml",
    "bench/src",
    "harness/Cargo.toml",
    "harness/build.rs",
    "harness/macros",
    "harness/src",
    "kernel",
    "user",
    "vmm/machine",
    "vmm/src",
];
/// What is compiled, assembled, linked or included; the rest is read by people.
const KINDS: [&str; 6] = ["html", "ld", "lock", "rs", "s", "toml"];

/// Those files, in their order, relative to the workspace.
pub(crate) fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for source in SOURCES {
        collect(root, Path::new(source), &mut all)?;
    }
    Ok(all)
}

/// Hash of all that is in those files, names included.
pub(crate) fn hash(root: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    for file in files(root)? {
        for part in [
            file.as_os_str().as_encoded_bytes(),
            &fs::read(root.join(&file))?,
        ] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
    }
    Ok(hasher.finish())
}

fn collect(root: &Path, source: &Path, all: &mut Vec<PathBuf>) -> io::Result<()> {
    let path = root.join(source);
    if !path.is_dir() {
        let kind = source.extension().and_then(|it| it.to_str());
        if kind.is_some_and(|it| KINDS.contains(&it)) {
            // That it is there is part of it.
            path.metadata()?;
            all.push(source.into());
        }
        return Ok(());
    }
    let entries = fs::read_dir(&path)?;
    let names = entries.map(|entry| Ok(entry?.file_name()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    // What a build leaves behind is no source.
    names.retain(|name| name != "target");
    names
        .iter()
        .try_for_each(|name| collect(root, &source.join(name), all))
}

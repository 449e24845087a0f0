//! Runs that are kept: where, and on what host.
//!
//! Neighbours: `mayfly_bench::run` is the format, `mod` decides what to do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use mayfly::{fingerprint, image};
use mayfly_bench::{Error, Run, Testbed};

use super::lab::options;

/// Folder of the runs, in the folder that cargo builds in.
const RUNS: &str = "mayfly/bench";
/// What makes the kernel of a revision; a change there is none of it.
const SOURCES: [&str; 5] = ["kernel", "user", "vmm/machine", "Cargo.toml", "Cargo.lock"];

/// Where this host's figures are measured.
pub(super) fn testbed() -> anyhow::Result<Testbed> {
    let vm = options().boot()?;
    let khz = vm.ready().tsc_khz;
    let ring = fingerprint::calibrate()?;
    let emulated = ring.is_some_and(|ring| ring.is_emulated());
    let how = if emulated {
        "ring 0 emulated"
    } else {
        "ring 0 native"
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(Testbed {
        host: format!(
            "{} · {} · {how} · TSC {khz} kHz",
            fingerprint::processor(),
            vm.backend()
        ),
        tsc_khz: khz.into(),
        emulated,
        guest: format!("{:016x}", image::hash()),
        revision: revision().unwrap_or_default(),
        when: now.map_or(0, |now| now.as_secs()),
    })
}

/// The revision here, which is none if the sources are changed.
fn revision() -> Option<String> {
    let unchanged = changes(&root().ok()?).is_empty();
    let revision = git(&["rev-parse", "--short", "HEAD"])?;
    Some(match unchanged {
        true => revision,
        false => format!("{revision}, changed"),
    })
}

/// Folder of the repository here.
///
/// # Errors
/// Git's complaint.
pub(super) fn root() -> Result<String, String> {
    asked(&["rev-parse", "--show-toplevel"])
}

/// The commit that a revision names.
pub(super) fn commit(revision: &str) -> Option<String> {
    let full = format!("{revision}^{{commit}}");
    git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &full,
    ])
}

/// Changes of the working tree to what kernel and programs are made of.
pub(super) fn changes(root: &str) -> String {
    let mut status = vec!["-C", root, "status", "--porcelain", "--"];
    status.extend(SOURCES);
    git(&status).unwrap_or_default()
}

/// What git answers here; `None` when it cannot.
pub(super) fn git(arguments: &[&str]) -> Option<String> {
    asked(arguments).ok()
}

/// What git answers here, or its complaint.
pub(super) fn asked(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").args(arguments).output();
    let output = output.map_err(|error| format!("git cannot be run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// The file of a run.
pub(super) fn path(name: &str) -> PathBuf {
    folder().join(format!("{name}.jsonl"))
}

fn folder() -> PathBuf {
    built().join(RUNS)
}

/// Where kernels of other revisions are built.
pub(super) fn work() -> PathBuf {
    built().join("mayfly/ab")
}

/// The folder that cargo builds in.
fn built() -> PathBuf {
    let built = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    built.unwrap_or_else(|| {
        let here = std::env::current_dir().unwrap_or_default();
        let root = here
            .ancestors()
            .find(|folder| folder.join("Cargo.lock").is_file());
        root.unwrap_or(Path::new(".")).join("target")
    })
}

/// All that were kept, the oldest first.
pub(super) fn all() -> Vec<Run> {
    let entries = std::fs::read_dir(folder()).into_iter().flatten().flatten();
    // One that cannot be read is no part of a history.
    let mut runs: Vec<Run> = entries
        .filter_map(|entry| Run::load(&entry.path()).ok())
        .collect();
    runs.sort_by_key(|run| run.testbed.when);
    runs
}

/// Refuses to compare times of another testbed.
pub(super) fn check(here: &Testbed, there: &Testbed) -> Result<(), Error> {
    match here.is_like(there) {
        true => Ok(()),
        false => Err(Error::Foreign {
            here: here.host.clone(),
            there: there.host.clone(),
        }),
    }
}

//! Runs that are kept: where, on what host, and of which revision.
//!
//! Neighbours: `mayfly_bench::run` is the format, `mod` decides what to do.

#[path = "../../../macros/src/sources.rs"]
mod sources;

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use mayfly::{fingerprint, image};
use mayfly_bench::{Error, Run, Testbed};

use super::BASELINE;
use super::lab::options;

/// Folder of the runs, in the folder that cargo builds in.
const RUNS: &str = "mayfly/bench";
/// What makes the kernel of a revision; a change there is none of it.
const SOURCES: [&str; 5] = ["kernel", "user", "vmm/machine", "Cargo.toml", "Cargo.lock"];
/// What makes the rest of the tool, whose part times have, too.
const TOOL: [&str; 3] = ["vmm", "harness", "bench/src"];

/// Where this host's figures are measured.
pub(super) fn testbed() -> anyhow::Result<Testbed> {
    let vm = options().boot()?;
    let khz = vm.ready().tsc_khz;
    let ring = fingerprint::calibrate()?;
    let ring = ring.context("a null call was not counted: nobody knows how ring 0 runs here")?;
    let emulated = ring.is_emulated();
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
        tool: tool().unwrap_or_default(),
        entry: String::new(),
        revision: revision().unwrap_or_default(),
        when: now.map_or(0, |now| now.as_secs()),
    })
}

/// Hash of this tool.
fn tool() -> Option<String> {
    let bytes = std::fs::read(std::env::current_exe().ok()?).ok()?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    Some(format!("{:016x}", hasher.finish()))
}

/// This tool was built from the sources in a workspace as they are now.
pub(super) fn is_built_from(root: &Path) -> bool {
    let then = mayfly_macros::built_from!();
    let now = sources::hash(root).map(|now| format!("{now:016x}"));
    now.is_ok_and(|now| now == then)
}

/// The revision that this tool is of, which is none if its sources are changed;
/// `None` if it was built from others than those here.
fn revision() -> Option<String> {
    let root = root().ok()?;
    if !is_built_from(Path::new(&root)) {
        return None;
    }
    let changes = changes_to(&root, &[&SOURCES[..], &TOOL].concat());
    let revision = git(&["rev-parse", "--short", "HEAD"])?;
    Some(match changes.is_ok_and(|it| it.is_empty()) {
        true => revision,
        false => format!("{revision}, changed"),
    })
}

/// Refuses names that are no file's in the folder of the runs, or that mean
/// something else to `--against`.
pub(super) fn check_name(name: &str) -> Result<(), mayfly::Error> {
    let refused = |why: &str| mayfly::Error::Usage {
        what: format!("keep a run as {name}"),
        why: why.into(),
        remedy: "another name; or --bless, to agree to these counts".into(),
    };
    match name {
        BASELINE => Err(refused(
            "--against baseline means the counts that were agreed on",
        )),
        _ if !is_name(name) => Err(refused(
            "it has more than letters, digits, dots, dashes and underscores in it, or begins with a dot or a dash",
        )),
        _ if commit(name).is_some() => Err(refused(
            "git has a revision of that name, which --against would not find any more",
        )),
        _ => Ok(()),
    }
}

/// A run can have this name.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |it: char| it.is_alphanumeric() || matches!(it, '.' | '-' | '_');
    !name.is_empty() && !name.starts_with(['.', '-']) && name.chars().all(plain)
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
///
/// # Errors
/// Git's complaint: what it cannot tell is not unchanged.
pub(super) fn changes(root: &str) -> Result<String, String> {
    changes_to(root, &SOURCES)
}

fn changes_to(root: &str, sources: &[&str]) -> Result<String, String> {
    let status = ["-C", root, "status", "--porcelain", "--"];
    asked(&[&status[..], sources].concat())
}

/// Only the newest commits are here: others are not missing, but elsewhere.
pub(super) fn is_shallow() -> bool {
    git(&["rev-parse", "--is-shallow-repository"]).is_some_and(|it| it == "true")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_knows_what_it_was_built_from() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(is_built_from(&workspace));
        let other = tempfile::tempdir().unwrap();
        assert!(!is_built_from(other.path()));
        // A copy is the same, until one letter or one name changes.
        let copy = |file: &Path| {
            let place = other.path().join(file);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::copy(workspace.join(file), &place).unwrap();
        };
        let files = sources::files(&workspace).unwrap();
        files.iter().for_each(|file| copy(file));
        assert!(is_built_from(other.path()));
        let at = |file: &str| other.path().join(file);
        std::fs::write(at("kernel/README.md"), "words").unwrap();
        assert!(is_built_from(other.path()));
        let text = std::fs::read_to_string(at("vmm/src/vm.rs")).unwrap();
        std::fs::write(at("vmm/src/vm.rs"), text.clone() + " ").unwrap();
        assert!(!is_built_from(other.path()));
        std::fs::write(at("vmm/src/vm.rs"), text).unwrap();
        assert!(is_built_from(other.path()));
        std::fs::rename(at("vmm/src/vm.rs"), at("vmm/src/wm.rs")).unwrap();
        assert!(!is_built_from(other.path()));
    }

    #[test]
    fn a_run_is_kept_in_its_folder_and_nowhere_else() {
        for name in ["before", "v1.2", "a_b-c"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "", "../up", "a/b", ".hidden", "-x", "HEAD~1", "a b", "/etc/x",
        ] {
            assert!(!is_name(name), "{name}");
            assert!(check_name(name).is_err());
        }
        assert!(check_name(BASELINE).is_err());
    }
}

//! Snapshots on disk: found, checked, made anew, and left whole by who dies.
//!
//! Purpose: whatever is in the folder, a run gives what it gives without one.
//! Neighbours: `fork.rs` has what copies are; `src/snapshot/cache.rs` prunes.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The tool, to run a program with a cache folder.
fn tool(cache: &Path) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    tool.args(["run", "--backend", "kvm", "patchwork-hello"])
        .env("MAYFLY_CACHE_DIR", cache)
        .env_remove("MAYFLY_SNAPSHOT");
    tool
}

/// Runs it; its standard error.
fn run(cache: &Path) -> String {
    output(&mut tool(cache))
}

fn output(tool: &mut Command) -> String {
    let output = tool.output().expect("the tool can be run");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    assert!(output.stdout.starts_with(b"Hello from PatchworkOS!"));
    error
}

fn only_snapshot(cache: &Path) -> std::path::PathBuf {
    let entries = std::fs::read_dir(cache).expect("the cache is a folder");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    let is_snapshot =
        |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "snapshot");
    let found = paths.find(is_snapshot).expect("a snapshot was kept");
    assert!(
        !paths.any(|path| is_snapshot(&path)),
        "there is another one"
    );
    found
}

/// What is done to a file, and its name.
type Damage = (&'static str, fn(&mut Vec<u8>));

#[test]
fn a_damaged_cache_is_made_anew() {
    let cache = tempfile::tempdir().expect("a folder");
    assert_eq!(run(cache.path()), "");
    let path = only_snapshot(cache.path());
    let good = std::fs::read(&path).expect("the snapshot can be read");
    assert_eq!(run(cache.path()), "");
    let damages: [Damage; 5] = [
        ("cut", |bytes| bytes.truncate(100)),
        ("empty", Vec::clear),
        ("a bit of memory", |bytes| bytes[0x20_0000] ^= 1),
        ("its end", |bytes| *bytes.last_mut().expect("bytes") ^= 1),
        ("longer", |bytes| bytes.push(0)),
    ];
    for (what, damage) in damages {
        let mut bytes = good.clone();
        damage(&mut bytes);
        std::fs::write(&path, bytes).expect("the snapshot can be written");
        let told = run(cache.path());
        assert!(told.contains("is made anew: "), "{what}: {told}");
        // And the next one finds it good.
        assert_eq!(run(cache.path()), "", "{what}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, b"").expect("a file");
    assert_eq!(run(&file.join("below-a-file")), "");
}

#[test]
fn processes_that_start_together_share_a_cache() {
    let cache = tempfile::tempdir().expect("a folder");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(run(cache.path()), ""));
        }
    });
    only_snapshot(cache.path());
}

#[test]
fn a_snapshot_of_another_machine_is_refused_with_the_difference() {
    let cache = tempfile::tempdir().expect("a folder");
    assert_eq!(run(cache.path()), "");
    let of_default = only_snapshot(cache.path());
    let larger = || {
        let mut tool = tool(cache.path());
        tool.args(["--memory", "48M"]);
        tool
    };
    assert_eq!(output(&mut larger()), "");
    let entries = std::fs::read_dir(cache.path()).expect("the cache is a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let other = paths
        .filter(|path| path.extension().is_some_and(|it| it == "snapshot"))
        .find(|path| *path != of_default)
        .expect("the larger machine has one of its own");
    std::fs::copy(&of_default, &other).expect("the snapshot can be copied");
    let told = output(&mut larger());
    let wanted = "is made anew: it is of another machine (memory=";
    assert!(told.contains(wanted), "{told}");
    assert_eq!(output(&mut larger()), "");
}

#[test]
fn whoever_is_killed_leaves_a_cache_that_is_good() {
    let cache = tempfile::tempdir().expect("a folder");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let rounds = match std::env::var_os("MAYFLY_SLOW") {
        Some(_) => 50,
        None => 12,
    };
    for round in 0..rounds {
        // Every other one has to make the snapshot.
        if round % 2 == 0 {
            // Who was killed early has not made one.
            let _removed = std::fs::remove_dir_all(cache.path());
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut child = tool(cache.path())
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tool can be run");
        let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        std::thread::sleep(Duration::from_micros(random % 40_000));
        // It may have ended before.
        let _killed = killpg(group, Signal::SIGKILL);
        child.wait().expect("the child can be waited for");
        assert_eq!(killpg(group, None), Err(Errno::ESRCH), "a stray process");
        if round % 4 == 3 {
            assert_eq!(run(cache.path()), "", "round {round}");
        }
    }
    assert_eq!(run(cache.path()), "");
    only_snapshot(cache.path());
}

//! Snapshots on disk: found, checked, made anew, and left whole by who dies.
//!
//! Purpose: whatever is in the folder, a run gives what it gives without one.
//! Neighbours: `fork.rs` has what copies are; `src/snapshot/cache.rs` prunes.

use std::collections::BTreeSet;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

/// The tool, with a cache folder.
fn bare(cache: &Path) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    tool.env("MAYFLY_CACHE_DIR", cache)
        .env("MAYFLY_BACKEND", "kvm")
        .env_remove("MAYFLY_SNAPSHOT");
    tool
}

/// The same, to run a program.
fn tool(cache: &Path) -> Command {
    let mut tool = bare(cache);
    tool.args(["run", "--backend", "kvm", "patchwork-hello"]);
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

fn names(cache: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(cache).expect("the cache is a folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

fn snapshots(cache: &Path) -> Vec<PathBuf> {
    let names = names(cache).into_iter();
    let is_snapshot = |path: &PathBuf| path.extension().is_some_and(|it| it == "snapshot");
    names.filter(is_snapshot).collect()
}

fn only_snapshot(cache: &Path) -> PathBuf {
    let [only] = <[PathBuf; 1]>::try_from(snapshots(cache)).expect("one was kept");
    only
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
fn what_is_no_file_of_ours_is_made_anew() {
    let cache = tempfile::tempdir().expect("a folder");
    assert_eq!(run(cache.path()), "");
    let path = only_snapshot(cache.path());
    let aside = cache.path().join("aside");
    for what in ["a pipe", "a link"] {
        std::fs::rename(&path, &aside).expect("it is there");
        match what {
            "a pipe" => mkfifo(&path, Mode::S_IRWXU).expect("a pipe"),
            _ => std::os::unix::fs::symlink(&aside, &path).expect("a link"),
        }
        let told = run(cache.path());
        assert!(told.contains("is made anew: "), "{what}: {told}");
        assert_eq!(run(cache.path()), "", "{what}");
    }
    // Nor does a lock that is none keep anybody.
    let lock = path.with_extension("lock");
    std::fs::remove_file(&path).expect("it is there");
    std::fs::remove_file(&lock).expect("it is there");
    mkfifo(&lock, Mode::S_IRWXU).expect("a pipe");
    assert_eq!(run(cache.path()), "");
}

#[test]
fn files_of_others_are_left_alone_with_a_word() {
    let cache = tempfile::tempdir().expect("a folder");
    assert_eq!(run(cache.path()), "");
    let path = only_snapshot(cache.path());
    // Only root can give files away; the module's own test is for all.
    if chown(&path, Some(65534), None).is_err() {
        return;
    }
    let before = names(cache.path());
    for program in [
        &["run", "patchwork-hello"][..],
        &["call", "patchwork", "GETPID"],
    ] {
        let mut tool = bare(cache.path());
        let told = tool.args(program).output().expect("the tool can be run");
        assert!(told.status.success());
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.matches("is another user's").count(), 1, "{told}");
    }
    // No probe is kept of a machine that nobody has.
    assert_eq!(names(cache.path()), before);
}

#[test]
fn a_lock_that_is_held_for_ever_costs_a_boot() {
    let cache = tempfile::tempdir().expect("a folder");
    assert_eq!(run(cache.path()), "");
    let path = only_snapshot(cache.path());
    std::fs::remove_file(&path).expect("it is there");
    let lock = std::fs::File::create(path.with_extension("lock")).expect("a lock");
    lock.lock().expect("nobody has it");
    let told = run(cache.path());
    assert!(
        told.contains("this machine boots: somebody has held "),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(!path.exists());
    drop(lock);
    assert_eq!(run(cache.path()), "");
    only_snapshot(cache.path());
}

#[test]
fn words_that_cannot_be_written_are_no_failure() {
    let cache = tempfile::tempdir().expect("a folder");
    assert_eq!(run(cache.path()), "");
    let path = only_snapshot(cache.path());
    std::fs::write(&path, b"nothing").expect("it can be written");
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut tool = tool(cache.path());
    let output = tool.stderr(full.expect("a full device")).output();
    assert!(output.expect("the tool can be run").status.success());
    assert_eq!(run(cache.path()), "");
}

#[test]
fn a_snapshot_that_this_kvm_refuses_goes() {
    let cache = tempfile::tempdir().expect("a folder");
    let call = |refused: usize| {
        let mut tool = bare(cache.path());
        let output = tool.args(["call", "patchwork", "GETPID"]).output();
        let output = output.expect("the tool can be run");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        let removed = "is removed, and a machine boots: ";
        assert_eq!(error.matches(removed).count(), refused, "{error}");
        assert_eq!(error.lines().count(), refused, "{error}");
        output.stdout
    };
    // The machine that has booted, and the one with a probe.
    let first = call(0);
    assert_eq!(snapshots(cache.path()).len(), 2);
    let refuse = |path: &PathBuf| {
        let bytes = std::fs::read(path).expect("it can be read");
        std::fs::write(path, with_unknown_register(bytes)).expect("it can be written");
    };
    snapshots(cache.path()).iter().for_each(refuse);
    let words = |output: &[u8]| String::from_utf8_lossy(output).lines().count();
    assert_eq!(words(&call(2)), words(&first));
    call(0);
}

/// The snapshot with a register in its state that no processor has.
fn with_unknown_register(mut bytes: Vec<u8>) -> Vec<u8> {
    const WORDS: usize = 6;
    let footer = bytes.len() - WORDS * 8;
    let words: [usize; WORDS] = std::array::from_fn(|index| {
        let word = bytes[footer + index * 8..].first_chunk();
        usize::from_le_bytes(*word.expect("eight bytes"))
    });
    let [_, ram, state, label, ..] = words;
    // IA32_STAR, and what is reserved behind it.
    let star = [0x81, 0, 0, 0xc0, 0, 0, 0, 0];
    let states = &mut bytes[ram..ram + state];
    let at = states.windows(star.len()).position(|it| it == star);
    states[at.expect("the register is there")] = 0x7f;
    let mut sum = !0_u32;
    let parts = [footer..footer + 5 * 8, ram..ram + state + label];
    for byte in parts.into_iter().flat_map(|part| &bytes[part]) {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    let sum = u64::from(!sum).to_le_bytes();
    bytes[footer + 5 * 8..].copy_from_slice(&sum);
    bytes
}

#[test]
fn what_nobody_has_used_goes_though_nothing_new_is_kept() {
    let cache = tempfile::tempdir().expect("a folder");
    assert_eq!(run(cache.path()), "");
    let path = only_snapshot(cache.path());
    let old = cache.path().join("0123456789abcdef.snapshot");
    std::fs::write(&old, b"old").expect("it can be written");
    for (file, days) in [(&old, 20), (&path, 2)] {
        let file = std::fs::File::options().write(true).open(file);
        let used = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        let set = file.and_then(|file| file.set_modified(used));
        set.expect("it is ours");
    }
    assert_eq!(run(cache.path()), "");
    assert!(!old.exists() && path.exists());
}

#[test]
fn variables_that_are_empty_are_as_good_as_none() {
    let cache = tempfile::tempdir().expect("a folder");
    let mut tool = bare(cache.path());
    tool.args(["run", "patchwork-hello"]);
    for name in ["BACKEND", "SNAPSHOT", "KERNEL", "QEMU_ACCEL"] {
        tool.env(format!("MAYFLY_{name}"), "");
    }
    assert_eq!(output(&mut tool), "");
    only_snapshot(cache.path());
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
    let other = snapshots(cache.path())
        .into_iter()
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

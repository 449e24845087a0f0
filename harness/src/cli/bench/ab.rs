//! `mayfly bench --ab`: this kernel and another one, in turns on one host.
//!
//! Purpose: builds the kernel of a revision, or of a checkout in a folder, counts
//! both, and takes times in the order A B B A, so that a host that gets slower
//! meanwhile does so for both. The programs are ours for both, and each turn is
//! a process of its own, told its kernel, ours too, as a file by a variable.
//! Neighbours: `mod` has the options, `mayfly_bench::compare` judges.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use mayfly::image;
use mayfly_bench::baseline::Baseline;
use mayfly_bench::compare;
use mayfly_bench::{Benchmark, Error, Run};

use super::found::Found;
use super::{AGAIN, Options, all, export, saved, show};
use crate::cli::exit::Exit;
use crate::cli::say::Say;

/// Target of the kernel.
const TARGET: &str = "x86_64-unknown-none";

/// Lines of a compiler's complaint that are told.
const LINES: usize = 40;

/// Machines of each kernel in a round.
const SIDE: usize = 2;

/// Both kernels, as files: whoever reads a file is not to be compared with whoever
/// has it already.
struct Kernels {
    theirs: PathBuf,
    ours: PathBuf,
}

/// Compares: A is the other kernel, B is ours.
pub(super) fn run(
    options: &Options,
    other: &str,
    chosen: &[&Benchmark],
    say: &mut Say,
) -> anyhow::Result<Exit> {
    let rounds = options.boots.div_ceil(2);
    let machines = SIDE * usize::try_from(rounds)?;
    if !options.exact && !compare::can_tell(machines, machines) {
        let (then, now) = (machines, machines);
        return Err(Error::Few { then, now }.into());
    }
    let is_folder = Path::new(other).join("Cargo.toml").is_file();
    // A branch of the same name is meant, unless a path is written.
    let is_path = other.starts_with(['.', '/']);
    let kernel = match is_folder && (is_path || saved::commit(other).is_none()) {
        true => build(other, Path::new(other))?,
        false => of_revision(other, say)?,
    };
    let testbed = saved::testbed()?;
    let mut found = Found {
        remedy: "that is what the two kernels differ by".into(),
        ..Found::default()
    };
    // Its counts become a baseline, for a moment.
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("machine.txt"), "")?;
    let kernels = Kernels {
        theirs: kernel,
        ours: folder.path().join("ours.elf"),
    };
    std::fs::write(&kernels.ours, image::kernel())?;
    let counting = ["--exact", "--bless", "--baseline"].map(Into::into);
    let counting: Vec<PathBuf> = counting.into_iter().chain([folder.path().into()]).collect();
    if chosen.iter().any(|it| it.is_counted()) {
        turn(options, &kernels.theirs, &counting)?;
    }
    let agreed = Baseline::load(folder.path())?;
    let exact = Options {
        exact: true,
        ..options.clone()
    };
    let figures = all(&exact, chosen, say)?;
    found.count(&agreed, &figures, true, options.filter.is_none());
    show::changes(&found, say)?;
    let mut ours = figures.run(testbed);
    if !options.exact {
        let (theirs, timed) = times(options, &kernels, rounds, say)?;
        found.compared = compare::twice(&theirs, &timed, &[], |name| {
            say.step("Again", name);
            let one = Options {
                filter: Some(name.into()),
                ..options.clone()
            };
            let (theirs, timed) = times(&one, &kernels, AGAIN * rounds, say)?;
            let kept = |run: &Run| run.find(name).cloned().context("a turn told no times");
            anyhow::Ok((kept(&theirs)?, kept(&timed)?))
        })?;
        show::compared(&found.compared, say)?;
        for kept in &mut ours.kept {
            if let Some(timed) = timed.find(&kept.name) {
                kept.medians.clone_from(&timed.medians);
                kept.cold.clone_from(&timed.cold);
                kept.buckets.clone_from(&timed.buckets);
            }
        }
    }
    show::results(&figures, &ours, &found, say)?;
    export::export(options, &ours, &saved::all(), &found, say)?;
    Ok(found.exit())
}

/// Takes times of both, A B B A so often.
fn times(
    options: &Options,
    kernels: &Kernels,
    often: u32,
    say: &mut Say,
) -> anyhow::Result<(Run, Run)> {
    let (mut theirs, mut ours) = (Run::default(), Run::default());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("run.jsonl");
    for round in 0..often {
        say.step("Times", &format!("A B B A, {} of {often}", round + 1));
        for is_other in [true, false, false, true] {
            let words = ["--times", "--boots", "1", "--format", "json", "--out"];
            let mut arguments: Vec<PathBuf> = words.map(Into::into).into();
            arguments.push(file.clone());
            let (kernel, all) = match is_other {
                true => (&kernels.theirs, &mut theirs),
                false => (&kernels.ours, &mut ours),
            };
            turn(options, kernel, &arguments)?;
            all.add(Run::load(&file)?);
        }
    }
    Ok((theirs, ours))
}

/// Runs this tool once more, with this kernel.
fn turn(options: &Options, kernel: &Path, arguments: &[PathBuf]) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--quiet", "bench"])
        .args(&options.filter)
        .args(arguments)
        .env(image::KERNEL_VARIABLE, kernel);
    let output = command.stdin(Stdio::null()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "a turn failed: {errors}");
    Ok(())
}

/// Builds the kernel of a revision; the file that it is in.
fn of_revision(revision: &str, say: &mut Say) -> anyhow::Result<PathBuf> {
    let refused = |why: &str, remedy| Error::Revision {
        revision: revision.into(),
        why: why.into(),
        remedy,
    };
    let root = saved::root()
        .map_err(|complaint| refused(&complaint, "git, and a checkout with its history"))?;
    let commit = saved::commit(revision).ok_or_else(|| match saved::is_shallow() {
        true => refused(
            "there is no such revision in this clone, which is shallow",
            "git fetch --unshallow",
        ),
        false => refused("there is no such revision", "git log names some"),
    })?;
    let changed = saved::changes(&root).map_err(|complaint| {
        let why = format!("git cannot tell whether the working tree is changed: {complaint}");
        refused(&why, "git status there says more")
    })?;
    if !changed.is_empty() {
        let why =
            format!("the working tree is changed, so that B would be no revision:\n{changed}");
        let remedy = "git commit or git stash; --against NAME compares what is not committed";
        return Err(refused(&why, remedy).into());
    }
    if !saved::is_built_from(Path::new(&root)) {
        let why = "this tool was not built from the working tree, so that B would be no revision";
        return Err(refused(
            why,
            "cargo run -- bench --ab; or cargo build, and the tool from there",
        )
        .into());
    }
    let folder = saved::work().join("trees").join(&commit);
    say.step("Checkout", &format!("{revision}, {commit}"));
    let place = folder.display().to_string();
    // What a run that was interrupted has left is not whole.
    let remove = || {
        let _ = saved::git(&["worktree", "remove", "--force", &place]);
        let _ = std::fs::remove_dir_all(&folder);
    };
    remove();
    saved::asked(&["worktree", "add", "--detach", "--force", &place, &commit]).map_err(
        |complaint| {
            let why = format!("it cannot be checked out: {complaint}");
            refused(&why, "git worktree list shows what is in the way")
        },
    )?;
    let built = build(&commit, &folder);
    remove();
    built
}

/// Builds the kernel in a folder; the file that it is in.
fn build(name: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder.canonicalize()?;
    let work = saved::work();
    std::fs::create_dir_all(&work)?;
    let work = work.canonicalize()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut flags: Vec<String> = image::KERNEL_FLAGS.split(' ').map(String::from).collect();
    // As the build script does it: flags of another order are other flags.
    flags.insert(1, format!("--remap-path-prefix={}/=", folder.display()));
    let output = Command::new(cargo)
        .current_dir(&folder)
        .args(["build", "--profile", "guest", "--package", "mayfly-kernel"])
        .args([
            "--target",
            TARGET,
            "--message-format=json-render-diagnostics",
        ])
        .arg("--target-dir")
        .arg(work.join("build"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .context("cargo cannot be run")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    let built = artifacts.next_back().filter(|_| output.status.success());
    let built = built.ok_or_else(|| Error::Revision {
        revision: name.into(),
        why: format!("its kernel does not build:\n{}", last_lines(&output.stderr)),
        remedy: "git worktree add FOLDER of it; and --ab FOLDER, once it builds there",
    })?;
    // The next build writes to the same place.
    let file: String = name
        .chars()
        .filter(|it| it.is_ascii_alphanumeric())
        .collect();
    let kept = work.join(format!("{file}.elf"));
    std::fs::copy(built, &kept)?;
    Ok(kept)
}

/// The end of what a compiler said.
fn last_lines(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

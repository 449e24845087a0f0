//! What `mayfly bench` says of each kind of broken input.
//!
//! Purpose: a missing or corrupt baseline, an unknown benchmark, another testbed,
//! a changed tree, no git and no such revision each have words of their own, and
//! nothing is measured before they are said. Neighbour: `main` has what works.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::{NULL, bench, blessed};

/// The tool in a folder, with its saved runs there, too; its code and its words.
fn tool(folder: &Path, arguments: &[&str]) -> (i32, String) {
    said(command(folder, arguments))
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command
        .args(["bench", "--color", "never"])
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        // No repository above counts.
        .env("GIT_CEILING_DIRECTORIES", folder.parent().expect("one"));
    command
}

fn said(mut command: Command) -> (i32, String) {
    let output = command.output().expect("the tool is built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("no signal");
    (code, text(&output.stdout) + &text(&output.stderr))
}

/// No figure was there before the tool gave up.
fn is_unmeasured(words: &str) -> bool {
    !words.contains("kernel instr")
}

/// A repository with a kernel's folder in it, and a baseline.
fn repository() -> TempDir {
    let baseline = blessed();
    let folder = TempDir::new().expect("a folder");
    let files = folder.path().join("bench/baseline");
    fs::create_dir_all(&files).expect("a folder");
    for entry in fs::read_dir(baseline.path()).expect("a folder").flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), files.join(entry.file_name())).expect("a copy");
        }
    }
    fs::create_dir_all(folder.path().join("kernel")).expect("a folder");
    fs::write(folder.path().join("kernel/main.rs"), "").expect("written");
    for arguments in [
        &["init", "--quiet"][..],
        &["add", "."],
        &["commit", "--quiet", "-m", "first"],
    ] {
        let done = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(arguments)
            .current_dir(folder.path())
            .status();
        assert!(done.expect("git is installed").success());
    }
    folder
}

#[test]
fn a_baseline_that_is_missing_or_corrupt_is_told_with_its_place() {
    let empty = TempDir::new().expect("a folder");
    let (code, out, errors) = bench(empty.path(), &["--against", "baseline", NULL]);
    assert_eq!(code, 2);
    assert!(errors.contains("there is no baseline at"), "{errors}");
    assert!(is_unmeasured(&out) && errors.matches("(os error").count() < 2);
    let json = ["--message-format", "json", "--against", "baseline", NULL];
    let (_, out, _) = bench(empty.path(), &json);
    assert!(out.contains("\"kind\":\"usage\""), "{out}");

    let folder = blessed();
    fs::write(folder.path().join("patchwork.txt"), [0xff, 0xfe]).expect("written");
    let (code, _, errors) = bench(folder.path(), &["--against", "baseline", NULL]);
    assert_eq!(code, 2);
    assert!(
        errors.contains("cannot read") && errors.contains("patchwork.txt"),
        "{errors}"
    );

    for (file, text, place, why) in [
        (
            "patchwork.txt",
            "patchwork/x 12 about\n",
            "patchwork.txt:1: ",
            "no number",
        ),
        (
            "functions/patchwork.txt",
            "  5  x\n",
            "functions/patchwork.txt:1: ",
            "a function's line is",
        ),
    ] {
        let folder = blessed();
        fs::write(folder.path().join(file), text).expect("written");
        let (code, _, errors) = bench(folder.path(), &["--against", "baseline", NULL]);
        assert_eq!(code, 2);
        assert!(errors.contains(place) && errors.contains(why), "{errors}");
    }
}

#[test]
fn an_unknown_benchmark_is_told_with_one_that_is_close() {
    let (code, _, errors) = bench(Path::new("none"), &["lat_sycall"]);
    assert_eq!(code, 2);
    assert!(
        errors.contains("no benchmark has \"lat_sycall\""),
        "{errors}"
    );
    let (_, _, errors) = bench(Path::new("none"), &["patchwork/lat_syscall/nulll"]);
    assert!(errors.contains("lat_syscall/null is close"), "{errors}");
}

#[test]
fn times_of_another_testbed_are_refused_and_counts_are_not() {
    let folder = TempDir::new().expect("a folder");
    let quick = ["--boots", "1", NULL];
    let (code, words) = tool(folder.path(), &[&["--save", "mine"][..], &quick].concat());
    assert_eq!(code, 0, "{words}");
    let against = [&["--against", "mine"][..], &quick].concat();
    let (code, words) = tool(folder.path(), &against);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("differ by chance"), "{words}");
    let file = folder.path().join("target/mayfly/bench/mine.jsonl");
    let text = fs::read_to_string(&file).expect("a run");
    let here = text
        .split("\"host\":\"")
        .nth(1)
        .and_then(|it| it.split('"').next());
    let there = text.replacen(here.expect("a host"), "another processor", 1);
    fs::write(&file, there).expect("written");
    let (code, words) = tool(folder.path(), &against);
    assert_eq!(code, 2, "{words}");
    assert!(
        words.contains("times of another processor say nothing"),
        "{words}"
    );
    let (code, words) = tool(folder.path(), &[&["--exact"][..], &against].concat());
    assert_eq!(code, 0, "{words}");

    fs::write(&file, "{").expect("written");
    let (code, words) = tool(folder.path(), &against);
    assert_eq!(code, 2);
    assert!(
        words.contains("mine.jsonl:1: ") && words.contains("--save"),
        "{words}"
    );
    assert!(
        !words.contains("--bless") && is_unmeasured(&words),
        "{words}"
    );
    fs::write(&file, [0xff, 0xfe]).expect("written");
    let (code, words) = tool(folder.path(), &against);
    assert_eq!(code, 2);
    assert!(words.contains("cannot read"), "{words}");
}

#[test]
fn a_shallow_clone_is_told_from_a_revision_that_is_not() {
    let folder = repository();
    let clone = TempDir::new().expect("a folder");
    let from = format!("file://{}", folder.path().display());
    let done = Command::new("git")
        .args(["clone", "--quiet", "--depth", "1", &from, "."])
        .current_dir(clone.path())
        .status();
    assert!(done.expect("git is installed").success());
    for with in ["--ab", "--against"] {
        let (code, words) = tool(clone.path(), &[with, "HEAD~1", NULL]);
        assert_eq!(code, 2, "{words}");
        assert!(words.contains("git fetch --unshallow"), "{words}");
    }
}

#[test]
fn revisions_are_found_in_git_and_nowhere_else() {
    let none = TempDir::new().expect("a folder");
    for arguments in [["--ab", "HEAD", NULL], ["--against", "HEAD", NULL]] {
        let (code, words) = tool(none.path(), &arguments);
        assert_eq!(code, 2, "{words}");
        assert!(words.contains("not a git repository"), "{words}");
        let mut command = command(none.path(), &arguments);
        let (code, words) = said({
            command.env("PATH", "");
            command
        });
        assert_eq!(code, 2, "{words}");
        assert!(words.contains("git cannot be run"), "{words}");
    }

    let folder = repository();
    for arguments in [["--ab", "nonsense", NULL], ["--against", "nonsense", NULL]] {
        let (code, words) = tool(folder.path(), &arguments);
        assert_eq!(code, 2, "{words}");
        assert!(words.contains("no such revision"), "{words}");
    }
    // What is committed there is what was just counted.
    let against = ["--exact", "--against", "HEAD", NULL];
    let (code, words) = tool(folder.path(), &against);
    assert_eq!(code, 0, "{words}");

    let (code, words) = tool(folder.path(), &["--ab", "HEAD", NULL]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("not built from the working tree"), "{words}");

    fs::write(folder.path().join("kernel/main.rs"), "changed").expect("written");
    let (code, words) = tool(folder.path(), &["--ab", "HEAD", NULL]);
    assert_eq!(code, 2, "{words}");
    assert!(
        words.contains("the working tree is changed") && words.contains("kernel/main.rs"),
        "{words}"
    );
}

#[test]
fn a_kernel_that_does_not_build_is_told_with_what_the_compiler_said() {
    let none = TempDir::new().expect("a folder");
    let other = none.path().join("other");
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("Cargo.toml"), "[package]\nname = 7\n").expect("written");
    let (code, words) = tool(none.path(), &["--ab", "./other", NULL]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("its kernel does not build"), "{words}");
    assert!(
        words.contains("name = 7") && words.contains("--ab FOLDER"),
        "{words}"
    );
    assert!(is_unmeasured(&words), "{words}");
}

#[test]
fn a_gate_that_would_compare_nothing_is_wrong_use() {
    let folder = blessed();
    let against = ["--against", "baseline", "machine/fork"];
    let (code, _, errors) = bench(folder.path(), &against);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("has times and no counts"), "{errors}");

    let folder = TempDir::new().expect("a folder");
    let (code, words) = tool(folder.path(), &["--exact", "--save", "mine", NULL]);
    assert_eq!(code, 0, "{words}");
    let other = "veridian/lat_syscall/null";
    let (code, words) = tool(folder.path(), &["--exact", "--against", "mine", other]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("nothing would be compared"), "{words}");
    // So few machines that no difference could be told from chance.
    let (code, words) = tool(folder.path(), &["--ab", "HEAD", "--boots", "2", NULL]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("differ by chance"), "{words}");
}

#[test]
fn options_that_would_do_nothing_are_wrong_use() {
    let folder = TempDir::new().expect("a folder");
    for name in ["baseline", "../escaped", "a/b", "HEAD~1"] {
        let (code, words) = tool(folder.path(), &["--exact", "--save", name, NULL]);
        assert_eq!(code, 2, "{words}");
        assert!(
            words.contains("another name") && is_unmeasured(&words),
            "{words}"
        );
    }
    // A revision would not be found any more.
    let (code, words) = tool(repository().path(), &["--exact", "--save", "HEAD", NULL]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("git has a revision of that name"), "{words}");
    let (code, words) = tool(folder.path(), &["--bless", "machine/fork/floor"]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("has times and no counts"), "{words}");
    for refused in [
        &["--exact", "--bless", NULL][..],
        &[
            "--exact",
            "--format",
            "json",
            "--out",
            "no/such/folder",
            NULL,
        ],
    ] {
        let (code, words) = tool(folder.path(), refused);
        assert_eq!(code, 2, "{words}");
        assert!(is_unmeasured(&words), "{words}");
    }
    let (code, words) = tool(folder.path(), &["--exact", "--out", "file", NULL]);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("--format"), "{words}");
}

#[test]
fn a_saved_run_is_shown_once_and_what_differs_from_it_is_in_the_summary() {
    let folder = TempDir::new().expect("a folder");
    let save = ["--exact", "--save", "mine", "--format", "csv", NULL];
    let (code, table) = tool(folder.path(), &save);
    assert_eq!(code, 0, "{table}");
    // A row begins with seconds.
    let rows = table
        .lines()
        .filter(|it| it.starts_with(|it: char| it.is_ascii_digit()));
    assert_eq!(rows.count(), 1, "{table}");

    let file = folder.path().join("target/mayfly/bench/mine.jsonl");
    let text = fs::read_to_string(&file).expect("a run");
    fs::write(
        &file,
        text.replace("\"kernel_instr\":", "\"kernel_instr\":1"),
    )
    .expect("written");
    let against = ["--exact", "--against", "mine", "--format", "markdown", NULL];
    let (code, summary) = tool(folder.path(), &against);
    assert_eq!(code, 111, "{summary}");
    assert!(summary.contains(&format!("| {NULL} | 1")), "{summary}");
}

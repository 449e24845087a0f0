//! `mayfly bench`, run as a user and as CI run it.
//!
//! Purpose: exact counts are the same twice, a baseline that differs is told
//! with the function that grew, and input that is broken is told as what it is.
//! Neighbours: the crate `mayfly_bench` tests the judging with made-up figures.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A benchmark that takes no time.
const NULL: &str = "patchwork/lat_syscall/null";

fn bench(baseline: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["bench", "--color", "never", "--exact", "--baseline"])
        .arg(baseline)
        .args(arguments)
        .output()
        .expect("the tool is built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("no signal");
    (code, text(&output.stdout), text(&output.stderr))
}

/// A baseline of the calls that do nothing.
fn blessed() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    // A baseline begins with all; a part of it is enough here.
    fs::write(folder.path().join("machine.txt"), "# entry: page fault\n").expect("it is written");
    let (code, _, errors) = bench(folder.path(), &["--bless", "lat_syscall/null"]);
    assert_eq!(code, 0, "{errors}");
    folder
}

#[test]
fn what_was_blessed_is_the_same_again_and_a_docs_only_change_passes() {
    let folder = blessed();
    for _ in 0..3 {
        let (code, counts, errors) = bench(
            folder.path(),
            &["--against", "baseline", "lat_syscall/null"],
        );
        assert_eq!(code, 0, "{counts}{errors}");
    }
}

#[test]
fn a_count_that_differs_either_way_is_111_and_names_the_function() {
    let folder = blessed();
    let (file, functions) = (
        folder.path().join("patchwork.txt"),
        folder.path().join("functions/patchwork.txt"),
    );
    let text = fs::read_to_string(&file).expect("figures");
    let profile = fs::read_to_string(&functions).expect("functions");
    let line = text
        .lines()
        .find(|line| line.starts_with(NULL))
        .expect("a line");
    let count: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|it| it.parse().ok())
        .expect("a count");
    for (was, word, by) in [(count - 3, "MORE", "+3"), (count + 2, "FEWER", "-2")] {
        let changed = line.replace(&format!(" {count} "), &format!(" {was} "));
        fs::write(&file, text.replace(line, &changed)).expect("written");
        let entry = profile
            .lines()
            .find(|line| line.contains("kernel/core/"))
            .expect("one of ours");
        let here: u64 = entry
            .split_whitespace()
            .next()
            .and_then(|it| it.parse().ok())
            .expect("a count");
        let then = (here + was).saturating_sub(count);
        let other = entry.replacen(&here.to_string(), &then.to_string(), 1);
        fs::write(&functions, profile.replacen(entry, &other, 1)).expect("written");
        let (code, found, errors) = bench(folder.path(), &["--against", "baseline", NULL]);
        assert_eq!(code, 111, "{found}{errors}");
        assert!(
            found.contains(&format!("{word} {NULL}")) && found.contains(by),
            "{found}"
        );
        let name = entry.split_whitespace().nth(2).expect("a name");
        let place = entry.split_whitespace().nth(1).expect("a file");
        assert!(
            found.contains(name) && found.contains(&format!("{place}:")),
            "{found}"
        );
        assert!(errors.contains("--bless"), "{errors}");
    }
}

#[test]
fn broken_input_has_words_of_its_own() {
    let empty = TempDir::new().expect("a folder");
    let (code, _, errors) = bench(empty.path(), &["--against", "baseline", NULL]);
    assert_eq!(code, 2);
    assert!(errors.contains("there is no baseline at"), "{errors}");

    let folder = blessed();
    fs::write(
        folder.path().join("patchwork.txt"),
        "patchwork/x 12 about\n",
    )
    .expect("written");
    let (code, _, errors) = bench(folder.path(), &["--against", "baseline", NULL]);
    assert_eq!(code, 2);
    assert!(
        errors.contains("patchwork.txt:1: ") && errors.contains("no number"),
        "{errors}"
    );

    let (code, _, errors) = bench(folder.path(), &["lat_sycall"]);
    assert_eq!(code, 2);
    assert!(
        errors.contains("no benchmark has \"lat_sycall\""),
        "{errors}"
    );
}

//! `mayfly bench`, run as a user and as CI run it.
//!
//! Purpose: exact counts are the same twice, a baseline that differs is told
//! with the function that grew, and what the report says of this host. Neighbours:
//! `formats` has other tools' formats, `mistakes` broken input; the crate
//! `mayfly_bench` tests the judging with made-up figures.

mod formats;
mod mistakes;
mod page;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A benchmark that takes no time.
const NULL: &str = "patchwork/lat_syscall/null";
/// What this tool holds with one machine: no time, though it is told as one.
const MEMORY: &str = "machine/memory/process";

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
fn the_report_says_what_times_are_worth_here() {
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["bench", "--color", "never", "--boots", "1", NULL])
        .output()
        .expect("the tool is built");
    let said = String::from_utf8_lossy(&output.stdout);
    let emulated = said.contains(" · ring 0 emulated · ");
    let words =
        "ring 0 is emulated here, an instruction at a time: ticks are not those of hardware";
    assert_eq!(said.contains(words), emulated, "{said}");
    assert!(emulated || said.contains(" · ring 0 native · "), "{said}");
    // Cycles come of performance counters, or are not told, and why.
    let counted = said.contains(" cycles, ");
    let reason = said.split("cycles n/a: ").nth(1);
    let reason = reason.and_then(|it| it.lines().next());
    assert_eq!(counted, reason.is_none(), "{said}");
    assert!(
        reason.is_none_or(|it| it.contains("performance counters")),
        "{said}"
    );
}

#[test]
fn what_was_blessed_is_the_same_again() {
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

/// Copies what a kernel is built of.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" {
            copy(&path, &to.join(name));
        } else if path.is_file() {
            fs::copy(&path, to.join(name)).expect("a copy");
        }
    }
}

#[test]
fn ten_instructions_more_in_one_call_are_111_and_a_comment_is_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = TempDir::new().expect("a folder");
    for part in ["bench", "harness", "kernel", "user", "vmm"] {
        copy(&root.join(part), &folder.path().join(part));
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(root.join(file), folder.path().join(file)).expect("a copy");
    }
    let compare = |format| {
        let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
            .args(["bench", "--color", "never", "--exact", NULL])
            .args(["--format", format, "--ab"])
            .arg(folder.path())
            .output()
            .expect("the tool is built");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code();
        (code, text(&output.stdout), text(&output.stderr))
    };
    let call = folder
        .path()
        .join("kernel/core/src/personality/patchwork/mod.rs");
    let text = fs::read_to_string(&call).expect("a source");
    let served = "Call::Getpid {} => Flow::Return(running.process.id),";
    // A black box is a store and a load.
    let boxes = "core::hint::black_box(".repeat(5);
    let dearer = format!("Call::Getpid {{}} => Flow::Return({boxes}running.process.id)))))),");
    assert!(text.contains(served), "the call is served otherwise");
    fs::write(&call, text.replace(served, &dearer)).expect("written");
    let (code, found, errors) = compare("human");
    assert_eq!(code, Some(111), "{found}{errors}");
    // The other kernel is what is compared with: ours has fewer.
    assert!(found.contains(&format!("FEWER {NULL}")), "{found}");
    let line = found
        .lines()
        .find(|line| line.starts_with("FEWER"))
        .expect("a line");
    let by = line
        .split(['(', ','])
        .nth(1)
        .and_then(|by| by.parse::<i64>().ok());
    assert!(by.is_some_and(|by| (-20..=-10).contains(&by)), "{found}");
    assert!(
        found.contains("serve_call  kernel/core/src/personality/patchwork/mod.rs"),
        "{found}"
    );
    // Without them, and with more words and lines in a comment: no instruction more.
    let words = "//! Words that no instruction comes of.\n";
    fs::write(&call, words.to_owned() + &text).expect("written");
    let (code, found, errors) = compare("json");
    assert_eq!(code, Some(0), "{found}{errors}");
    let lines: Vec<serde_json::Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["reason"], "run", "{found}");
    assert!(lines[0]["host"].is_string() && lines[0]["guest"].is_string());
    assert_eq!(
        (&lines[1]["name"], &lines[1]["verdict"]),
        (&NULL.into(), &"same".into()),
        "{found}"
    );
    // Nor does either side hold more memory: both read their kernel from a file.
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["bench", "--color", "never", "--boots", "6", MEMORY, "--ab"])
        .arg(folder.path())
        .output()
        .expect("the tool is built");
    let found = String::from_utf8_lossy(&output.stdout);
    let line = found
        .lines()
        .find(|line| line.starts_with(MEMORY) && line.contains(" to "));
    let line = line.unwrap_or_else(|| panic!("it is compared:\n{found}"));
    assert!(
        line.ends_with("same") || line.ends_with("noise"),
        "as much memory: {line}"
    );
}

//! What the tool shows, on two widths of screen.
//!
//! Purpose: help, errors and tables as people see them, compared with files in
//! `golden/tool`. `SNAPSHOTS=overwrite cargo test -p mayfly --test screens`
//! writes them anew; the change is then read in the review. Neighbours: `cli`
//! tests what the commands do.

use std::path::Path;
use std::process::Command;

use snapbox::data::DataFormat;
use snapbox::{Assert, Data};

/// Screens: wide and narrow.
const WIDTHS: [usize; 2] = [80, 40];

/// Runs the tool on a screen of each width; both texts and the code are
/// compared with a golden file.
fn shows(name: &str, arguments: &[&str]) {
    compare(name, arguments, timeless);
}

fn compare(name: &str, arguments: &[&str], constant: fn(&str) -> String) {
    for width in WIDTHS {
        let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
            .args(arguments)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .env("COLUMNS", width.to_string())
            .env_remove("MAYFLY_BACKEND")
            .output()
            .expect("the tool is built");
        let words = [&["mayfly"], arguments].concat().join(" ");
        let mut screen = format!("$ {words}\n");
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8(text.clone()).expect("UTF-8");
            screen.extend(text.lines().map(|line| format!("{}\n", constant(line))));
        }
        screen.push_str(&format!(
            "-> {}\n",
            output.status.code().expect("no signal")
        ));
        let screen = unbroken(&screen);
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/golden/tool/{name}-{width}.txt"));
        let golden = Data::read_from(&path, Some(DataFormat::Text));
        Assert::new().action_env("SNAPSHOTS").eq(screen, golden);
    }
}

/// A screen on which the demo's words about the boot are a line: where that
/// breaks on a narrow one depends on the time it took.
fn unbroken(screen: &str) -> String {
    const END: &str = "instructions\n";
    let Some(start) = screen.find("\nbooted ").map(|at| at + 1) else {
        return screen.into();
    };
    let length = screen[start..].find(END).expect("it says how many") + END.len() - 1;
    let (before, rest) = screen.split_at(start);
    let (words, after) = rest.split_at(length);
    [before, &words.replace('\n', " "), after].concat()
}

/// A line without what differs between runs and moves with every change of the
/// kernel or the tests: times, counts, addresses.
fn timeless(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit() || c == '<');
    for at in 1..words.len() {
        let counted = ["us", "ms", "s", "ticks,", "instr>", "of"].contains(&words[at]);
        if (counted && number(words[at - 1])) || words[at - 1] == "rip" {
            let which = if counted { at - 1 } else { at };
            words[which] = "N";
        }
    }
    // Rows of a table end with a count.
    let last = words.len() - 1;
    if last > 2 && number(words[last]) && words.contains(&"yes") {
        words[last] = "N";
    }
    words.join(" ")
}

/// A line of a table without its numbers, and without the blanks that they need.
fn numberless(line: &str) -> String {
    let mut shape = String::new();
    for word in line.split(' ') {
        let digits = |c: char| c.is_ascii_hexdigit() || matches!(c, 'x' | ',' | '.');
        let is_number = word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(digits);
        let word = if is_number { "N" } else { word };
        if !(word.is_empty() && shape.ends_with("  ")) {
            shape.push_str(word);
            shape.push(' ');
        }
    }
    shape.trim_end().into()
}

#[test]
fn help() {
    shows("nothing", &[]);
    shows("help", &["--help"]);
    for command in [
        "demo",
        "run",
        "call",
        "trace",
        "bench",
        "shell",
        "coverage",
        "doctor",
        "completions",
        "man",
    ] {
        shows(&format!("help-{command}"), &[command, "--help"]);
    }
}

#[test]
fn errors() {
    shows("no-command", &["trce"]);
    shows("no-option", &["run", "--tracee", "x"]);
    shows("no-separator", &["run", "patchwork-args", "one"]);
    shows("no-program", &["run", "patchwork-helo"]);
    shows("no-name-near", &["run", "nothing-like-it"]);
    shows("no-call", &["call", "patchwork", "GETPIDD"]);
    shows("few-arguments", &["call", "patchwork", "WRITE", "1"]);
    shows("no-interface", &["call", "linux", "write"]);
    shows("no-time", &["run", "x", "--timeout", "soon"]);
    shows("no-size", &["run", "x", "--memory", "much"]);
    shows(
        "no-file",
        &["run", "patchwork-hello", "--file", "/a=/no/such/file"],
    );
    shows("text-file", &["run", "LICENSE"]);
}

#[test]
fn a_fault_shows_its_source() {
    shows("fault", &["run", "patchwork-fault", "--", "read", "0x10"]);
}

#[test]
fn tables() {
    shows("coverage", &["coverage", "veridian"]);
    compare("demo", &["demo"], numberless);
    shows("call", &["call", "patchwork", "WRITE", "99", "text:x", "1"]);
}

#[test]
fn words_of_the_tools_own_are_told_to_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().to_str().expect("UTF-8");
    for arguments in [
        &["completions", "bash"][..],
        &["completions", "fish"],
        &["completions", "zsh"],
        &["man", "--out", pages],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        let output = command.args(arguments).output().expect("the tool is built");
        assert!(output.status.success(), "{arguments:?}");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        for own in ["stand-by", "stand__by", "footprint"] {
            assert!(!told.contains(own), "{arguments:?}: {own}");
        }
    }
    let files = std::fs::read_dir(folder.path()).expect("written");
    let mut names: Vec<String> = files
        .map(|it| {
            it.expect("a file")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    let commands = [
        "bench",
        "call",
        "completions",
        "coverage",
        "demo",
        "doctor",
        "man",
        "run",
        "shell",
        "trace",
    ];
    let pages = commands.map(|name| format!("mayfly-{name}.1"));
    let mut expected = [&["mayfly.1".to_owned()][..], &pages].concat();
    expected.sort();
    assert_eq!(names, expected);
}

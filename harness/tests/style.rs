//! The house style, as tests.
//!
//! Purpose: what style pages say and nobody remembers: headings, lengths,
//! reasons for unsafe, the fixed top level, the same three words everywhere.
//! Neighbours: `cargo clippy` and `cargo fmt` check the rest in `.ci/run`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a file.
const LINES_MAX: usize = 400;
/// Longest subtitle, `//!` included.
const SUBTITLE_MAX: usize = 84;
/// Names at the top level, dot files aside.
const TOP: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bench",
    "harness",
    "kernel",
    "user",
    "vmm",
];
/// Folder that cargo makes.
const BUILT: &str = "target";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust sources of the workspace, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["bench", "harness", "kernel", "user", "vmm"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).expect("UTF-8")));
        }
    }
}

/// Panics with the list of what is wrong, if anything is.
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

fn each(check: impl Fn(&str) -> Option<String>) {
    let problems: Vec<String> = sources()
        .iter()
        .filter_map(|(path, text)| Some(format!("{}: {}", path.display(), check(text)?)))
        .collect();
    none(&problems);
}

#[test]
fn every_file_opens_with_a_subtitle() {
    each(|text| {
        let first = text.lines().next().unwrap_or_default();
        let subtitle = first.strip_prefix("//! ")?;
        (subtitle.is_empty() || first.len() > SUBTITLE_MAX).then(|| format!("subtitle: {first}"))
    });
    each(|text| (!text.starts_with("//! ")).then(|| "does not open with //!".into()));
}

#[test]
fn no_file_is_too_long() {
    each(|text| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{lines} lines, {LINES_MAX} are the most"))
    });
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    each(|text| {
        let lines: Vec<&str> = text.lines().collect();
        let unexplained = lines.iter().enumerate().find(|(index, line)| {
            let code = line.split("//").next().unwrap_or_default();
            let opens = code.contains("unsafe {") && !code.contains('"');
            opens && !explained(&lines, *index)
        });
        unexplained.map(|(index, _)| format!("line {}: no SAFETY comment", index + 1))
    });
}

/// A `SAFETY:` on the line or among the few above it.
fn explained(lines: &[&str], index: usize) -> bool {
    lines[index.saturating_sub(8)..=index]
        .iter()
        .any(|line| line.contains("SAFETY:"))
}

#[test]
fn nothing_is_left_to_do() {
    // Spelled in pieces, so that this file passes.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("XX", "X"),
    ];
    each(|text| {
        let word = words.iter().find(|word| text.contains(**word))?;
        Some(format!("contains {word}"))
    });
}

#[test]
fn no_lint_is_switched_off_without_a_reason() {
    let allow = concat!("#[al", "low(");
    each(|text| {
        text.contains(allow)
            .then(|| "use #[expect(lint, reason = ..)]".into())
    });
}

#[test]
fn the_top_level_is_fixed() {
    let allowed: BTreeSet<&str> = TOP.into_iter().chain([BUILT]).collect();
    let problems: Vec<String> = fs::read_dir(root())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !allowed.contains(name.as_str()))
        .collect();
    none(&problems);
}

#[test]
fn the_same_three_words_are_in_every_folder_that_has_one() {
    for folder in [
        "kernel/core/src/personality",
        "user",
        "harness/tests",
        "harness/tests/golden",
    ] {
        for word in ["xeneva", "patchwork", "veridian"] {
            assert!(root().join(folder).join(word).is_dir(), "{folder}/{word}");
        }
    }
    for word in ["xeneva.rs", "patchwork.rs", "veridian.rs"] {
        assert!(
            root().join("kernel/abi/src").join(word).is_file(),
            "kernel/abi/src/{word}"
        );
    }
}

#[test]
fn the_tests_of_the_three_interfaces_begin_with_the_same_files() {
    for word in ["xeneva", "patchwork", "veridian"] {
        let files: BTreeSet<String> = fs::read_dir(root().join("harness/tests").join(word))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        // What only one interface has, such as futexes, has files of its own.
        for file in ["calls.rs", "main.rs", "programs.rs"] {
            assert!(files.contains(file), "{word}/{file}");
        }
    }
}

#[test]
fn sources_name_no_place_of_one_machine() {
    let places = [
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
    ];
    each(|text| {
        let place = places.iter().find(|place| text.contains(**place))?;
        Some(format!("contains {place}"))
    });
}

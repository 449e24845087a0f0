//! The pages of the book: the READMEs, as far as a test can follow them.
//!
//! Purpose: code that a page shows is in the file that the page names, commands
//! of the tool do what the page says, no page is longer than two screens.
//! Neighbours: `README.md` has the table of contents; `.ci/run` builds the two
//! projects that the pages are about.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pages: file and heading.
const PAGES: [(&str, &str); 8] = [
    ("harness/README.md", "Writing a test"),
    ("harness/README.md", "Reading a failure"),
    ("harness/README.md", "Gating CI"),
    ("user/README.md", "Adding a guest program"),
    ("kernel/README.md", "Adding a system call"),
    ("kernel/README.md", "Adding an interface"),
    ("vmm/README.md", "Running your own kernel"),
    ("README.md", "Two commands"),
];
/// Lines of two screens.
const LINES_MAX: usize = 80;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text under a heading.
fn page(file: &str, heading: &str) -> String {
    let text = fs::read_to_string(root().join(file)).expect(file);
    let (_, rest) = text
        .split_once(&format!("## {heading}\n"))
        .unwrap_or_else(|| panic!("{file} has no page {heading:?}"));
    rest.split("\n## ").next().unwrap_or_default().into()
}

/// Blocks of code in a language, with what stands before them on the page.
fn blocks(page: &str, language: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut before = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```") else {
            before.push_str(line);
            before.push('\n');
            continue;
        };
        let code = lines.by_ref().take_while(|line| *line != "```");
        let code: String = code.map(|line| format!("{line}\n")).collect();
        if name == language {
            found.push((before.clone(), code));
        }
    }
    found
}

/// The last path of a file that a text names between backticks.
fn named(text: &str) -> Option<PathBuf> {
    let quoted = text.split('`').skip(1).step_by(2);
    let files = quoted
        .map(|name| root().join(name))
        .filter(|path| path.is_file());
    files.last()
}

#[test]
fn pages_are_short_and_listed() {
    let contents = fs::read_to_string(root().join("README.md")).expect("it is there");
    for (file, heading) in PAGES {
        let lines = page(file, heading).lines().count();
        assert!(lines <= LINES_MAX, "{file}, {heading}: {lines} lines");
        assert!(
            contents.contains(heading),
            "README.md does not list {heading}"
        );
    }
}

/// Interfaces by the first word of a program's name.
const INTERFACES: [&str; 3] = ["xeneva", "patchwork", "veridian"];

/// The programs that a row of `user/README.md` stands for.
fn programs_of(row: &str) -> Vec<String> {
    let mut cells = row.trim_matches('|').split('|').map(str::trim);
    let name = cells.next().unwrap_or_default().trim_matches('`');
    let on: Vec<&str> = match cells.next().unwrap_or_default() {
        "all" => INTERFACES.into(),
        some => some.split(", ").collect(),
    };
    on.iter().map(|abi| format!("{abi}-{name}")).collect()
}

#[test]
fn the_table_of_programs_has_each_of_them_once() {
    let page = page("user/README.md", "Programs");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut told: Vec<String> = rows.flat_map(programs_of).collect();
    told.sort();
    let manifests = ["user/elf/Cargo.toml", "user/pe/Cargo.toml"];
    let lists = manifests.map(|file| fs::read_to_string(root().join(file)).expect(file));
    let lines = lists.iter().flat_map(|list| list.lines());
    let mut bundled: Vec<String> = lines
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| {
            INTERFACES
                .iter()
                .any(|abi| name.starts_with(&format!("{abi}-")))
        })
        .map(str::to_owned)
        .collect();
    // The packages have names of that form too.
    bundled.retain(|name| !name.ends_with("-programs"));
    bundled.sort();
    assert_eq!(told, bundled);
}

#[test]
fn code_is_in_the_file_that_the_page_names() {
    let mut compared = 0;
    for (file, heading) in PAGES.into_iter().filter(|(file, _)| *file != "README.md") {
        let page = page(file, heading);
        for language in ["rust", "toml", "yaml"] {
            for (before, code) in blocks(&page, language) {
                let source = named(&before).unwrap_or_else(|| panic!("{heading} names no file"));
                let text = fs::read_to_string(&source).expect("it is there");
                let unindented = |text: &str| -> Vec<String> {
                    text.lines().map(|line| line.trim_start().into()).collect()
                };
                let (text, code) = (unindented(&text), unindented(&code));
                let found = text.windows(code.len()).any(|lines| lines == code);
                assert!(found, "{heading}: not in {}:\n{code:#?}", source.display());
                compared += 1;
            }
        }
    }
    assert!(compared >= 8, "{compared} blocks");
}

#[test]
fn commands_of_the_tool_do_what_the_page_says() {
    let mut run = 0;
    for (file, heading) in PAGES {
        for (_, code) in blocks(&page(file, heading), "sh") {
            let lines = code.lines().filter(|line| line.starts_with("mayfly "));
            for line in lines.filter(|line| !line.starts_with("mayfly shell")) {
                command(line, heading);
                run += 1;
            }
        }
    }
    assert!(run >= 5, "{run} commands");
}

/// Runs one; `# code 139` behind it says how it ends, if not by 0.
fn command(line: &str, heading: &str) {
    let (words, comment) = line.split_once('#').unwrap_or((line, ""));
    let code = comment.trim().strip_prefix("code ").map_or(0, |code| {
        let digits = code.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|code| code.parse().ok()).expect("a code")
    });
    let tool = Path::new(env!("CARGO_BIN_EXE_mayfly"));
    let folder = tool.parent().expect("it is in a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", words])
        .env("PATH", format!("{folder}:{path}"))
        // As a reader has it.
        .env_remove("MAYFLY_BACKEND")
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .expect("sh is there");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{heading}: {line}\n{told}"
    );
}

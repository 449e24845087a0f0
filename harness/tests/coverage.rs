//! What the README says is served is what the kernel serves.
//!
//! Purpose: the table between the markers is the output of `mayfly coverage
//! --markdown`; every test file is looked through for what it covers.
//! Neighbours: `src/cli/coverage.rs` makes the table.

use std::fs;
use std::path::Path;
use std::process::Command;

const BEGIN: &str = "<!-- coverage: mayfly coverage --markdown -->\n";
const END: &str = "<!-- coverage: end -->";

#[test]
fn the_readme_has_the_table_that_the_tool_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(path).expect("there is a README");
    let (_, rest) = readme.split_once(BEGIN).expect("it has the first marker");
    let (table, _) = rest.split_once(END).expect("it has the second marker");
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["coverage", "--markdown"])
        .output()
        .expect("the tool is built");
    assert!(output.status.success());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        table, printed,
        "put the output of `mayfly coverage --markdown` between the markers"
    );
}

#[test]
fn every_test_file_is_looked_through() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let listed = include_str!("../src/cli/coverage.rs");
    for word in ["xeneva", "patchwork", "veridian", "crossing"] {
        for entry in fs::read_dir(folder.join(word)).expect("a folder").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let covers = fs::read_to_string(entry.path())
                .expect("text")
                .contains("covers =");
            let is_listed = listed.contains(&format!("tests/{word}/{name}"));
            assert!(
                !covers || is_listed,
                "src/cli/coverage.rs does not list {word}/{name}"
            );
        }
    }
}

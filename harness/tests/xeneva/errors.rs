//! Every return and every failure of XenevaOS's services has a test.
//!
//! Purpose: `specs/xeneva.md` §3 and §4 say what each service answers; a
//! failure is -1, or NULL, whatever its cause. Neighbours: the other files of
//! this folder have the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mayfly::prelude::*;

/// Services that cannot fail, or whose failures answer as a success does: 0
/// for a read or write that was in vain, and for nobody to wait for.
const NEVER_FAIL: [&str; 10] = [
    "null_call",
    "PauseThread",
    "GetThreadID",
    "GetProcessID",
    "ProcessExit",
    "ProcessWaitForTermination",
    "UnmapSharedMem",
    "UnmapMemMapping",
    "ReadFile",
    "WriteFile",
];

#[test]
fn every_answer_of_every_service_has_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut covered = BTreeSet::new();
    for folder in ["xeneva", "crossing"] {
        let files = fs::read_dir(tests.join(folder)).expect("a folder");
        for file in files.flatten() {
            let text = fs::read_to_string(file.path()).expect("text");
            for list in text.split("covers = \"").skip(1) {
                let list = list.split('"').next().unwrap_or_default();
                covered.extend(list.split(',').map(|entry| entry.trim().to_owned()));
            }
        }
    }
    for row in Abi::Xeneva.rows() {
        let success = format!("xeneva {}", row.name);
        let failure = format!("{success} FAILED");
        assert!(covered.contains(&success), "no test of {success}");
        let fails = !NEVER_FAIL.contains(&row.name);
        assert_eq!(covered.contains(&failure), fails, "{failure}");
    }
}

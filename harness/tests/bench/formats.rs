//! Standard output in each format is that format, and nothing else.
//!
//! Neighbours: `main` has the table, `page` the page in a browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::{NULL, bench, blessed};

/// Times of one machine in a format, with runs saved in a folder: the code, and
/// the whole standard output.
fn timed(folder: &Path, format: &str, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["bench", "--color", "never", "--format", format, NULL])
        .args(arguments)
        .env("CARGO_TARGET_DIR", folder)
        .output()
        .expect("the tool is built");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code().expect("no signal"), text)
}

#[test]
fn standard_output_is_all_of_the_format_and_nothing_else() {
    let folder = TempDir::new().expect("a folder");
    let of = |format| {
        let (code, text) = timed(folder.path(), format, &["--boots", "1"]);
        assert_eq!(code, 0, "{text}");
        text
    };
    let bmf: Value = serde_json::from_str(&of("bmf")).expect("one object");
    let measures = &bmf[NULL];
    assert!(measures["kernel-instructions"]["value"].is_u64(), "{bmf}");
    assert!(measures["ticks"]["value"].is_u64(), "{bmf}");
    let gh: Value = serde_json::from_str(&of("gh")).expect("one array");
    assert_eq!(gh.as_array().map(Vec::len), Some(2), "{gh}");
    let csv = of("csv");
    let lines: Vec<&str> = csv.lines().collect();
    let header = format!("time,revision,host,{NULL}:kernel_instr,{NULL}:ticks_p50");
    assert_eq!((lines[0], lines.len()), (header.as_str(), 2), "{csv}");
    let page = of("html");
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert!(page.trim_end().ends_with("</html>"), "{page}");
    let summary = of("markdown");
    let first = "## Kernel costs\n\n**Passed** (exit code 0): nothing was compared.\n";
    assert!(summary.starts_with(first), "{summary}");
    assert!(!summary.contains("testbed  "), "{summary}");
    let json = of("json");
    let lines = json.lines().map(serde_json::from_str::<Value>);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON lines");
    let reasons: Vec<_> = lines.iter().map(|it| it["reason"].as_str()).collect();
    assert_eq!(reasons, [Some("run"), Some("benchmark")]);
    assert!(lines[0]["host"].is_string(), "{json}");
    assert_eq!(
        (&lines[1]["boots"], &lines[1]["verdict"]),
        (&1.into(), &Value::Null)
    );
}

#[test]
fn what_changed_is_told_beside_a_document_and_not_in_it() {
    let folder = blessed();
    let file = folder.path().join("patchwork.txt");
    let text = fs::read_to_string(&file).expect("figures");
    let padded = format!("{NULL:<36} ");
    fs::write(&file, text.replacen(&padded, &format!("{padded}9"), 1)).expect("written");
    let of = |format| {
        let against = ["--against", "baseline", "--format", format, NULL];
        let (code, out, errors) = bench(folder.path(), &against);
        assert_eq!(code, 111, "{out}{errors}");
        (out, errors)
    };
    let (gh, errors) = of("gh");
    serde_json::from_str::<Value>(&gh).expect("one array");
    assert!(errors.contains(&format!("MORE {NULL}")), "{errors}");
    let (json, _) = of("json");
    let lines = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines[1]["verdict"], "MORE", "{json}");
    assert_eq!(lines[2]["reason"], "change", "{json}");
    let (summary, _) = of("markdown");
    assert!(summary.contains("**Regression** (exit code 111): 1 exact counts changed."));
}

#[test]
fn a_time_that_is_longer_twice_is_111_and_says_so_in_the_summary() {
    let folder = TempDir::new().expect("a folder");
    let (code, text) = timed(folder.path(), "human", &["--save", "mine"]);
    assert_eq!(code, 0, "{text}");
    let file = folder.path().join("mayfly/bench/mine.jsonl");
    let text = fs::read_to_string(&file).expect("a run");
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            // Of another kernel, whose times are no noise of this one.
            if line["reason"] == "run" {
                line["guest"] = "another".into();
            }
            for median in line["medians"].as_array_mut().into_iter().flatten() {
                *median = (median.as_u64().expect("ticks") / 4).into();
            }
            line.to_string()
        })
        .collect();
    fs::write(&file, lines.join("\n")).expect("written");
    let (code, summary) = timed(folder.path(), "markdown", &["--against", "mine"]);
    assert_eq!(code, 111, "{summary}");
    let first = "**Regression** (exit code 111): all 1 exact counts are what they were; 1 times are longer.";
    assert!(summary.contains(first), "{summary}");
    assert!(summary.contains("| SLOWER |"), "{summary}");
}

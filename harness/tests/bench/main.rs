//! `mayfly bench`, run as a user and as CI run it.
//!
//! Purpose: exact counts are the same twice, a baseline that differs is told
//! with the function that grew, and what the report says of this host. Neighbours:
//! `mistakes` has broken input; the crate `mayfly_bench` tests the judging with made-up figures.

mod mistakes;

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
fn ten_instructions_more_in_one_call_are_111_and_without_them_all_is_well() {
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
    fs::write(&call, text).expect("written");
    let (code, found, errors) = compare("json");
    assert_eq!(code, Some(0), "{found}{errors}");
    let mut lines = found.lines().map(serde_json::from_str::<serde_json::Value>);
    assert!(
        !found.is_empty() && lines.all(|line| line.is_ok()),
        "{found}"
    );
}

/// The browser that `MAYFLY_BROWSER` names, or one that is installed.
fn browser() -> Option<String> {
    if let Ok(named) = std::env::var("MAYFLY_BROWSER") {
        return Some(named);
    }
    let known = ["chromium", "chromium-browser", "google-chrome"];
    let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    known.into_iter().find(runs).map(String::from)
}

#[test]
fn the_page_renders_in_a_browser_without_an_error_and_its_tables_sort() {
    let Some(browser) = browser() else {
        eprintln!("n/a: no browser is installed: apt-get install chromium, or MAYFLY_BROWSER=PATH");
        return;
    };
    let folder = TempDir::new().expect("a folder");
    let page = folder.path().join("page.html");
    let (code, _, errors) = bench(
        folder.path(),
        &[
            "lat_syscall/null",
            "--format",
            "html",
            "--out",
            page.to_str().expect("UTF-8"),
        ],
    );
    assert_eq!(code, 0, "{errors}");
    // Notes errors before anything else runs, and clicks when everything has.
    let text = fs::read_to_string(&page).expect("a page");
    let head = "<script>window.failures = 0; addEventListener('error', () => failures++);</script>";
    let clicks = "<script>const heads = document.querySelectorAll('#figures th');\
        const first = () => document.querySelector('#figures tbody td').textContent;\
        heads[0].click(); const up = first(); heads[0].click(); const down = first();\
        heads[1].click(); const least = document.querySelector('#figures tbody tr').cells[1].dataset.n;\
        document.title = [failures, up, down, least].join(' ');</script>";
    let text = text
        .replacen("<title>", &format!("{head}<title>"), 1)
        .replace("</html>", clicks);
    fs::write(&page, text).expect("written");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser runs");
    let dom = String::from_utf8_lossy(&output.stdout);
    let title = dom
        .split("<title>")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    let words: Vec<&str> = title.expect("a title").split(' ').collect();
    let [failures, up, down, least] = words[..] else {
        panic!("{words:?}")
    };
    assert_eq!((failures, up, down), ("0", NULL, "xeneva/lat_syscall/null"));
    assert!(
        least
            .parse::<u64>()
            .is_ok_and(|least| (50..70).contains(&least)),
        "{least}"
    );
}

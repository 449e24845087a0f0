//! The page of `mayfly bench --format html`, in a real browser.
//!
//! Neighbour: `formats` asks the tool for one.

use std::fs;
use std::process::Command;

use mayfly_bench::Run;
use mayfly_bench::baseline::Change;
use mayfly_bench::compare::{Compared, Verdict};
use mayfly_bench::report::html;
use mayfly_bench::run::Kept;
use tempfile::TempDir;

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
    let path = folder.path().join("page.html");
    // Notes errors before anything else runs, and clicks when everything has.
    let head = "<script>window.failures = 0; addEventListener('error', () => failures++);\
        for (const level of ['error', 'warn']) console[level] = () => failures++;</script>";
    let clicks = "<script>const seen = [failures];\
        for (const table of document.querySelectorAll('table')) {\
          const first = column => table.tBodies[0].rows[0].cells[column].textContent;\
          for (const column of [0, 1, 1]) { table.tHead.rows[0].cells[column].click();\
            seen.push(table.id + ':' + first(column)); } }\
        const drawn = [...document.querySelectorAll('svg rect, svg circle')];\
        seen.push(drawn.filter(it => it.getBoundingClientRect().width > 0).length === drawn.length);\
        document.title = seen.join(' ');</script>";
    let text = made_up()
        .replacen("<title>", &format!("{head}<title>"), 1)
        .replace("</html>", clicks);
    fs::write(&path, text).expect("written");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("file://{}", path.display()))
        .output()
        .expect("the browser runs");
    let dom = String::from_utf8_lossy(&output.stdout);
    let title = dom
        .split("<title>")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    // Each table by its first column, then by its second, up and down: as numbers,
    // since as text 1,000 is less than 9.
    let seen = "0 changes:a changes:9 changes:1,000 compared:a compared:9 compared:1,000 \
                figures:a figures:9 figures:1,000 true";
    assert_eq!(title, Some(seen), "{dom}");
}

/// A page of figures of which the order as text is not that of numbers.
fn made_up() -> String {
    let names = [("b", 1000), ("a", 9), ("c", 10)];
    let change = |(name, count): (&str, u64)| Change {
        name: name.into(),
        before: Some(count),
        after: Some(count + 1),
        functions: Vec::new(),
    };
    let compared = |(name, ticks): (&str, u64)| Compared {
        name: name.into(),
        medians: (ticks, 2 * ticks),
        change: 1000,
        interval: (900, 1100),
        noise: 20,
        chance: 0.01,
        verdict: Verdict::Slower,
    };
    let kept = |(name, count): (&str, u64)| Kept {
        name: name.into(),
        instructions: Some(count),
        buckets: vec![(5, 10), (9, 3), (1000, 1)],
        ..Kept::default()
    };
    let run = Run {
        kept: names.map(kept).into(),
        ..Run::default()
    };
    html::page(&html::Contents {
        run: &run,
        history: &[run.clone(), run.clone()],
        changes: &names.map(change),
        compared: &names.map(compared),
    })
}

//! The summary of a CI step: the verdict, what changed, then everything.

use std::fmt::Write as _;

use crate::baseline::Change;
use crate::compare::{Compared, Verdict};
use crate::run::Run;

/// Functions shown of a change.
const FUNCTIONS: usize = 6;

/// What a summary is made of.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// The run that it is about.
    pub run: &'a Run,
    /// How many counts were compared; none if that was not asked.
    pub counts: usize,
    /// Which of them changed.
    pub changes: &'a [Change],
    /// How times differ from another run's.
    pub compared: &'a [Compared],
    /// What the tool ends with.
    pub code: u8,
    /// What can be done about counts that changed.
    pub remedy: &'a str,
}

/// A run, and how it differs from what it was compared with.
pub fn summary(contents: &Contents<'_>) -> String {
    let Contents { run, changes, .. } = *contents;
    let mut text = format!("## Kernel costs\n\n{}\n\n", verdict(contents));
    if !changes.is_empty() {
        changed(changes, &mut text);
        // Writing to a string does not fail.
        let _ = writeln!(text, "\n*{}*\n", contents.remedy);
    }
    let differ = |it: &&Compared| !matches!(it.verdict, Verdict::Same | Verdict::Noise);
    let differ: Vec<&Compared> = contents.compared.iter().filter(differ).collect();
    if !differ.is_empty() {
        times(&differ, &mut text);
    }
    text += "<details><summary>All figures</summary>\n\n";
    text += "| benchmark | kernel instructions | ticks p50 | p99 |\n| --- | --: | --: | --: |\n";
    for kept in &run.kept {
        let cell = |number: Option<u64>| number.map_or_else(|| "n/a".into(), |it| it.to_string());
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            kept.name,
            cell(kept.instructions),
            cell(kept.quantile(0.5)),
            cell(kept.quantile(0.99))
        );
    }
    let _ = writeln!(text, "\n{}\n</details>", run.testbed.host);
    if run.testbed.emulated {
        text += "\nRing 0 is emulated on this host: its times are not those of hardware.\n";
    }
    text
}

/// The first line: what was found, and what the tool ends with.
fn verdict(contents: &Contents<'_>) -> String {
    let Contents { changes, code, .. } = *contents;
    let mut found = Vec::new();
    match (contents.counts, changes.len()) {
        (0, 0) => {}
        (counts, 0) => found.push(format!("all {counts} exact counts are what they were")),
        (_, changed) => found.push(format!("{changed} exact counts changed")),
    }
    let timed = contents.compared;
    let slower = timed.iter().filter(|it| it.verdict == Verdict::Slower);
    match (timed.len(), slower.count()) {
        (0, _) => {}
        (timed, 0) => found.push(format!("none of {timed} times is longer")),
        (_, slower) => found.push(format!("{slower} times are longer")),
    }
    if found.is_empty() {
        found.push("nothing was compared".into());
    }
    let word = if code == 0 { "Passed" } else { "Regression" };
    format!("**{word}** (exit code {code}): {}.", found.join("; "))
}

fn changed(changes: &[Change], text: &mut String) {
    *text += "| changed | was | is | by | functions |\n| --- | --: | --: | --: | --- |\n";
    for change in changes {
        let cell = |number: Option<u64>| number.map_or_else(|| "-".into(), |it| it.to_string());
        let functions = change.functions.iter().take(FUNCTIONS).map(|grew| {
            let place = grew.function.place();
            format!("`{:+} {}` {place}", grew.by, grew.function.name)
        });
        let functions: Vec<String> = functions.collect();
        let by = i128::from(change.after.unwrap_or(0)) - i128::from(change.before.unwrap_or(0));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {by:+} | {} |",
            change.name,
            cell(change.before),
            cell(change.after),
            functions.join("<br>")
        );
    }
}

fn times(compared: &[&Compared], text: &mut String) {
    *text += "| time | then | now | \u{2030} | noise \u{2030} | verdict |\n";
    *text += "| --- | --: | --: | --: | --: | --- |\n";
    for it in compared {
        let (then, now) = it.medians;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {then} | {now} | {:+} | {} | {} |",
            it.name,
            it.change,
            it.noise,
            it.verdict.word()
        );
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::Growth;
    use crate::lab::Function;

    #[test]
    fn what_changed_comes_first() {
        let change = Change {
            name: "a/b".into(),
            before: Some(60),
            after: Some(70),
            functions: vec![Growth {
                by: 10,
                function: Function {
                    name: "f".into(),
                    file: "k.rs".into(),
                    line: 3,
                },
            }],
        };
        let gone = Change {
            name: "a/c".into(),
            after: None,
            functions: vec![Growth {
                by: -4,
                function: Function::default(),
            }],
            ..change.clone()
        };
        let text = summary(&Contents {
            run: &Run::default(),
            counts: 7,
            changes: &[change, gone],
            compared: &[],
            code: 111,
            remedy: "bless",
        });
        let verdict =
            "## Kernel costs\n\n**Regression** (exit code 111): 2 exact counts changed.\n";
        assert!(text.starts_with(verdict), "{text}");
        assert!(text.contains("\n*bless*\n"), "{text}");
        assert!(
            text.contains("| a/b | 60 | 70 | +10 | `+10 f` k.rs:3 |"),
            "{text}"
        );
        // A function without a source has no line either.
        assert!(!text.contains(":0"), "{text}");
    }

    #[test]
    fn a_time_that_is_longer_is_in_the_first_line_and_has_a_row() {
        let compared = |name: &str, verdict| Compared {
            name: name.into(),
            medians: (1000, 1100),
            change: 100,
            interval: (90, 110),
            noise: 20,
            chance: 0.01,
            verdict,
        };
        let of = |compared: &[Compared], code| {
            summary(&Contents {
                run: &Run::default(),
                counts: 7,
                changes: &[],
                compared,
                code,
                remedy: "",
            })
        };
        let longer = [
            compared("x", Verdict::Slower),
            compared("y", Verdict::Noise),
        ];
        let text = of(&longer, 111);
        let verdict = "**Regression** (exit code 111): all 7 exact counts are what they were; 1 times are longer.";
        assert_eq!(text.lines().nth(2), Some(verdict));
        assert!(
            text.contains("| x | 1000 | 1100 | +100 | 20 | SLOWER |"),
            "{text}"
        );
        assert!(!text.contains("| y |"), "{text}");
        let text = of(&[compared("y", Verdict::Noise)], 0);
        assert!(text.contains("**Passed** (exit code 0)") && text.contains("none of 1 times"));
        assert!(of(&[], 0).contains("what they were.\n"), "no times");
    }
}

//! The summary of a CI step: what changed first, then everything.

use std::fmt::Write as _;

use crate::baseline::Change;
use crate::run::Run;

/// Functions shown of a change.
const FUNCTIONS: usize = 6;

/// A run, and how its counts differ from what was agreed on, if that was asked.
pub fn summary(run: &Run, changes: Option<&[Change]>) -> String {
    let mut text = String::from("## Kernel costs\n\n");
    match changes {
        None => {}
        Some([]) => text += "Every exact count is what was agreed on.\n\n",
        Some(changes) => {
            text += "| changed | was | is | by | functions |\n| --- | --: | --: | --: | --- |\n";
            for change in changes {
                let cell =
                    |number: Option<u64>| number.map_or_else(|| "-".into(), |it| it.to_string());
                let functions: Vec<String> = change
                    .functions
                    .iter()
                    .take(FUNCTIONS)
                    .map(|grew| {
                        let it = &grew.function;
                        format!("`{:+} {}` {}:{}", grew.by, it.name, it.file, it.line)
                    })
                    .collect();
                let by =
                    i128::from(change.after.unwrap_or(0)) - i128::from(change.before.unwrap_or(0));
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
            text += "\nAccept them: `mayfly bench --exact --bless`\n\n";
        }
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
        let text = summary(&Run::default(), Some(&[change]));
        assert!(
            text.contains("| a/b | 60 | 70 | +10 | `+10 f` k.rs:3 |"),
            "{text}"
        );
        assert!(summary(&Run::default(), Some(&[])).contains("what was agreed on"));
    }
}

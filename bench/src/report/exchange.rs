//! Formats of other tools: 20 lines each.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::run::{Kept, Run};
use crate::suite;

/// Bencher metric format: a benchmark's measures, each with its value.
pub fn bencher(run: &Run) -> Value {
    let mut all = Map::new();
    for kept in &run.kept {
        let mut measures = Map::new();
        if let Some(count) = kept.instructions {
            measures.insert("kernel-instructions".into(), json!({"value": count}));
        }
        if let Some(ticks) = kept.quantile(0.5) {
            let bounds = (kept.quantile(0.1), kept.quantile(0.9));
            measures.insert(
                suite::unit(&kept.name).into(),
                json!({"value": ticks, "lower_value": bounds.0, "upper_value": bounds.1}),
            );
        }
        if !measures.is_empty() {
            all.insert(kept.name.clone(), Value::Object(measures));
        }
    }
    Value::Object(all)
}

/// github-action-benchmark, tool `customSmallerIsBetter`.
pub fn github(run: &Run) -> Value {
    let mut entries = Vec::new();
    for kept in &run.kept {
        if let Some(count) = kept.instructions {
            entries.push(json!({
                "name": kept.name, "unit": "kernel instructions", "value": count,
            }));
        }
        if let (Some(ticks), Some(low), Some(high)) =
            (kept.quantile(0.5), kept.quantile(0.25), kept.quantile(0.75))
        {
            entries.push(json!({
                "name": format!("{} (time)", kept.name), "unit": suite::unit(&kept.name), "value": ticks,
                "range": high.saturating_sub(low).to_string(), "extra": run.testbed.host,
            }));
        }
    }
    Value::Array(entries)
}

/// CSV for Apache Otava: a row a run, a column a metric; the first are its time
/// and what attributes it.
pub fn csv(runs: &[Run]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for kept in runs.iter().flat_map(|run| &run.kept) {
        if !names.contains(&kept.name.as_str()) {
            names.push(&kept.name);
        }
    }
    let mut text = String::from("time,revision,host");
    for name in &names {
        // Writing to a string does not fail.
        let _ = write!(text, ",{name}:kernel_instr,{name}:ticks_p50");
    }
    text.push('\n');
    let cell = |number: Option<u64>| number.map_or_else(String::new, |it| it.to_string());
    for run in runs {
        let host = run.testbed.host.replace([',', '"'], " ");
        let _ = write!(text, "{},{},{host}", run.testbed.when, run.testbed.revision);
        for name in &names {
            let kept = run.find(name);
            let count = cell(kept.and_then(|it| it.instructions));
            let ticks = cell(kept.and_then(|it: &Kept| it.quantile(0.5)));
            let _ = write!(text, ",{count},{ticks}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Testbed;

    fn run() -> Run {
        Run {
            testbed: Testbed {
                host: "x, y".into(),
                when: 5,
                ..Testbed::default()
            },
            kept: vec![
                Kept {
                    name: "a/b".into(),
                    instructions: Some(64),
                    buckets: vec![(10, 5), (20, 5)],
                    ..Kept::default()
                },
                Kept {
                    name: "machine/c".into(),
                    buckets: vec![(7, 1)],
                    ..Kept::default()
                },
            ],
        }
    }

    #[test]
    fn each_format_has_what_its_readers_look_for() {
        let bencher = bencher(&run());
        assert_eq!(bencher["a/b"]["kernel-instructions"]["value"], 64);
        assert_eq!(bencher["machine/c"]["ticks"]["value"], 7);
        let github = github(&run());
        let entries = github.as_array().unwrap();
        assert!(
            entries
                .iter()
                .all(|it| it["name"].is_string() && it["unit"].is_string() && it["value"].is_u64())
        );
        assert_eq!(entries.len(), 3);
        let csv = csv(&[run(), run()]);
        let rows: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(rows, [7, 7, 7]);
        assert!(csv.contains("5,,x  y,64,10,,7"), "{csv}");
    }
}

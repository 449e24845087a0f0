//! Formats of other tools: 20 lines each.

use std::collections::BTreeMap;
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
/// and what attributes it. Of the runs in `history` those of this testbed which
/// have at least half of its metrics are rows, and what all rows have are columns:
/// a cell without a number would be refused, times of two hosts are no series.
pub fn csv(run: &Run, history: &[Run]) -> String {
    let ours = metrics(run);
    let mut columns: Vec<&str> = ours.iter().map(|(name, _)| name.as_str()).collect();
    let mut rows = Vec::new();
    let here = history.iter().filter(|it| it.testbed.is_like(&run.testbed));
    for other in here {
        let theirs: BTreeMap<String, u64> = metrics(other).into_iter().collect();
        let shared = ours.iter().filter(|(name, _)| theirs.contains_key(name));
        if 2 * shared.count() >= ours.len() {
            columns.retain(|name| theirs.contains_key(*name));
            rows.push((other, theirs));
        }
    }
    rows.push((run, ours.iter().cloned().collect()));
    let mut text = String::from("time,revision,host");
    for name in &columns {
        text.push(',');
        text += &quoted(name);
    }
    text.push('\n');
    for (run, cells) in rows {
        let it = &run.testbed;
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{},{},{}",
            it.when,
            quoted(&it.revision),
            quoted(&it.host)
        );
        for name in &columns {
            let _ = write!(text, ",{}", cells.get(*name).copied().unwrap_or(0));
        }
        text.push('\n');
    }
    text
}

/// The metrics of a run, in the order of its benchmarks.
fn metrics(run: &Run) -> Vec<(String, u64)> {
    let of = |kept: &Kept| {
        let metric =
            |what: &str, number: Option<u64>| Some((format!("{}:{what}", kept.name), number?));
        [
            metric("kernel_instr", kept.instructions),
            metric("ticks_p50", kept.quantile(0.5)),
        ]
    };
    run.kept.iter().flat_map(of).flatten().collect()
}

/// A cell that may have commas in it.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.into(),
    }
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
    }

    /// The cells of a row, quotes taken off.
    fn cells(row: &str) -> Vec<String> {
        let (mut cells, mut inside) = (vec![String::new()], false);
        for it in row.chars() {
            match it {
                '"' => inside = !inside,
                ',' if !inside => cells.push(String::new()),
                it => cells.last_mut().unwrap().push(it),
            }
        }
        cells
    }

    #[test]
    fn a_row_of_csv_has_a_number_in_each_column() {
        let of = |host: &str, revision: &str, kept: Vec<Kept>| Run {
            testbed: Testbed {
                host: host.into(),
                revision: revision.into(),
                ..run().testbed
            },
            kept,
        };
        let now = of("x, y", "abc, changed", run().kept);
        let [both, timed] = <[Kept; 2]>::try_from(run().kept).unwrap();
        let mut untimed = both.clone();
        untimed.buckets.clear();
        let history = [
            of("another", "a", run().kept),
            of("x, y", "b", vec![untimed.clone(), timed.clone()]),
            of("x, y", "c", vec![untimed]),
        ];
        let text = csv(&now, &history);
        let rows: Vec<Vec<String>> = text.lines().map(cells).collect();
        let columns = [
            "time",
            "revision",
            "host",
            "a/b:kernel_instr",
            "machine/c:ticks_p50",
        ];
        assert_eq!(rows[0], columns, "{text}");
        assert_eq!(rows[1], ["5", "b", "x, y", "64", "7"], "{text}");
        assert_eq!(rows[2], ["5", "abc, changed", "x, y", "64", "7"], "{text}");
        assert_eq!(rows.len(), 3, "{text}");
        assert_eq!(csv(&now, &[]).lines().count(), 2);
        assert!(csv(&now, &[]).contains("a/b:ticks_p50"));
    }
}

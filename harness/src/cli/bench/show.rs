//! Benchmarks on a terminal, or as JSON lines.
//!
//! Neighbours: `mod` measures, `say` prints.

use std::io;
use std::time::Duration;

use mayfly::notation::grouped;
use mayfly_bench::baseline::Change;
use mayfly_bench::compare::{self, Compared, Verdict};
use mayfly_bench::{Measured, Run, Testbed, suite};
use serde_json::json;

use super::found::{Found, word};
use super::{Figures, pmu};
use crate::cli::say::{CARE, GOOD, QUIET, Say, WRONG, styled};
use crate::cli::units;

/// Functions shown of a change.
const FUNCTIONS: usize = 6;

pub(super) fn header(exact: bool, say: &mut Say) -> io::Result<()> {
    if say.is_json() {
        return Ok(());
    }
    let mut header = format!("{:<36} {:>12}", "benchmark", "kernel instr");
    if !exact {
        header += &format!(
            " {:>8} {:>12} {:>12} {:>12} {:>12} {:>9}",
            "empty", "cold", "ticks min", "p50", "p99", "n"
        );
    }
    say.line(&styled(QUIET, header))
}

/// What figures of machines are seen beside.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    /// What the least machine took, in turns with what was measured.
    pub(super) floor: Option<u64>,
    pub(super) tsc_khz: u64,
}

impl Beside {
    /// A median in words, and how it is to the floor.
    fn words(self, name: &str, median: u64) -> String {
        if suite::unit(name) == "bytes" {
            return format!("{} KiB", grouped(median >> 10));
        }
        let time = units::time(Duration::from_nanos(self.nanoseconds(median)));
        match self.floor {
            None => time,
            Some(floor) => {
                let percent = median * 100 / floor.max(1);
                format!("{time}, {}.{:02} floors", percent / 100, percent % 100)
            }
        }
    }

    fn nanoseconds(self, ticks: u64) -> u64 {
        let time = u128::from(ticks) * 1_000_000 / u128::from(self.tsc_khz.max(1));
        u64::try_from(time).unwrap_or(u64::MAX)
    }
}

pub(super) fn line(
    measured: &Measured,
    boots: u32,
    beside: Beside,
    say: &mut Say,
) -> io::Result<()> {
    if say.is_json() {
        // With its verdict, when that is known.
        return Ok(());
    }
    let count = measured.exact.as_ref();
    let count = count.map_or_else(|| "n/a".into(), |it| grouped(it.instructions));
    let mut line = format!("{:<36} {count:>12}", measured.name);
    if let Some(times) = &measured.times {
        let cold = times.cold_median();
        line += &format!(" {:>8}", grouped(times.empty));
        for ticks in [
            cold,
            times.quantile(0.0),
            times.quantile(0.5),
            times.quantile(0.99),
        ] {
            line += &format!(" {:>12}", grouped(ticks));
        }
        line += &format!(
            " {:>9}",
            format!(
                "{} x {}",
                boots,
                times.histogram.len() / u64::from(boots.max(1))
            )
        );
    }
    if let Some(counters) = measured.counters {
        line += &format!(
            "  {} cycles, {} instructions",
            grouped(counters.cycles),
            grouped(counters.instructions)
        );
    }
    if let (Some(times), "machine") = (&measured.times, suite::interface(&measured.name)) {
        let words = beside.words(&measured.name, times.quantile(0.5));
        line += &styled(QUIET, format!("  {words}"));
    }
    if let Some((least, most)) = measured
        .exact
        .as_ref()
        .map(|it| it.range)
        .filter(|it| it.0 < it.1)
    {
        line += &styled(QUIET, format!("  {} to {}", grouped(least), grouped(most)));
    }
    if let Some(exact) = measured.exact.as_ref().filter(|it| it.parts.len() > 1) {
        let parts: Vec<String> = exact.parts.iter().map(|it| grouped(*it)).collect();
        line += &styled(QUIET, format!("  = {} by process", parts.join(" + ")));
    }
    say.line(&line)
}

/// All that was found, as JSON lines: the testbed, each benchmark with its
/// verdict, and what changed; nothing for people, who have seen it.
pub(super) fn results(
    figures: &Figures,
    run: &Run,
    found: &Found,
    say: &mut Say,
) -> io::Result<()> {
    if !say.is_json() {
        return Ok(());
    }
    say.json("run", run.testbed.object())?;
    for (measured, beside) in figures.measured.iter().zip(&figures.besides) {
        let mut line = object(measured, *beside);
        line["verdict"] = json!(found.verdict(&measured.name));
        if let Some(kept) = run.find(&measured.name).filter(|it| !it.medians.is_empty()) {
            line["boots"] = kept.medians.len().into();
            if measured.times.is_none() {
                let kept = kept.object();
                line["ticks"] = kept["ticks"].clone();
                line["n"] = kept["n"].clone();
            }
        }
        say.json("benchmark", line)?;
    }
    for change in found.changes.iter().chain(&found.apart) {
        let functions = change.functions.iter().map(|grew| {
            let it = &grew.function;
            json!({"by": grew.by, "name": it.name, "file": it.file, "line": it.line})
        });
        let functions: Vec<_> = functions.collect();
        say.json("change", json!({
            "name": change.name, "before": change.before, "after": change.after, "functions": functions,
        }))?;
    }
    for it in &found.compared {
        say.json("compared", json!({
            "name": it.name, "before": it.medians.0, "after": it.medians.1, "permille": it.change,
            "interval": [it.interval.0, it.interval.1], "noise": it.noise, "chance": it.chance, "verdict": it.verdict.word(),
        }))?;
    }
    Ok(())
}

/// What `--message-format json` prints of a benchmark.
fn object(measured: &Measured, beside: Beside) -> serde_json::Value {
    let exact = measured.exact.as_ref();
    let ticks = measured.times.as_ref().map(|times| {
        json!({
            "min": times.quantile(0.0), "p50": times.quantile(0.5), "p90": times.quantile(0.9),
            "p99": times.quantile(0.99), "p999": times.quantile(0.999), "max": times.quantile(1.0),
            "cold": times.cold_median(), "empty": times.empty,
        })
    });
    let interface = suite::interface(&measured.name);
    json!({
        "name": measured.name,
        "abi": (interface != "machine").then_some(interface),
        "kernel_instr": exact.map(|it| it.instructions),
        "body_instr": exact.map(|it| it.body),
        "cold_instr": exact.map(|it| it.cold),
        "range_instr": exact.map(|it| [it.range.0, it.range.1]),
        "parts": exact.map(|it| it.parts.clone()),
        "ticks": ticks,
        "cycles": measured.counters.map(|it| it.cycles),
        "guest_instr": measured.counters.map(|it| it.instructions),
        "n": measured.times.as_ref().map_or(0, |it| it.histogram.len()),
        "boots": 0,
        "unit": suite::unit(&measured.name),
        "floor_ticks": beside.floor,
        "verdict": null,
    })
}

/// Where times are taken, and what they are worth.
pub(super) fn testbed(testbed: &Testbed, say: &mut Say) -> io::Result<()> {
    if say.is_json() {
        return Ok(());
    }
    say.line(&format!("testbed  {}", testbed.host))?;
    if testbed.emulated {
        say.line(
            "         ring 0 is emulated here, an instruction at a time: ticks are not those of hardware",
        )?;
    }
    say.line("         times are ticks of the TSC, less what taking them costs; boots x rounds behind them")?;
    match pmu::missing() {
        Some(reason) => say.line(&format!("         cycles n/a: {reason}")),
        None => say
            .line("         cycles and instructions: of the guest alone, by performance counters"),
    }
}

/// Thousandths as per cent, with their sign.
fn signed(thousandths: i64) -> String {
    let sign = if thousandths < 0 { '-' } else { '+' };
    let size = thousandths.unsigned_abs();
    format!("{sign}{}.{}", size / 10, size % 10)
}

/// How times differ from those of another run.
pub(super) fn compared(compared: &[Compared], say: &mut Say) -> io::Result<()> {
    if say.is_json() {
        return Ok(());
    }
    for it in compared {
        let style = match it.verdict {
            Verdict::Same => QUIET,
            Verdict::Noise | Verdict::Host => CARE,
            Verdict::Slower => WRONG,
            Verdict::Faster => GOOD,
        };
        say.line(&format!(
            "{:<36} {:>12} to {:>12} ticks  {:>7} % [{} to {}]  noise {} %  {}",
            it.name,
            grouped(it.medians.0),
            grouped(it.medians.1),
            signed(it.change),
            signed(it.interval.0),
            signed(it.interval.1),
            signed(i64::try_from(it.noise).unwrap_or(i64::MAX)).trim_start_matches('+'),
            styled(style, it.verdict.word())
        ))?;
    }
    if let Some(by) = compare::of_host(compared) {
        let by = signed(i64::try_from(by).unwrap_or(i64::MAX));
        say.note(&format!(
            "what has none of the kernel in it differs by {} %, as far as which the host does, and no kernel",
            by.trim_start_matches('+')
        ));
    }
    Ok(())
}

/// What differs from what was agreed on.
pub(super) fn changes(found: &Found, say: &mut Say) -> io::Result<()> {
    let changes = &found.changes;
    if say.is_json() {
        return Ok(());
    }
    for change in &found.apart {
        say.note(&format!(
            "{} is on one side only: {}",
            change.name,
            word(change)
        ));
    }
    if changes.is_empty() {
        match found.counted.len() {
            0 => say.note("no count was compared"),
            1 => say.step("Same", "the count is what it was"),
            counts => say.step("Same", &format!("all {counts} counts are what they were")),
        }
        return Ok(());
    }
    for change in changes {
        say.line(&headline(change))?;
        for grew in change.functions.iter().take(FUNCTIONS) {
            say.line(&format!("  {grew}"))?;
        }
        let rest: i64 = change
            .functions
            .iter()
            .skip(FUNCTIONS)
            .map(|grew| grew.by)
            .sum();
        if change.functions.len() > FUNCTIONS {
            say.line(&format!(
                "  {rest:>+6}  in {} others",
                change.functions.len() - FUNCTIONS
            ))?;
        }
    }
    say.note(&format!(
        "{} of the counts changed; {}",
        changes.len(),
        found.remedy
    ));
    Ok(())
}

fn headline(change: &Change) -> String {
    let name = &change.name;
    match (change.before, change.after) {
        (Some(before), Some(after)) => {
            let style = match after.cmp(&before) {
                std::cmp::Ordering::Greater => WRONG,
                std::cmp::Ordering::Less => GOOD,
                std::cmp::Ordering::Equal => CARE,
            };
            let by = i128::from(after) - i128::from(before);
            format!(
                "{} {name} kernel_instr {} ({by:+}, was {})",
                styled(style, word(change)),
                grouped(after),
                grouped(before)
            )
        }
        (None, after) => format!(
            "{} {name} kernel_instr {}: not in the baseline",
            styled(CARE, "NEW"),
            after.map_or_else(String::new, grouped)
        ),
        (_, None) => format!("{} {name}: in the baseline only", styled(CARE, "GONE")),
    }
}

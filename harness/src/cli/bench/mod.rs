//! `mayfly bench`: what the kernel costs, and whether that changed.
//!
//! Purpose: measures, prints, and compares with figures that were agreed on.
//! Neighbours: `lab` measures with microVMs, the crate `mayfly_bench` has the
//! list and judges, `show` prints tables.

mod floor;
mod lab;
mod machines;
mod show;

use std::path::{Path, PathBuf};

use clap::Args;
use mayfly_bench::baseline::Baseline;
use mayfly_bench::{Benchmark, Error, Lab as _, Measured, Plan, measure, suite};

use super::exit::Exit;
use super::say::Say;
use lab::Microvms;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mayfly bench                                counts and times of everything
  mayfly bench veridian/lat_ipc               what has that in its name
  mayfly bench --exact --against baseline     exit code 111 if a count changed
  mayfly bench --exact --bless                agree to the counts as they are";

/// Name of the committed figures.
const BASELINE: &str = "baseline";

/// Options of `mayfly bench`.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Only benchmarks that have this in their name.
    filter: Option<String>,
    /// List the benchmarks.
    #[arg(long)]
    list: bool,
    /// Count kernel instructions only; take no times.
    #[arg(long)]
    exact: bool,
    /// Compare with figures that were agreed on; 111 if a count differs.
    #[arg(long, value_name = "baseline")]
    against: Option<String>,
    /// Agree to the counts as they are: rewrite the baseline.
    #[arg(long, conflicts_with = "against")]
    bless: bool,
    /// Machines that times are taken on.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    boots: u32,
    /// Folder of the baseline; else `bench/baseline` of the repository here.
    #[arg(long, value_name = "FOLDER")]
    baseline: Option<PathBuf>,
}

/// Measures.
pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<Exit> {
    let filter = options.filter.as_deref().unwrap_or_default();
    let chosen = suite::chosen(filter)?;
    if options.list {
        for benchmark in chosen {
            say.line(benchmark.name)?;
        }
        return Ok(Exit::Success);
    }
    // What cannot be compared with is told before anything is measured.
    let folder = folder(options.baseline.as_deref());
    let agreed = match options.against.as_deref() {
        Some(BASELINE) => Some(Baseline::load(&folder)?),
        Some(name) => anyhow::bail!("there are no saved figures named {name:?}"),
        None => None,
    };
    let mut lab = Microvms::new();
    let measured = all(options, &chosen, &mut lab, say)?;
    let whole = filter.is_empty();
    if options.bless {
        bless(&folder, &measured, whole, lab.entry())?;
        say.step("Blessed", &folder.display().to_string());
    }
    let Some(agreed) = agreed else {
        return Ok(Exit::Success);
    };
    let changes = agreed.changes(&measured, lab.entry(), whole);
    if agreed.entry() != lab.entry() {
        say.note(&format!(
            "calls enter by {} here, and by {} in the baseline: what is compared is without the way in",
            lab.entry(),
            agreed.entry()
        ));
    }
    show::changes(&changes, say)?;
    Ok(match changes.is_empty() {
        true => Exit::Success,
        false => Exit::Regression,
    })
}

/// Measures the chosen benchmarks; each is shown as soon as it is there.
fn all(
    options: &Options,
    chosen: &[&Benchmark],
    lab: &mut Microvms,
    say: &mut Say,
) -> anyhow::Result<Vec<Measured>> {
    let plan = Plan {
        boots: if options.exact { 0 } else { options.boots },
    };
    show::header(options.exact, say)?;
    let mut measured = Vec::new();
    for benchmark in chosen {
        if options.exact && !benchmark.is_counted() {
            continue;
        }
        let figures = measure::measure(lab, benchmark, plan)?;
        show::line(&figures, plan, say)?;
        measured.push(figures);
    }
    // A boot makes no call: without this its entry would not be known.
    if lab.entry_is_unknown() {
        lab.count("patchwork-costs", "null", 1)?;
    }
    Ok(measured)
}

/// Rewrites the baseline, as far as it was measured.
fn bless(folder: &Path, measured: &[Measured], whole: bool, entry: &str) -> Result<(), Error> {
    let mut baseline = match Baseline::load(folder) {
        Ok(known) => known,
        // Whatever it was, it is replaced as a whole.
        Err(_) if whole => Baseline::default(),
        Err(error @ Error::Missing { .. }) => return Err(error),
        Err(error) => return Err(error),
    };
    baseline.set_entry(entry);
    if whole {
        baseline.keep_only(measured);
    }
    baseline.take(measured);
    baseline.save(folder)
}

/// The folder of the baseline: that of the repository that this is run in.
fn folder(given: Option<&Path>) -> PathBuf {
    let relative = Path::new("bench").join(BASELINE);
    let here = std::env::current_dir().unwrap_or_default();
    let above = here.ancestors().map(|folder| folder.join(&relative));
    let found = above.clone().find(|folder| folder.is_dir());
    match given {
        Some(given) => given.into(),
        None => found.unwrap_or(relative),
    }
}

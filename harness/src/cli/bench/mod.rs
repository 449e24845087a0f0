//! `mayfly bench`: what the kernel costs, and whether that changed.
//!
//! Purpose: measures, prints, and compares with figures that were agreed on or
//! kept. Neighbours: `lab` measures with microVMs, the crate `mayfly_bench` has
//! the list and judges, `show` prints tables, `saved` knows runs that were kept.

mod ab;
mod against;
mod counting;
mod floor;
mod lab;
mod machines;
mod pmu;
mod saved;
mod show;
pub(crate) mod whole;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use mayfly_bench::baseline::{Baseline, Change};
use mayfly_bench::compare::{self, Compared, Verdict};
use mayfly_bench::report::{exchange, html, markdown};
use mayfly_bench::{Benchmark, Error, Exact, Measured, Run, measure, suite};

use super::exit::Exit;
use super::say::Say;
use lab::Microvms;
use show::Beside;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mayfly bench                                counts and times of everything
  mayfly bench veridian/lat_ipc               what has that in its name
  mayfly bench --exact --against baseline     exit code 111 if a count changed
  mayfly bench --exact --bless                agree to the counts as they are
  mayfly bench --save before                  keep a run; then, after a change:
  mayfly bench --against before --format html --out page.html
  mayfly bench --ab HEAD~1 veridian           both kernels in turns, on this host";

/// Name of the committed figures.
const BASELINE: &str = "baseline";

/// Options of `mayfly bench`.
#[derive(Args, Clone, Debug)]
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
    /// Compare: `baseline` with the counts that were agreed on, a name with the run
    /// that was saved by it, a revision with what is committed in it and the runs
    /// that were saved of it. 111 if a count differs, or a time is longer.
    #[arg(long, value_name = "baseline|NAME|REV")]
    against: Option<String>,
    /// Agree to the counts as they are: rewrite the baseline.
    #[arg(long, conflicts_with = "against")]
    bless: bool,
    /// Keep this run by a name.
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Build the kernel of another revision (or of a checkout in a folder), and
    /// measure both, in turns.
    #[arg(long, value_name = "REV|FOLDER", conflicts_with_all = ["against", "bless", "save"])]
    ab: Option<String>,
    /// Take times only.
    #[arg(long, hide = true, conflicts_with_all = ["exact", "bless"])]
    times: bool,
    /// Print the results in another format, when all are there.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Print that to a file, and the table here.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Machines that times are taken on.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    boots: u32,
    /// Folder of the baseline; else `bench/baseline` of the repository here.
    #[arg(long, value_name = "FOLDER")]
    baseline: Option<PathBuf>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table.
    Human,
    /// A JSON object a line.
    Json,
    /// Bencher metric format.
    Bmf,
    /// github-action-benchmark, `customSmallerIsBetter`.
    Gh,
    /// CSV for Apache Otava, with the runs that were saved.
    Csv,
    /// The summary of a CI step.
    Markdown,
    /// A page.
    Html,
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
    if let Some(other) = &options.ab {
        return ab::run(options, other, &chosen, say);
    }
    let mut say = say.with_json(options.format == Format::Json && options.out.is_none());
    let say = &mut say;
    // What cannot be compared with is told before anything is measured.
    let testbed = saved::testbed()?;
    let against = against::find(options, &testbed, say)?;
    if !options.exact {
        show::testbed(&testbed, say)?;
    }
    let (measured, entry) = all(options, &chosen, say)?;
    let whole = filter.is_empty();
    if options.bless {
        let folder = against::folder(options.baseline.as_deref());
        bless(&folder, &measured, whole, entry)?;
        say.step("Blessed", &folder.display().to_string());
    }
    let run = Run::of(testbed, &measured);
    let mut found = Found::default();
    if let Some(agreed) = &against.agreed {
        found.changes = agreed.changes(&measured, entry, whole);
        if agreed.entry() != entry {
            say.note(&format!(
                "calls enter by {entry} here, and by {} in the baseline: what is compared is without the way in",
                agreed.entry()
            ));
        }
        show::changes(&found.changes, say)?;
    }
    if let Some(then) = &against.kept {
        if against.agreed.is_none() {
            found.changes = compare::counts(then, &run);
            show::changes(&found.changes, say)?;
        }
        let history = saved::all();
        found.compared = compare::runs(then, &run, &history);
        confirm(options, then, &history, &mut found, say)?;
        show::compared(&found.compared, say)?;
    }
    if let Some(name) = &options.save {
        run.save(&saved::path(name))?;
        say.step("Saved", &saved::path(name).display().to_string());
    }
    export(options, &run, &found, against.agreed.is_some(), say)?;
    Ok(match found.is_regression() {
        true => Exit::Regression,
        false => Exit::Success,
    })
}

/// What a comparison found.
#[derive(Default)]
struct Found {
    changes: Vec<Change>,
    compared: Vec<Compared>,
}

impl Found {
    fn is_regression(&self) -> bool {
        let slower = |it: &Compared| it.verdict == Verdict::Slower;
        !self.changes.is_empty() || self.compared.iter().any(slower)
    }
}

/// Measures again what takes longer: only what is there twice is a regression.
fn confirm(
    options: &Options,
    then: &Run,
    history: &[Run],
    found: &mut Found,
    say: &mut Say,
) -> anyhow::Result<()> {
    let slower = |it: &&mut Compared| it.verdict == Verdict::Slower;
    let mut lab = Microvms::new();
    for compared in found.compared.iter_mut().filter(slower) {
        say.step("Again", &compared.name);
        let benchmark = suite::ALL.iter().find(|it| it.name == compared.name);
        let benchmark = benchmark.context("a benchmark that is not in the list")?;
        let again = Measured {
            name: benchmark.name.into(),
            exact: None,
            times: Some(measure::times(&mut lab, benchmark, options.boots)?),
            counters: None,
        };
        let again = Run::of(then.testbed.clone(), &[again]);
        let twice = compare::runs(then, &again, history);
        if twice.iter().all(|it| it.verdict != Verdict::Slower) {
            compared.verdict = Verdict::Noise;
        }
    }
    Ok(())
}

/// Prints the results in the format that was asked for.
fn export(
    options: &Options,
    run: &Run,
    found: &Found,
    judged: bool,
    say: &mut Say,
) -> anyhow::Result<()> {
    let text = match options.format {
        Format::Human => return Ok(()),
        Format::Json if options.out.is_none() => return Ok(()),
        Format::Json => run.to_lines(),
        Format::Bmf => format!("{:#}\n", exchange::bencher(run)),
        Format::Gh => format!("{:#}\n", exchange::github(run)),
        Format::Csv => {
            let mut runs = saved::all();
            runs.push(run.clone());
            exchange::csv(&runs)
        }
        Format::Markdown => markdown::summary(run, judged.then_some(found.changes.as_slice())),
        Format::Html => html::page(&html::Contents {
            run,
            history: &saved::all(),
            changes: &found.changes,
            compared: &found.compared,
        }),
    };
    match &options.out {
        None => say.raw(text.as_bytes())?,
        Some(path) => std::fs::write(path, text).map_err(|source| Error::Unwritten {
            path: path.clone(),
            source,
        })?,
    }
    Ok(())
}

impl Options {
    /// The table is shown as figures come.
    fn shows_table(&self) -> bool {
        self.out.is_some() || matches!(self.format, Format::Human | Format::Json)
    }
}

/// Measures the chosen benchmarks, each of which is shown as soon as it is there;
/// and how calls enter the kernel here.
fn all(
    options: &Options,
    chosen: &[&Benchmark],
    say: &mut Say,
) -> anyhow::Result<(Vec<Measured>, &'static str)> {
    let shown = options.shows_table();
    if shown {
        show::header(options.exact, say)?;
    }
    let mut chosen = chosen.to_vec();
    chosen.retain(|benchmark| !options.exact || benchmark.is_counted());
    let of = |benchmark: &Benchmark, exact: Option<&Exact>| Measured {
        name: benchmark.name.into(),
        exact: exact.cloned(),
        times: None,
        counters: None,
    };
    let mut counted = counting::Counted {
        figures: vec![None; chosen.len()],
        entry: "none was counted",
    };
    if !options.times {
        counted = counting::all(&chosen, |benchmark, exact| {
            if shown && options.exact {
                show::line(&of(benchmark, exact), 0, Beside::default(), say)?;
            }
            Ok(())
        })?;
    }
    let mut lab = Microvms::new();
    let mut measured = Vec::new();
    for (benchmark, exact) in chosen.iter().zip(&counted.figures) {
        let mut figures = of(benchmark, exact.as_ref());
        if !options.exact {
            figures.times = Some(measure::times(&mut lab, benchmark, options.boots)?);
            figures.counters = measure::counters(&mut lab, benchmark)?;
            if shown {
                show::line(&figures, options.boots, lab.beside(), say)?;
            }
        }
        measured.push(figures);
    }
    Ok((measured, counted.entry))
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

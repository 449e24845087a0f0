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
use mayfly_bench::run::Kept;
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
    options.check(&chosen)?;
    let mut say = say.with_json(options.format == Format::Json && options.out.is_none());
    let say = &mut say;
    if let Some(other) = &options.ab {
        return ab::run(options, other, &chosen, say);
    }
    // What cannot be compared with is told before anything is measured.
    let testbed = saved::testbed()?;
    let against = against::find(options, &chosen, &testbed, say)?;
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
    // Without this run, which may be saved among them.
    let history = saved::all();
    let mut found = Found::default();
    if let Some(agreed) = &against.agreed {
        found.changes = agreed.changes(&measured, entry, whole);
        found.counts = counted(&measured);
        if agreed.entry() != entry {
            say.note(&format!(
                "calls enter by {entry} here, and by {} in the baseline: what is compared is without the way in",
                agreed.entry()
            ));
        }
        show::changes(&found, say)?;
    }
    if let Some(then) = &against.kept {
        if against.agreed.is_none() {
            (found.counts, found.changes) = compare::counts(then, &run);
            show::changes(&found, say)?;
        }
        let mut lab = Microvms::new();
        found.compared = compare::twice(then, &run, &history, |name| {
            say.step("Again", name);
            let known = then.find(name).cloned().context("it is not in that run")?;
            anyhow::Ok((known, again(&mut lab, name, options.boots)?))
        })?;
        show::compared(&found.compared, say)?;
    }
    if let Some(name) = &options.save {
        run.save(&saved::path(name))?;
        say.step("Saved", &saved::path(name).display().to_string());
    }
    export(options, &run, &history, &found, say)?;
    Ok(match found.is_regression() {
        true => Exit::Regression,
        false => Exit::Success,
    })
}

/// What a comparison found.
#[derive(Default)]
struct Found {
    /// Counts that were compared.
    counts: usize,
    changes: Vec<Change>,
    compared: Vec<Compared>,
}

impl Found {
    fn is_regression(&self) -> bool {
        let slower = |it: &Compared| it.verdict == Verdict::Slower;
        !self.changes.is_empty() || self.compared.iter().any(slower)
    }
}

/// How many counts there are.
fn counted(measured: &[Measured]) -> usize {
    measured.iter().filter(|it| it.exact.is_some()).count()
}

/// Takes the times of a benchmark once more.
fn again(lab: &mut Microvms, name: &str, boots: u32) -> anyhow::Result<Kept> {
    let benchmark = suite::ALL.iter().find(|it| it.name == name);
    let benchmark = benchmark.context("a benchmark that is not in the list")?;
    Ok(Kept::of(&Measured {
        name: benchmark.name.into(),
        exact: None,
        times: Some(measure::times(lab, benchmark, boots)?),
        counters: None,
    }))
}

/// Prints the results in the format that was asked for.
fn export(
    options: &Options,
    run: &Run,
    history: &[Run],
    found: &Found,
    say: &mut Say,
) -> anyhow::Result<()> {
    let text = match options.format {
        Format::Human => return Ok(()),
        Format::Json if options.out.is_none() => return Ok(()),
        Format::Json => run.to_lines(),
        Format::Bmf => format!("{:#}\n", exchange::bencher(run)),
        Format::Gh => format!("{:#}\n", exchange::github(run)),
        Format::Csv => {
            let runs: Vec<Run> = history.iter().chain([run]).cloned().collect();
            exchange::csv(&runs)
        }
        Format::Markdown => {
            let judged = found.counts > 0 || !found.changes.is_empty();
            markdown::summary(run, judged.then_some(found.changes.as_slice()))
        }
        Format::Html => html::page(&html::Contents {
            run,
            history,
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
    /// Refuses what would do nothing of what it says.
    fn check(&self, chosen: &[&Benchmark]) -> anyhow::Result<()> {
        let refused = |what: &str, why: &str, remedy: &str| mayfly::Error::Usage {
            what: what.into(),
            why: why.into(),
            remedy: remedy.into(),
        };
        if self.out.is_some() && self.format == Format::Human {
            let remedy = "--format json, markdown or html; or > FILE, for the table";
            return Err(refused("write a file", "--out needs a format", remedy).into());
        }
        if self.save.as_deref() == Some(BASELINE) {
            let why = "--against baseline means the counts that were agreed on";
            let remedy = "another name; or --bless, to agree to these counts";
            return Err(refused("keep a run as baseline", why, remedy).into());
        }
        if self.exact && !chosen.iter().any(|it| it.is_counted()) {
            let filter = self.filter.clone().unwrap_or_default();
            return Err(Error::Uncounted { filter }.into());
        }
        Ok(())
    }

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
        // Whatever it was, it is replaced as a whole.
        Err(_) if whole => Baseline::default(),
        known => known?,
    };
    baseline.bless(measured, entry, whole)?;
    baseline.save(folder)
}

//! `mayfly bench`: what the kernel costs, and whether that changed.
//!
//! Purpose: measures, prints, and compares with figures that were agreed on or
//! kept. Neighbours: `lab` measures with microVMs, the crate `mayfly_bench` has
//! the list and judges, `found` has what it found, `show` prints tables, `export`
//! other formats, `saved` knows runs that were kept.

mod ab;
mod against;
mod counting;
mod export;
mod floor;
mod found;
mod lab;
mod machines;
mod pmu;
mod saved;
mod show;
pub(crate) mod whole;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use mayfly_bench::baseline::Baseline;
use mayfly_bench::compare;
use mayfly_bench::run::Kept;
use mayfly_bench::{Benchmark, Error, Exact, Measured, Run, Testbed, measure, suite};

use super::exit::Exit;
use super::say::Say;
use export::Format;
use found::Found;
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
/// Times as many machines tell whether what takes longer does so again.
const AGAIN: u32 = 2;

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
    let mut say = match (options.format, &options.out) {
        (Format::Human, _) | (_, Some(_)) => say.with_json(false),
        (Format::Json, None) => say.with_json(true),
        _ => say.with_document(),
    };
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
    if testbed.revision.is_empty() && saved::root().is_ok() {
        say.note(
            "this tool was not built from the sources here: what it measures is of no revision",
        );
    }
    let figures = all(options, &chosen, say)?;
    let whole = filter.is_empty();
    if options.bless {
        let folder = against::folder(options.baseline.as_deref());
        bless(&folder, &figures, whole)?;
        say.step("Blessed", &folder.display().to_string());
    }
    let run = figures.run(testbed);
    // Without this run, which may be saved among them.
    let history = saved::all();
    let mut found = Found {
        remedy: against.remedy,
        ..Found::default()
    };
    if let Some(agreed) = &against.agreed {
        found.count(agreed, &figures, against.is_gate, whole);
        if agreed.entry() != figures.entry {
            say.note(&format!(
                "calls enter by {} here, and by {} there: what is compared is without the way in",
                figures.entry,
                agreed.entry()
            ));
        }
        show::changes(&found, say)?;
    }
    if let Some(then) = &against.kept {
        let mut lab = Microvms::new();
        found.compared = compare::twice(then, &run, &history, |name| {
            say.step("Again", name);
            let known = then.find(name).cloned().context("it is not in that run")?;
            anyhow::Ok((known, again(&mut lab, name, AGAIN * options.boots)?))
        })?;
        show::compared(&found.compared, say)?;
    }
    if let Some(name) = &options.save {
        run.save(&saved::path(name))?;
        say.step("Saved", &saved::path(name).display().to_string());
    }
    show::results(&figures, &run, &found, say)?;
    export::export(options, &run, &history, &found, say)?;
    Ok(found.exit())
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
        if let Some(name) = &self.save {
            saved::check_name(name)?;
        }
        if let Some(path) = &self.out {
            check_place(path)?;
        }
        if (self.exact || self.bless) && !chosen.iter().any(|it| it.is_counted()) {
            let filter = self.filter.clone().unwrap_or_default();
            return Err(Error::Uncounted { filter }.into());
        }
        if self.bless && self.filter.is_some() {
            // A part is agreed to beside the rest, which must be there.
            Baseline::load(&against::folder(self.baseline.as_deref()))?;
        }
        Ok(())
    }

    /// The table is shown as figures come.
    fn shows_table(&self) -> bool {
        self.out.is_some() || matches!(self.format, Format::Human | Format::Json)
    }
}

/// Refuses a file that cannot be written, as far as that can be known.
fn check_place(path: &Path) -> Result<(), Error> {
    let kind = match path.parent() {
        _ if path.is_dir() => ErrorKind::IsADirectory,
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => ErrorKind::NotFound,
        _ => return Ok(()),
    };
    Err(Error::Unwritten {
        path: path.into(),
        source: kind.into(),
    })
}

/// What was measured.
struct Figures {
    measured: Vec<Measured>,
    /// What each of them is seen beside.
    besides: Vec<Beside>,
    /// How calls enter the kernel here.
    entry: &'static str,
}

impl Figures {
    fn run(&self, mut testbed: Testbed) -> Run {
        testbed.entry = self.entry.into();
        Run::of(testbed, &self.measured)
    }
}

/// Measures the chosen benchmarks, each of which is shown as soon as it is there.
fn all(options: &Options, chosen: &[&Benchmark], say: &mut Say) -> anyhow::Result<Figures> {
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
    let (mut measured, mut besides) = (Vec::new(), Vec::new());
    for (benchmark, exact) in chosen.iter().zip(&counted.figures) {
        let mut figures = of(benchmark, exact.as_ref());
        let mut beside = Beside::default();
        if !options.exact {
            figures.times = Some(measure::times(&mut lab, benchmark, options.boots)?);
            figures.counters = measure::counters(&mut lab, benchmark)?;
            beside = lab.beside();
            if shown {
                show::line(&figures, options.boots, beside, say)?;
            }
        }
        measured.push(figures);
        besides.push(beside);
    }
    Ok(Figures {
        measured,
        besides,
        entry: counted.entry,
    })
}

/// Rewrites the baseline, as far as it was measured.
fn bless(folder: &Path, figures: &Figures, whole: bool) -> Result<(), Error> {
    let mut baseline = match Baseline::load(folder) {
        // Whatever it was, it is replaced as a whole.
        Err(_) if whole => Baseline::default(),
        known => known?,
    };
    baseline.bless(&figures.measured, figures.entry, whole)?;
    baseline.save(folder)
}

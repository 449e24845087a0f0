//! What figures are compared with: the baseline, a run, or a revision.
//!
//! Purpose: finds what `--against` names before anything is measured. A revision
//! is asked for the baseline that is committed in it; its times are those of the
//! runs that were saved of it. Neighbours: `saved` knows runs and git, `mod`
//! compares.

use std::path::{Path, PathBuf};

use mayfly_bench::baseline::Baseline;
use mayfly_bench::{Benchmark, Error, Run, Testbed, compare};

use super::{BASELINE, Options, saved};
use crate::cli::say::Say;

/// What figures are compared with.
#[derive(Default)]
pub(super) struct Against {
    /// Counts that were agreed on.
    pub(super) agreed: Option<Baseline>,
    /// A run that was kept.
    pub(super) kept: Option<Run>,
    /// All counts were agreed on: one that is new or gone is a change, too.
    pub(super) is_gate: bool,
    /// What can be done about counts that changed.
    pub(super) remedy: String,
}

/// Finds what the options ask for; an error if none of `chosen` can be compared
/// with it, or no difference of times would say anything.
pub(super) fn find(
    options: &Options,
    chosen: &[&Benchmark],
    testbed: &Testbed,
    say: &mut Say,
) -> anyhow::Result<Against> {
    let Some(with) = options.against.as_deref() else {
        return Ok(Against::default());
    };
    let mut found = match with {
        BASELINE => Against {
            agreed: Some(Baseline::load(&folder(options.baseline.as_deref()))?),
            kept: None,
            is_gate: true,
            remedy: accept(options.baseline.as_deref()),
        },
        name if saved::is_name(name) && saved::path(name).is_file() => {
            let run = Run::load(&saved::path(name))?;
            Against {
                agreed: Some(Baseline::of_run(&run)),
                kept: Some(run),
                is_gate: false,
                remedy: format!("keep this run in its place: mayfly bench --save {name}"),
            }
        }
        name => of_revision(name, options, testbed, say)?,
    };
    if options.exact {
        if let Some(kept) = &mut found.kept {
            kept.forget_times();
        }
    } else if let Some(kept) = &found.kept {
        saved::check(testbed, &kept.testbed)?;
    }
    if !chosen.iter().any(|benchmark| found.has(benchmark)) {
        return Err(Error::Nothing { with: with.into() }.into());
    }
    if let Some(kept) = &found.kept {
        check_machines(kept, chosen, options.boots)?;
    }
    Ok(found)
}

impl Against {
    /// A figure of this benchmark would be compared with one of these.
    fn has(&self, benchmark: &Benchmark) -> bool {
        let kept = self.kept.as_ref().and_then(|run| run.find(benchmark.name));
        let is_timed = kept.is_some_and(|kept| !kept.medians.is_empty());
        // One that was never agreed on is new, which is told.
        let known = |agreed: &Baseline| agreed.instructions(benchmark.name).is_some();
        let is_agreed = self.is_gate || self.agreed.as_ref().is_some_and(known);
        is_timed || (is_agreed && benchmark.is_counted())
    }
}

/// Refuses to compare times of so few machines that none would be longer.
fn check_machines(kept: &Run, chosen: &[&Benchmark], boots: u32) -> Result<(), Error> {
    let now = usize::try_from(boots).unwrap_or(usize::MAX);
    let timed = chosen.iter().filter_map(|it| kept.find(it.name));
    let mut machines = timed.map(|it| it.medians.len()).filter(|it| *it > 0);
    match machines.find(|then| !compare::can_tell(*then, now)) {
        Some(then) => Err(Error::Few { then, now }),
        None => Ok(()),
    }
}

/// What is known of a revision.
fn of_revision(
    name: &str,
    options: &Options,
    testbed: &Testbed,
    say: &mut Say,
) -> anyhow::Result<Against> {
    let unknown = |why: &str| Error::Neither {
        name: name.into(),
        path: saved::path(name),
        why: why.into(),
    };
    let root = saved::root().map_err(|complaint| unknown(&complaint))?;
    let commit = saved::commit(name).ok_or_else(|| {
        unknown(match saved::is_shallow() {
            true => "git knows no such revision, but this clone is shallow: git fetch --unshallow",
            false => "git knows no such revision",
        })
    })?;
    let agreed = Baseline::of_files(&files(&root, name, &commit)?)?;
    let mut kept: Option<Run> = None;
    for run in saved::all() {
        if run.testbed.is_of(&commit) && run.testbed.is_like(testbed) && !options.exact {
            match &mut kept {
                Some(kept) => kept.add(run),
                None => kept = Some(run),
            }
        }
    }
    if kept.is_none() && !options.exact {
        say.note(&format!(
            "no run of {name} was saved on this testbed: counts are compared, times are not; --ab {name} measures both"
        ));
    }
    Ok(Against {
        agreed: Some(agreed),
        kept,
        is_gate: false,
        remedy: format!("they are since {name}; the gate is --against baseline"),
    })
}

/// The baseline that is committed in a revision.
fn files(root: &str, name: &str, commit: &str) -> Result<Vec<(PathBuf, String)>, Error> {
    let place = format!("bench/{BASELINE}");
    let list = [
        "-C",
        root,
        "ls-tree",
        "-r",
        "--name-only",
        commit,
        "--",
        &place,
    ];
    let list = saved::git(&list).unwrap_or_default();
    let files = list.lines().filter(|path| path.ends_with(".txt"));
    let files = files.filter_map(|path| {
        let text = saved::git(&["-C", root, "show", &format!("{commit}:{path}")])?;
        Some((PathBuf::from(format!("{name}:{path}")), text))
    });
    let files: Vec<_> = files.collect();
    match files.is_empty() {
        false => Ok(files),
        true => Err(Error::Revision {
            revision: name.into(),
            why: format!("it has no {place}"),
            remedy: "--ab, which counts its kernel; or a later revision",
        }),
    }
}

/// How counts are agreed to.
fn accept(folder: Option<&Path>) -> String {
    let folder = folder.map(|it| format!(" --baseline {}", it.display()));
    format!(
        "accept them: mayfly bench --exact --bless{}",
        folder.unwrap_or_default()
    )
}

/// The folder of the baseline: that of the repository that this is run in.
pub(super) fn folder(given: Option<&Path>) -> PathBuf {
    let relative = Path::new("bench").join(BASELINE);
    let here = std::env::current_dir().unwrap_or_default();
    let above = here.ancestors().map(|folder| folder.join(&relative));
    let found = above.clone().find(|folder| folder.is_dir());
    match given {
        Some(given) => given.into(),
        None => found.unwrap_or(relative),
    }
}

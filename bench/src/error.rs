//! What can be wrong with what a person gave: each has its own words.

use std::path::PathBuf;

/// What can be wrong with what a person gave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A filter that nothing fits.
    #[error("no benchmark has {filter:?} in its name{}\n  try     mayfly bench --list", closeness(.near.as_deref()))]
    Unknown {
        /// What was asked for.
        filter: String,
        /// A name that is close.
        near: Option<String>,
    },
    /// A baseline that is not there.
    #[error("there is no baseline at {}: {source}\n  try     mayfly bench --bless, which writes it", .path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// A saved run that is not there.
    #[error("there is no run at {}: {source}\n  try     mayfly bench --save NAME, which keeps one", .path.display())]
    NoRun {
        /// Where it should be.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// A file that is there and cannot be read.
    #[error("cannot read {}: {source}\n  try     git checkout of the file if it is committed; else --save or --bless, which write it", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// A saved run that is not one, or of another version.
    #[error("{}:{line}: {why}\n  try     mayfly bench --save of the same name, which keeps one anew", .path.display())]
    CorruptRun {
        /// The file.
        path: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// What is neither a saved run nor a revision.
    #[error(
        "{name:?} is neither a saved run ({} is not there) nor a revision ({why})\n  try     mayfly bench --save {name}, which keeps a run; or git log, which names revisions", .path.display()
    )]
    Neither {
        /// What was asked for.
        name: String,
        /// Where a run would be.
        path: PathBuf,
        /// Why it is no revision.
        why: String,
    },
    /// Times of another testbed.
    #[error(
        "times of {there} say nothing about those of {here}\n  try     --exact, which compares counts; or --save on this host first"
    )]
    Foreign {
        /// This testbed.
        here: String,
        /// The other one.
        there: String,
    },
    /// A comparison that would find nothing, whatever the figures are.
    #[error(
        "{with} has no figures of what was asked for: nothing would be compared\n  try     a filter that fits both, or without --exact if these are times"
    )]
    Nothing {
        /// What is compared with.
        with: String,
    },
    /// Counts were asked for of what has none.
    #[error("what has {filter:?} in its name has times and no counts\n  try     without --exact")]
    Uncounted {
        /// What was asked for.
        filter: String,
    },
    /// So few machines that no times would differ by more than chance.
    #[error(
        "times of {then} machines then and {now} now differ by chance, whatever they are\n  try     --boots 5, which is what it is without, for both runs; or --exact, which compares counts"
    )]
    Few {
        /// Machines of what is compared with.
        then: usize,
        /// Machines now.
        now: usize,
    },
    /// A part of the baseline, counted on a host of the other kind.
    #[error(
        "calls enter by {here} here, and by {there} in the baseline: a part of it cannot be agreed to\n  try     mayfly bench --exact --bless, which counts all of it; or a host as the baseline's"
    )]
    Entry {
        /// How calls enter here.
        here: String,
        /// How they did where the baseline was made.
        there: String,
    },
    /// What a comparison of revisions needs is not there.
    #[error("cannot compare with {revision}: {why}\n  try     {remedy}")]
    Revision {
        /// The revision.
        revision: String,
        /// Why not.
        why: String,
        /// What helps.
        remedy: &'static str,
    },
    /// A file of figures that cannot be read.
    #[error("{}:{line}: {why}\n  try     git checkout of the file, or mayfly bench --bless", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// A file that cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: std::io::Error,
    },
    /// A benchmark that has too few rounds, or sleeps in one.
    #[error(
        "{name} cannot be counted: its rounds took {rounds:?} kernel instructions, and the kernel slept in one, or there are too few"
    )]
    Unrepeatable {
        /// The benchmark.
        name: String,
        /// Counts of its rounds.
        rounds: Vec<u64>,
    },
}

impl Error {
    /// Its kind in messages for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Unrepeatable { .. } => "broken",
            Error::Unwritten { .. } => "host",
            _ => "usage",
        }
    }
}

fn closeness(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; {name} is close"))
}

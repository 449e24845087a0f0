//! Results in the formats that other tools read.
//!
//! Neighbours: `mayfly_bench::report` writes them, `show` prints tables.

use clap::ValueEnum;
use mayfly_bench::report::{exchange, html, markdown};
use mayfly_bench::{Error, Run};

use super::Options;
use super::found::Found;
use crate::cli::say::Say;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
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

/// Prints the results in the format that was asked for.
pub(super) fn export(
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
        Format::Csv => exchange::csv(run, history),
        Format::Markdown => markdown::summary(&markdown::Contents {
            run,
            counts: found.counted.len(),
            changes: &found.changes,
            compared: &found.compared,
            code: found.exit().code(),
            remedy: &found.remedy,
        }),
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

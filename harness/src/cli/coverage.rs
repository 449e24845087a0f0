//! `mayfly coverage`: which system calls are served and tested.
//!
//! Purpose: the rows of `kernel/abi`, whether the kernel serves them (it is
//! asked), and how many tests name them in `covers = "..."`. Neighbours: the
//! README's table is this command's Markdown; a test compares the two.

use clap::Args;
use mayfly::{Abi, Vm};

use super::exit::Exit;
use super::say::{CARE, GOOD, Say, styled};
use super::target::{self, Target};
use super::{calltable, json, waiting};

/// The test files, whose `covers` are counted.
const TESTS: &[&str] = &[
    include_str!("../../tests/xeneva/programs.rs"),
    include_str!("../../tests/xeneva/calls.rs"),
    include_str!("../../tests/xeneva/files.rs"),
    include_str!("../../tests/xeneva/processes.rs"),
    include_str!("../../tests/xeneva/images.rs"),
    include_str!("../../tests/xeneva/crossing.rs"),
    include_str!("../../tests/xeneva/shared.rs"),
    include_str!("../../tests/xeneva/memory.rs"),
    include_str!("../../tests/xeneva/threads.rs"),
    include_str!("../../tests/xeneva/errors.rs"),
    include_str!("../../tests/xeneva/ideas.rs"),
    include_str!("../../tests/crossing/corpus.rs"),
    include_str!("../../tests/crossing/files.rs"),
    include_str!("../../tests/crossing/numbers.rs"),
    include_str!("../../tests/crossing/ring.rs"),
    include_str!("../../tests/crossing/start.rs"),
    include_str!("../../tests/patchwork/programs.rs"),
    include_str!("../../tests/patchwork/calls.rs"),
    include_str!("../../tests/patchwork/memory.rs"),
    include_str!("../../tests/patchwork/shared.rs"),
    include_str!("../../tests/patchwork/threads.rs"),
    include_str!("../../tests/patchwork/errors.rs"),
    include_str!("../../tests/patchwork/processes.rs"),
    include_str!("../../tests/patchwork/files.rs"),
    include_str!("../../tests/patchwork/paths.rs"),
    include_str!("../../tests/patchwork/pipes.rs"),
    include_str!("../../tests/patchwork/sockets.rs"),
    include_str!("../../tests/patchwork/binds.rs"),
    include_str!("../../tests/patchwork/devices.rs"),
    include_str!("../../tests/patchwork/spawn.rs"),
    include_str!("../../tests/patchwork/input.rs"),
    include_str!("../../tests/patchwork/children.rs"),
    include_str!("../../tests/patchwork/commands.rs"),
    include_str!("../../tests/patchwork/environment.rs"),
    include_str!("../../tests/patchwork/notes.rs"),
    include_str!("../../tests/patchwork/proc.rs"),
    include_str!("../../tests/veridian/programs.rs"),
    include_str!("../../tests/veridian/calls.rs"),
    include_str!("../../tests/veridian/capabilities.rs"),
    include_str!("../../tests/veridian/ipc.rs"),
    include_str!("../../tests/veridian/passing.rs"),
    include_str!("../../tests/veridian/memory.rs"),
    include_str!("../../tests/veridian/objects.rs"),
    include_str!("../../tests/veridian/processes.rs"),
    include_str!("../../tests/veridian/threads.rs"),
    include_str!("../../tests/veridian/acceptance.rs"),
    include_str!("../../tests/veridian/errors.rs"),
    include_str!("../../tests/veridian/load.rs"),
];

/// Options of `mayfly coverage`.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Only this interface.
    #[arg(value_name = "xeneva|patchwork|veridian", value_parser = target::abi)]
    abi: Option<Abi>,
    /// As a Markdown table, for the README.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// One call of an interface.
struct Covered {
    abi: Abi,
    number: u64,
    name: &'static str,
    served: bool,
    tests: usize,
}

/// Prints the table.
pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<Exit> {
    let mut say = say.with_json(options.json);
    let vm = waiting::during(&say, "booting", || {
        Vm::with_options(options.target.options())
    })?;
    let covers = covers();
    let mut published = Vec::new();
    for abi in Abi::ALL
        .into_iter()
        .filter(|abi| options.abi.is_none_or(|only| only == *abi))
    {
        let rows = covered(&vm, abi, &covers)?;
        if say.is_json() {
            for row in rows {
                let value = json::coverage(row.abi, row.number, row.name, row.served, row.tests);
                say.json("coverage", value)?;
            }
        } else if options.markdown {
            markdown(abi, &rows, &mut say)?;
            published.extend(rows.into_iter().filter(is_published));
        } else {
            table(abi, &rows, &mut say)?;
        }
    }
    if options.markdown && options.abi.is_none() {
        let sum = summary(&published);
        say.line(&format!("| all that is published | {sum} | | |"))?;
    }
    Ok(Exit::Success)
}

/// The row is on the interface's published page: of XenevaOS's that has the
/// services up to 12, and 23.
fn is_published(row: &Covered) -> bool {
    row.abi != Abi::Xeneva || row.number <= 12 || row.number == 23
}

fn covered(vm: &Vm, abi: Abi, covers: &[(Abi, &str)]) -> mayfly::Result<Vec<Covered>> {
    let served = vm.served(abi)?;
    Ok(abi
        .rows()
        .iter()
        .map(|row| Covered {
            abi,
            number: row.number,
            name: row.name,
            served: served.contains(&row),
            tests: covers
                .iter()
                .filter(|cover| **cover == (abi, row.name))
                .count(),
        })
        .collect())
}

/// Every call that a test names: `covers = "patchwork WRITE EINVAL, ..."`.
fn covers() -> Vec<(Abi, &'static str)> {
    TESTS.iter().flat_map(|source| covers_of(source)).collect()
}

fn covers_of(source: &str) -> impl Iterator<Item = (Abi, &str)> {
    let entries = mayfly::covers::entries(source);
    entries.filter_map(|entry| {
        let mut words = entry.split_whitespace();
        Some((Abi::from_name(words.next()?)?, words.next()?))
    })
}

fn table(abi: Abi, rows: &[Covered], say: &mut Say) -> anyhow::Result<()> {
    say.line(&format!("{}: {}", abi.name(), summary(rows)))?;
    let mut table = calltable::plain(&["nr", "call", "served", "tests"]);
    for row in rows {
        table.add_row(vec![
            calltable::number(row.number),
            row.name.into(),
            if row.served { "yes" } else { "no" }.into(),
            calltable::number(row.tests),
        ]);
    }
    for (line, row) in calltable::lines(&table)
        .iter()
        .zip(std::iter::once(None).chain(rows.iter().map(Some)))
    {
        match row {
            Some(row) if row.served && row.tests > 0 => say.line(&styled(GOOD, line))?,
            Some(row) if !row.served => say.line(&styled(CARE, line))?,
            _ => say.line(line)?,
        }
    }
    say.line("")?;
    Ok(())
}

fn markdown(abi: Abi, rows: &[Covered], say: &mut Say) -> anyhow::Result<()> {
    if abi == Abi::Xeneva {
        say.line("| interface | | served | not yet |")?;
        say.line("| --- | --- | --- | --- |")?;
    }
    let names = |served: bool| {
        let names = rows
            .iter()
            .filter(|row| row.served == served)
            .map(|row| row.name);
        match names.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "none".into(),
            some => some,
        }
    };
    let (name, served, missing) = (abi.name(), names(true), names(false));
    say.line(&format!(
        "| {name} | {} | {served} | {missing} |",
        summary(rows)
    ))?;
    Ok(())
}

fn summary(rows: &[Covered]) -> String {
    let served = rows.iter().filter(|row| row.served).count();
    let tested = rows.iter().filter(|row| row.tests > 0).count();
    format!("{served} of {} served, {tested} tested", rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_are_found_in_a_source() {
        let source = r#"#[mayfly::test(covers = "patchwork WRITE EINVAL, xeneva null_call")]"#;
        let found: Vec<_> = covers_of(source).collect();
        assert_eq!(
            found,
            [(Abi::Patchwork, "WRITE"), (Abi::Xeneva, "null_call")]
        );
    }

    #[test]
    fn every_covered_call_exists() {
        for (abi, name) in covers() {
            let known = abi.rows().iter().any(|row| row.name == name);
            assert!(known, "no {} call is named {name}", abi.name());
        }
    }
}

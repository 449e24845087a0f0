//! `mayfly trace`: system calls, one a line.
//!
//! Purpose: strace for all three interfaces. The lines are the result, on
//! standard output; what the program writes goes to standard error.
//! Neighbours: `run` shares the options and the running.

use std::path::PathBuf;

use clap::Args;
use mayfly::Error;
use mayfly::notation::grouped;
use mayfly_bench::report::flame;

use super::exit::{self, Exit};
use super::say::{QUIET, Say, WRONG, styled};
use super::{folded, json, program, run};

pub(crate) const EXAMPLES: &str = "\
Examples:
  mayfly trace veridian-hello
  mayfly trace --json patchwork-args -- one two
  mayfly trace --meter patchwork-hello
  mayfly trace --flamegraph hello.svg patchwork-hello
  mayfly trace --folded patchwork-hello > hello.folded

A line is: [process thread] interface CALL(arguments) = result  <ticks>";

/// Options of `mayfly trace`.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    run: run::Options,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Instead of calls, where their kernel instructions went: folded stacks, as
    /// flame graph tools read them (KVM only).
    #[arg(long, conflicts_with = "json")]
    folded: bool,
    /// The same as a picture, which needs nothing else to be looked at: an SVG
    /// file (KVM only).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "folded"])]
    flamegraph: Option<PathBuf>,
}

/// Runs the program and prints its calls.
pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<Exit> {
    let mut say = say.with_json(options.json);
    let program = program::find(&options.run.program, options.run.abi)?;
    let input = run::Input::of(&options.run)?;
    if options.folded || options.flamegraph.is_some() {
        return places(options, &program, &input, &mut say);
    }
    let vm = run::boot(&options.run, &program, &mut say)?;
    say.results_are_calls();
    let output = run::execute(&options.run, &program, &vm, true, &input, &mut say)?;
    let Some(mut output) = output else {
        return Ok(Exit::Success);
    };
    if options.run.meter {
        run::count(&options.run, &program, &mut output, &input, &mut say)?;
    }
    for call in output.all_calls() {
        if say.is_json() {
            say.json("call", json::call(call))?;
        } else if call.result.is_err() {
            say.line(&coloured(&call.to_string(), &call.outcome()))?;
        } else {
            say.line(&call.to_string())?;
        }
    }
    for child in output.children() {
        if say.is_json() {
            say.json("child", json::child(child))?;
        } else {
            say.line(&styled(QUIET, ending(child)))?;
        }
    }
    if say.is_json() {
        say.json("exited", json::exited(&output))?;
    } else {
        let total = output.kernel_instr().map_or_else(String::new, |total| {
            format!(", {} kernel instructions in all", grouped(total))
        });
        say.line(&styled(
            QUIET,
            format!("[{}] {}{total}", output.pid(), output.status),
        ))?;
    }
    Ok(exit::of_output(&output))
}

/// Shows where the kernel instructions went.
fn places(
    options: &Options,
    program: &program::Program,
    input: &run::Input,
    say: &mut Say,
) -> anyhow::Result<Exit> {
    let output = run::counted(&options.run, program, input)?;
    let lines = folded::lines(&output);
    if lines.is_empty() {
        return Err(Error::Usage {
            what: "show where kernel instructions went".into(),
            why: "this back end does not count them".into(),
            remedy: "--backend kvm".into(),
        }
        .into());
    }
    match &options.flamegraph {
        None => lines.iter().try_for_each(|line| say.line(line))?,
        Some(path) => {
            std::fs::write(path, flame::graph(output.program(), &lines)).map_err(|why| {
                Error::Broken {
                    what: format!("cannot write {}", path.display()),
                    why: why.to_string(),
                    remedy: "--flamegraph with a file in a folder of yours".into(),
                }
            })?;
            say.step("Drawn", &path.display().to_string());
        }
    }
    Ok(exit::of_output(&output))
}

/// Who a child was, and how it ended.
fn ending(child: &mayfly::Child) -> String {
    let status = child.status.map(|status| status.to_string());
    let status = status.unwrap_or_else(|| "still running".into());
    format!(
        "[{}] {}, started by {}: {status}",
        child.pid, child.program, child.parent
    )
}

/// A line with its failed result in the colour of what is wrong.
fn coloured(line: &str, outcome: &str) -> String {
    let result = format!("= {outcome}");
    line.replacen(&result, &format!("= {}", styled(WRONG, outcome)), 1)
}

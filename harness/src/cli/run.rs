//! `mayfly run`: a program, its output, its status.
//!
//! Purpose: behaves like running the program here: its standard output and
//! error become this command's, its exit status too, and its standard input is
//! this command's with `--stdin`. Neighbours: `program` finds it, `trace` shows
//! its calls instead.

use std::io::{self, IsTerminal as _, Read as _};
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use mayfly::symbols::Frame;
use mayfly::{Abi, Cause, ExtraFile, Output, Process, Progress, Vm, VmOptions};

use super::exit::{self, Exit};
use super::program::{self, Program};
use super::say::{QUIET, Say, styled};
use super::target::{self, Target};
use super::{calltable, json, layout, units, waiting};

pub(crate) const EXAMPLES: &str = "\
Examples:
  mayfly run patchwork-hello
  mayfly run --trace patchwork-args -- one two
  mayfly run --abi veridian ./a.elf
  mayfly run --abi patchwork ./cat --file /etc/motd=./motd.txt -- /etc/motd
  echo hello | mayfly run --stdin patchwork-input -- copy
  mayfly --message-format json run xeneva-hello";

/// Options of `mayfly run`.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Name of a bundled program, or path of an ELF or PE file.
    pub(crate) program: String,
    /// Arguments of the program.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<String>,
    /// Interface to serve it, whatever its file says.
    #[arg(long, value_name = "xeneva|patchwork|veridian", value_parser = target::abi)]
    pub(crate) abi: Option<Abi>,
    /// Show its system calls afterwards.
    #[arg(long)]
    pub(crate) trace: bool,
    /// Count kernel instructions, per call and in all (KVM only). Calls of processes
    /// that it makes have no count, nor has the one that ends it: it never returns.
    #[arg(long)]
    pub(crate) meter: bool,
    /// A file of this host that the program finds in its root; may be repeated.
    #[arg(long, value_name = "GUESTPATH=HOSTPATH", value_parser = target::file)]
    pub(crate) file: Vec<ExtraFile>,
    /// Pass this command's standard input on to the program; without, it reads
    /// nothing. From a terminal there is no time limit unless --timeout sets one.
    #[arg(long)]
    pub(crate) stdin: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Runs the program.
pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<Exit> {
    let program = program::find(&options.program, options.abi)?;
    let input = Input::of(options)?;
    let vm = boot(options, &program, say)?;
    let traced = options.trace || options.meter;
    let Some(mut output) = execute(options, &program, &vm, traced, &input, say)? else {
        return Ok(Exit::Success);
    };
    if options.meter {
        count(options, &program, &mut output, &input, say)?;
    }
    if say.is_json() {
        if traced {
            for call in output.all_calls() {
                say.json("call", json::call(call))?;
            }
        }
        say.json("exited", json::exited(&output))?;
    } else {
        if traced {
            table(&output, say);
        }
        ending(&output, &program, say);
    }
    Ok(exit::of_output(&output))
}

/// Boots a machine that has the program.
pub(crate) fn boot(options: &Options, program: &Program, say: &mut Say) -> anyhow::Result<Vm> {
    let booting = format!("booting for {}", program.name);
    let vm = waiting::during(say, &booting, || {
        Vm::with_options(choices(options, program))
    })?;
    if say.is_json() {
        say.json("ready", json::ready(&vm))?;
    } else if say.verbosity() > 0 {
        let time = units::time(vm.boot_time());
        let how = match vm.is_from_snapshot() {
            true => "Copied",
            false => "Booted",
        };
        say.step(
            how,
            &format!("{} on {} in {time}", vm.ready().kernel, vm.backend()),
        );
    }
    Ok(vm)
}

/// The machine's options, with the program's file and those of `--file`.
fn choices(options: &Options, program: &Program) -> VmOptions {
    let mut choices = options.target.options();
    choices.files.extend(program.file.clone());
    choices.files.extend(options.file.iter().cloned());
    choices
}

/// Runs the program, and passes on what it writes ([`pass_on`]).
pub(crate) fn execute(
    options: &Options,
    program: &Program,
    vm: &Vm,
    traced: bool,
    input: &Input,
    say: &mut Say,
) -> anyhow::Result<Option<Output>> {
    let command = command(options, program, vm).trace(traced);
    let process = input.connect(command).start()?;
    let output = pass_on(&process, timeout(options), say, |_, _| ())?;
    say.kernel(vm);
    Ok(output)
}

/// Waits for a process; what it writes comes out as it is written, and all that
/// is told of it goes to `also`. `None`: nobody reads it any more, which is no
/// failure, and there is nothing to wait for.
pub(crate) fn pass_on(
    process: &Process<'_>,
    timeout: Duration,
    say: &mut Say,
    mut also: impl FnMut(&Progress<'_>, &mut Say),
) -> anyhow::Result<Option<Output>> {
    let waited = process.wait_while(timeout, |progress| {
        also(&progress, say);
        let Progress::Written(stream, bytes) = progress else {
            return ControlFlow::Continue(());
        };
        match say.written(stream, bytes) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(None),
            Err(error) => ControlFlow::Break(Some(error)),
        }
    });
    if !matches!(waited, Ok(ControlFlow::Break(_))) {
        say.written_all()?;
    }
    match waited? {
        ControlFlow::Continue(output) => Ok(Some(output)),
        ControlFlow::Break(None) => Ok(None),
        ControlFlow::Break(Some(error)) => {
            Err(anyhow::Error::from(error).context("cannot write the program's output"))
        }
    }
}

/// What a program reads.
pub(crate) enum Input {
    Empty,
    /// This command's own.
    Ours,
    /// The same for each of two runs.
    Bytes(Vec<u8>),
}

impl Input {
    /// What the options ask for; all of it is read now if there are two runs.
    pub(crate) fn of(options: &Options) -> anyhow::Result<Self> {
        if !options.stdin {
            return Ok(Input::Empty);
        }
        if !options.meter {
            return Ok(Input::Ours);
        }
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.context("cannot read the standard input")?;
        Ok(Input::Bytes(bytes))
    }

    fn connect<'vm>(&self, command: mayfly::Command<'vm>) -> mayfly::Command<'vm> {
        match self {
            Input::Empty => command,
            Input::Ours => command.stdin_from(io::stdin()),
            Input::Bytes(bytes) => command.stdin(bytes.as_slice()),
        }
    }
}

/// Longest time to wait for the program.
fn timeout(options: &Options) -> Duration {
    let typed = options.stdin && io::stdin().is_terminal();
    match options.target.timeout {
        None if typed => units::FOR_EVER,
        _ => options.target.options().run_timeout,
    }
}

fn command<'vm>(options: &Options, program: &Program, vm: &'vm Vm) -> mayfly::Command<'vm> {
    let command = vm
        .spawn(&program.name)
        .args(options.arguments.iter().cloned());
    match options.abi {
        Some(abi) => command.abi(abi),
        None => command,
    }
}

/// Runs the program where each instruction of the kernel is counted and its
/// address kept; time passes as it does without counting.
pub(crate) fn counted(
    options: &Options,
    program: &Program,
    input: &Input,
) -> anyhow::Result<Output> {
    let vm = Vm::with_options(VmOptions {
        meter_path: true,
        ..choices(options, program)
    })?;
    let command = command(options, program, &vm).trace(false).meter(true);
    Ok(input.connect(command).start()?.wait_for(timeout(options))?)
}

/// Counts kernel instructions in a second run: counting takes time, and tracing
/// takes instructions, so that one run cannot show both.
pub(crate) fn count(
    options: &Options,
    program: &Program,
    output: &mut Output,
    input: &Input,
    say: &mut Say,
) -> anyhow::Result<()> {
    let vm = Vm::with_options(choices(options, program).meter(true))?;
    let command = command(options, program, &vm).trace(false).meter(true);
    let counting = format!("counting kernel instructions of {}", program.name);
    let metered = waiting::during(say, &counting, || {
        let process = input.connect(command).start()?;
        process.wait_for(timeout(options))
    })?;
    output.take_counts(&metered);
    if output.kernel_instr().is_none() {
        say.note("this back end does not count instructions: --meter needs kvm");
    } else if !output.children().is_empty() {
        say.note("calls of the processes that it made are not counted");
    }
    Ok(())
}

/// The calls as a table, on standard error: standard output is the program's.
fn table(output: &Output, say: &mut Say) {
    for line in calltable::calls(output.all_calls(), layout::width()) {
        say.progress(&line);
    }
    if let Some(total) = output.kernel_instr() {
        say.progress(&format!(
            "{} kernel instructions in all",
            mayfly::notation::grouped(total)
        ));
    }
}

/// How it ended, on standard error, when that is not plain success.
fn ending(output: &Output, program: &Program, say: &mut Say) {
    let end = format!(
        "{} ended: {}, {}, {}",
        output.program(),
        output.status,
        units::calls(output.call_count()),
        units::time(output.duration)
    );
    if output.cause != Cause::Exited {
        say.note(&end);
        if let Cause::Fault { rip, .. } = output.cause {
            let frame = program.frames(rip).into_iter().next();
            for line in frame.iter().flat_map(Frame::shown) {
                say.progress(&line);
            }
        }
    } else if say.verbosity() > 0 {
        say.progress(&styled(QUIET, end));
    }
}

//! `mayfly shell`: the guest's shell, for people and for scripts.
//!
//! Purpose: connects this terminal to the shell program of a machine, until
//! either ends; without a terminal the standard input runs line by line.
//! Neighbours: `session` serves the machine, `tty` and `input` this terminal,
//! `history` the lines of earlier runs, `log` writes `--log`.

mod history;
mod input;
mod log;
mod menu;
mod row;
mod session;
pub(crate) mod tty;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use mayfly::terminal::{Line, Terminal};
use mayfly::{Cause, Died, Progress, Vm, VmOptions};

use super::exit::{self, Exit};
use super::say::Say;
use super::target::Target;
use super::{json, run, units, waiting};
use history::History;
use session::Session;

pub(crate) const EXAMPLES: &str = "\
Examples:
  mayfly shell                              a prompt in a microVM; `help` says what it knows
  mayfly shell -c 'ls /bin && ps'           one line, its status
  mayfly shell < script                     line by line, the last status
  mayfly shell --meter                      `time COMMAND` counts kernel instructions

Ctrl-] opens a menu: quit, send Ctrl-], fork the machine, go to the next one, snapshot, back.
Ctrl-C goes to the guest. Lines are kept in MAYFLY_HISTORY, or in the folder of your state.";

/// Columns that any prompt fits into which was drawn for more: one row.
const COLUMNS_MIN: u16 = 20;
/// Program in the guest.
const PROGRAM: &str = "shell";

/// Options of `mayfly shell`.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Run one line instead of reading them.
    #[arg(short = 'c', long = "command", value_name = "LINE")]
    line: Option<String>,
    /// Put the terminal on the serial line (16550) instead of virtio.
    #[arg(long)]
    serial: bool,
    /// Count kernel instructions, for `time` (KVM only; slow).
    #[arg(long)]
    meter: bool,
    /// Write what happens into a file as plain text, with times.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// Runs the shell.
pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<Exit> {
    let typed = io::stdin().is_terminal() && io::stdout().is_terminal();
    let log = options.log.as_deref().map(log::Log::create).transpose()?;
    if options.line.is_none() && typed && !say.is_json() {
        return interactive(options, log, say);
    }
    by_lines(options, log, say)
}

/// A script, or a single line.
fn by_lines(options: &Options, mut log: Option<log::Log>, say: &mut Say) -> anyhow::Result<Exit> {
    for (given, option, why, remedy) in [
        (
            options.serial,
            "--serial",
            "it is the line of a terminal, and -c and scripts have none",
            "without --serial: what is run is the same",
        ),
        (
            options.meter,
            "--meter",
            "it is for `time` at a prompt, and -c and scripts have none",
            "`mayfly run --meter PROGRAM`, which counts a program; or without --meter",
        ),
    ] {
        if given {
            let refused = mayfly::Error::Usage {
                what: format!("run lines with {option}"),
                why: why.into(),
                remedy: remedy.into(),
            };
            return Err(refused.into());
        }
    }
    if options.line.is_none() && io::stdin().is_terminal() {
        say.note("standard output is no terminal: lines are read as they are; Ctrl-D ends them");
    }
    let vm = waiting::during(say, "booting", || {
        Vm::with_options(options.target.options())
    })?;
    let command = vm.spawn(PROGRAM).trace(false);
    let process = match &options.line {
        Some(line) => command.arg("-c").arg(line),
        None => command,
    };
    let process = process.stdin_from(io::stdin()).start()?;
    let timeout = options.target.timeout.unwrap_or(units::FOR_EVER);
    let output = run::pass_on(&process, timeout, say, |progress, say| match progress {
        Progress::Written(_, bytes) => {
            if let Some(log) = &mut log {
                log.shown(bytes);
            }
        }
        Progress::Died(died) => {
            if let Some(log) = &mut log {
                log.line(&died.to_string());
            }
            tell(died, say);
        }
    });
    let written = log.map_or(Ok(()), log::Log::end);
    let output = output?;
    say.kernel(&vm);
    written?;
    Ok(output.map_or(Exit::Success, |output| {
        status(output.cause, output.status.code())
    }))
}

/// Somebody died: a script says nothing of that, and may go on.
fn tell(died: &Died, say: &mut Say) {
    say.note(&died.to_string());
    if say.is_json() {
        // Where nobody reads the output, it is the output that says so.
        drop(say.json("died", json::died(died)));
    }
}

/// A person at a terminal.
fn interactive(options: &Options, log: Option<log::Log>, say: &mut Say) -> anyhow::Result<Exit> {
    // Before there are other threads: they are to leave signals to us.
    let signals = input::Signals::block()?;
    // It begins while the machine is made.
    let guard = tty::Guard::start();
    let history = History::find();
    let started = Instant::now();
    let choices = VmOptions {
        files: history.file().into_iter().collect(),
        ..options.target.options()
    };
    let line = match options.serial {
        true => Line::Serial,
        false => Line::Console,
    };
    let (vm, mut terminal) = waiting::during(say, "booting", || machine(choices, line))?;
    if options.meter && !terminal.count()? {
        say.note("this back end does not count instructions: --meter needs kvm");
    }
    let how = match (vm.is_from_prompt(), vm.is_from_snapshot()) {
        (true, _) => "copied at its prompt",
        (_, true) => "copied",
        _ => "booted",
    };
    say.progress(&format!(
        "machine {how} in {} on {}. Leave: Ctrl-] q   Help: help",
        units::time(started.elapsed()),
        vm.backend()
    ));
    let raw = tty::Raw::enter(guard)?;
    let input = input::Input::start(signals, &terminal)?;
    let mut session = Session::new(vm, terminal, input, history, log);
    let ended = session.serve(&raw);
    // The terminal is ours again before anything is said.
    drop(raw);
    let written = session.end_log();
    let ended = ended?;
    written?;
    Ok(match ended {
        session::End::Left => Exit::Success,
        session::End::Shell(ended) => {
            if ended.cause() != Cause::Exited {
                say.note(&format!("the shell ended: {ended}"));
            }
            status(ended.cause(), ended.code())
        }
        session::End::Signal(number) => Exit::Program(128_u8.saturating_add(number)),
    })
}

/// A machine with the shell on its terminal.
fn machine(choices: VmOptions, line: Line) -> mayfly::Result<(Vm, Terminal)> {
    if session::size().0 >= COLUMNS_MIN {
        return Vm::at_prompt(choices, line, PROGRAM);
    }
    let vm = Vm::with_options(choices)?;
    let terminal = vm.terminal(line, PROGRAM)?;
    Ok((vm, terminal))
}

/// The shell's own status, as it is.
fn status(cause: Cause, status: i64) -> Exit {
    match (cause, u8::try_from(status)) {
        // Those of its commands, too: 127 is one that it did not find.
        (Cause::Exited, Ok(status)) => Exit::Program(status),
        _ => exit::of_end(cause, status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shells_end_is_the_tools() {
        let fault = Cause::Fault {
            vector: 14,
            address: 0,
            rip: 0,
            error_code: 0,
        };
        for (cause, of, exit) in [
            (Cause::Exited, 0, Exit::Program(0)),
            (Cause::Exited, 127, Exit::Program(127)),
            (Cause::Exited, 256, Exit::Program(1)),
            (fault, 14, Exit::Program(139)),
            (Cause::Killed, 0, Exit::Program(137)),
        ] {
            assert_eq!(status(cause, of), exit);
        }
    }
}

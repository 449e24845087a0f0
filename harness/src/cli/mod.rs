//! The commands, their options, and how they end.
//!
//! Purpose: declares the command line once (help, completions and parsing
//! derive from it) and runs the chosen command. Neighbours: one module a
//! command; `say` prints, `exit` has the codes, `target` the shared options.

mod bench;
mod call;
mod calltable;
mod coverage;
mod demo;
mod doctor;
mod exit;
mod folded;
mod intro;
mod json;
mod layout;
mod man;
mod mistake;
mod program;
mod run;
mod say;
mod shell;
mod target;
mod trace;
mod units;
mod waiting;
mod words;

use std::ffi::OsString;

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use exit::Exit;
use say::Say;

/// Runs guest programs on a real kernel in a microVM, and shows every system call.
#[derive(Debug, Parser)]
#[command(name = "mayfly", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  mayfly demo                           see it work
  mayfly run patchwork-hello            run a bundled program
  mayfly trace ./file --abi veridian    run a file, one line a system call
  mayfly call patchwork GETPID          make one system call

Exit codes: the guest's own 0-123; 2 usage, 124 timeout, 125 Mayfly, the host or the \
guest kernel failed, 126 not a program, 127 no such program, 137 killed, 139 fault; \
111 a benchmark is not what was agreed on.";

const COMPLETIONS: &str = "\
Examples:
  mayfly completions bash > ~/.local/share/bash-completion/completions/mayfly
  mayfly completions fish > ~/.config/fish/completions/mayfly.fish
  mayfly completions zsh > ~/.zfunc/_mayfly";

/// Options of every command.
#[derive(Args, Debug)]
struct Global {
    /// Say nothing but results and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more; twice for the kernel's own words.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: clap::ColorChoice,
    /// How to print results: for people, or one JSON object a line.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    message_format: MessageFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MessageFormat {
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Boot, run one program of each interface, show its calls and their cost.
    Demo(demo::Options),
    /// Run a program; its output and exit status become this command's.
    #[command(after_help = run::EXAMPLES)]
    Run(run::Options),
    /// Make one system call from ring 3; show its result and cost.
    #[command(after_help = call::EXAMPLES)]
    Call(call::Options),
    /// Run a program; show its system calls, one a line.
    #[command(after_help = trace::EXAMPLES)]
    Trace(trace::Options),
    /// Measure what system calls and machines cost; compare with what was agreed on.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Options),
    /// A prompt in a microVM: programs of all three interfaces, pipes, tracing.
    #[command(after_help = shell::EXAMPLES)]
    Shell(shell::Options),
    /// Show which system calls are served and tested.
    Coverage(coverage::Options),
    /// Say what this host can do, and how to fix what it cannot.
    Doctor,
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands into a folder.
    #[command(after_help = man::EXAMPLES)]
    Man(man::Options),
}

/// Runs what the words of the command line ask for, and says how it went.
pub(crate) fn begin() -> Exit {
    let words: Vec<OsString> = std::env::args_os().collect();
    // What this tool asks of itself: no person's words, and in no list of them.
    let own = match words.get(1).and_then(|word| word.to_str()) {
        Some(shell::tty::STAND_BY) => Some(shell::tty::stand_by()),
        Some(bench::whole::FOOTPRINT) => Some(footprint()),
        _ => None,
    };
    if let Some(done) = own {
        let say = &mut Say::new(false, false, 0);
        return ended(done.map(|()| Exit::Success), say);
    }
    match Cli::try_parse_from(&words) {
        Ok(cli) => main(&cli),
        Err(error) => mistake::explained(error, &words).exit(),
    }
}

/// Runs the chosen command.
fn main(cli: &Cli) -> Exit {
    let global = &cli.global;
    colour(global.color);
    let mut say = Say::new(
        global.message_format == MessageFormat::Json,
        global.quiet,
        global.verbose,
    );
    let Some(command) = &cli.command else {
        return ended(intro::run(&mut say), &mut say);
    };
    let done = match command {
        Command::Demo(options) => demo::run(options, &mut say),
        Command::Run(options) => run::run(options, &mut say),
        Command::Call(options) => call::run(options, &mut say),
        Command::Trace(options) => trace::run(options, &mut say),
        Command::Bench(options) => bench::run(options, &mut say),
        Command::Shell(options) => shell::run(options, &mut say),
        Command::Coverage(options) => coverage::run(options, &mut say),
        Command::Doctor => doctor::run(&mut say),
        Command::Completions { shell } => completions(*shell, &mut say),
        Command::Man(options) => man::run(options, &mut say),
    };
    ended(done, &mut say)
}

/// How a command's end is told.
fn ended(done: anyhow::Result<Exit>, say: &mut Say) -> Exit {
    done.unwrap_or_else(|error| {
        say.failure(&error);
        exit::of_error(&error)
    })
}

/// Makes the choice that of all output streams.
fn colour(choice: clap::ColorChoice) {
    let choice = match choice {
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

fn footprint() -> anyhow::Result<()> {
    let bytes = bench::whole::tell_footprint()?;
    Ok(Say::new(false, false, 0).line(&bytes.to_string())?)
}

fn completions(shell: Shell, say: &mut Say) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mayfly", &mut script);
    say.raw(&script)?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_are_read() {
        let cli = Cli::parse_from(["mayfly", "run", "x", "--timeout", "2s", "--", "-a", "b"]);
        let Some(Command::Run(options)) = cli.command else {
            panic!("not run");
        };
        assert_eq!(options.arguments, ["-a", "b"]);
        let two = std::time::Duration::from_secs(2);
        assert_eq!(options.target.timeout, Some(two));
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in [
            &["mayfly", "fly"][..],
            &["mayfly", "run"],
            &["mayfly", "run", "x", "--timeout", "soon"],
            &["mayfly", "run", "x", "--memory", "1Q"],
            &["mayfly", "run", "x", "--backend", "xen"],
            &["mayfly", "call", "linux", "write"],
        ] {
            assert_eq!(
                Cli::try_parse_from(line).unwrap_err().exit_code(),
                2,
                "{line:?}"
            );
        }
    }
}

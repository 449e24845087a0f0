//! The program: from its arguments to its exit status.
//!
//! - `system`: files and processes in words of Rust; `explain`: what went wrong with
//!   them. `terminal`: lines from people.
//! - `shell`: what it knows. `run`: from a line to processes. `job`: those.
//! - `builtin`: commands of its own. `world`: names, for completion and patterns.

mod builtin;
mod explain;
mod job;
mod out;
mod run;
mod shell;
mod system;
mod terminal;
mod world;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use mayfly_user::{Patchwork, Process};

use run::BUILTIN;
use shell::Shell;
use system::{Lines, Next};
use terminal::Terminal;

/// Runs the shell.
pub(crate) fn run(process: &Process<Patchwork>) -> i32 {
    crate::heap::begin();
    let arguments = process.arguments();
    let text = |index| {
        arguments
            .get(index)
            .and_then(|it| core::str::from_utf8(it).ok())
    };
    match (text(1), text(2)) {
        (Some("-c"), Some(line)) => {
            let mut shell = Shell::new(None);
            shell.run_line(line);
            shell.status
        }
        (Some(BUILTIN), Some(name)) => {
            let words = (2..arguments.len()).filter_map(|index| arguments.get(index));
            run_builtin(name, words)
        }
        (Some(word), _) => {
            out::complain(&["shell: unknown argument: ", word, "\n  try: shell -c LINE"]);
            2
        }
        _ => match Terminal::open() {
            Some(terminal) => interactive(Shell::new(Some(terminal))),
            None => line_by_line(Shell::new(None)),
        },
    }
}

/// Runs one of the shell's own commands as a part of another shell's pipeline.
fn run_builtin<'a>(name: &str, words: impl Iterator<Item = &'a [u8]>) -> i32 {
    let words: Vec<String> = words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    match builtin::find(name) {
        Some(builtin) => Shell::new(None).run_builtin(builtin, &words),
        None => {
            out::complain(&[
                "shell: ",
                name,
                ": no command of its own\n  try: shell -c ",
                name,
            ]);
            2
        }
    }
}

/// A person types.
fn interactive(mut shell: Shell) -> i32 {
    while shell.exit.is_none() {
        shell.report_ended();
        match shell.read_line() {
            Some(line) => shell.run_line(&line),
            None => break,
        }
    }
    shell.exit.unwrap_or(shell.status)
}

/// A file or a pipe has the lines. What a line does not take, the programs
/// that it runs may read.
fn line_by_line(mut shell: Shell) -> i32 {
    let mut lines = Lines::new();
    while shell.exit.is_none() {
        match lines.next() {
            Next::Line(line) => shell.run_line(&line),
            Next::End => break,
            Next::TooLong => {
                out::complain(&[
                    "shell: line ",
                    &lines.count.to_string(),
                    " is longer than 16,384 bytes: neither it nor what follows runs\n  \
                     try: shorter lines",
                ]);
                return 2;
            }
        }
    }
    shell.exit.unwrap_or(shell.status)
}

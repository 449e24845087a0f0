//! Commands of the shell's own.
//!
//! Each is a row: its name, what `help` says, and its function. `files` and
//! `machine` have most of the functions.

mod files;
mod machine;
mod watch;

use alloc::string::String;
use core::fmt::Write as _;

use mayfly_abi::patchwork::Errno;

use super::explain::describe;
use super::out::{self, Out, complain};
use super::run::{Failed, Streams};
use super::shell::Shell;

/// A command of the shell's own.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    /// Its operands, for `help`.
    operands: &'static str,
    what: &'static str,
    pub(crate) run: fn(&mut Shell, &[String]) -> i32,
    /// It is about the shell that it was typed in, and no other can do it.
    pub(crate) needs_shell: bool,
    /// It may go on for ever: where people type it runs beside the shell, as
    /// the key that interrupts ends jobs and not the shell.
    may_last: bool,
    /// Its words are its own business, those with `-` before them, too.
    takes_all: bool,
}

/// All of them, as `help` shows them.
pub(crate) const NAMES: [Builtin; 20] = [
    row("help", "", "this list", help),
    row("ls", "[-l] [PATH...]", "names in a directory", files::ls),
    row(
        "cat",
        "[FILE...]",
        "what files hold, or what is typed",
        files::cat,
    )
    .lasting(),
    row("echo", "[-n] [WORD...]", "its words", files::echo).with_all(),
    row("rm", "FILE...", "take a name away", files::rm),
    row(
        "cd",
        "[DIRECTORY]",
        "go to a directory, or the root",
        files::cd,
    ),
    row("pwd", "", "where that is", files::pwd),
    row(
        "mount",
        "[SOURCE TARGET]",
        "show a directory in the place of another",
        files::mount,
    )
    .of_shell(),
    row(
        "env",
        "[NAME | NAME=VALUE...]",
        "variables: all, one, or set some",
        machine::env,
    ),
    row("ps", "", "processes that there are", machine::ps),
    row(
        "kill",
        "PROCESS...",
        "end processes, by their numbers",
        machine::kill,
    ),
    row("jobs", "", "what runs unattended", machine::jobs).of_shell(),
    row("wait", "", "wait for all of that", machine::wait).of_shell(),
    row("mem", "", "memory in use", machine::mem),
    row(
        "caps",
        "",
        "capabilities that processes hold",
        machine::caps,
    ),
    row(
        "time",
        "COMMAND...",
        "run it; say how long it took",
        watch::time,
    )
    .with_all(),
    row(
        "trace",
        "COMMAND...",
        "run it; show its system calls live",
        watch::trace,
    )
    .with_all(),
    row("history", "", "lines entered before", machine::history).of_shell(),
    row("clear", "", "an empty screen", clear),
    row("exit", "[STATUS]", "leave", exit).with_all(),
];

const fn row(
    name: &'static str,
    operands: &'static str,
    what: &'static str,
    run: fn(&mut Shell, &[String]) -> i32,
) -> Builtin {
    Builtin {
        name,
        operands,
        what,
        run,
        needs_shell: false,
        may_last: false,
        takes_all: false,
    }
}

impl Builtin {
    /// It is about the shell itself.
    const fn of_shell(self) -> Self {
        Self {
            needs_shell: true,
            ..self
        }
    }

    /// It may go on for ever.
    const fn lasting(self) -> Self {
        Self {
            may_last: true,
            ..self
        }
    }

    /// It takes whatever words there are.
    const fn with_all(self) -> Self {
        Self {
            takes_all: true,
            ..self
        }
    }

    /// A word that would be an option, and is none of its.
    fn unknown_option<'a>(&self, words: &'a [String]) -> Option<&'a str> {
        let mut words = words.iter().map(|it| &it[..]);
        words.find(|it| {
            let mut known = self.operands.split(['[', ']', ' ']);
            !self.takes_all && it.len() > 1 && it.starts_with('-') && !known.any(|has| has == *it)
        })
    }
}

impl Shell {
    /// Runs a command of the shell's own, here if it can be waited for.
    pub(crate) fn run_builtin(&mut self, builtin: &Builtin, words: &[String]) -> i32 {
        let name = builtin.name;
        if let Some(option) = builtin.unknown_option(&words[1..]) {
            let form = [name, " ", builtin.operands].concat();
            let what = [": ", option, ": no such option\n  try: "].concat();
            complain(&[name, &what, form.trim_end()]);
            return 2;
        }
        if builtin.may_last && self.terminal.is_some() {
            return match self.start_beside(words, &Streams::default()) {
                Ok(child) => self.wait_for(&[child]),
                Err(Failed(status)) => status,
            };
        }
        let status = (builtin.run)(self, &words[1..]);
        match out::failure() {
            None => return status,
            // Whoever read has enough, which is nobody's mistake.
            Some(Errno::EPIPE) => {}
            Some(errno) => complain(&[name, ": cannot write: ", describe(errno)]),
        }
        if status == 0 { 1 } else { status }
    }
}

/// The one of that name.
pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    const ALL: &[Builtin] = &NAMES;
    ALL.iter().find(|builtin| builtin.name == name)
}

fn help(_: &mut Shell, _: &[String]) -> i32 {
    let mut out = Out::default();
    for Builtin {
        name,
        operands,
        what,
        ..
    } in &NAMES
    {
        // Writing into a string does not fail.
        let _ = writeln!(out, "  {name:<8} {operands:<23} {what}");
    }
    let _ = out.write_str(
        "programs by name, of all three interfaces (Tab lists them)\n\
         a | b  a > f  a >> f  a < f  2>&1  a && b  a || b  a ; b  a &\n\
         $NAME  $?  'as it is'  \"$NAME as it is\"  *\n\
         keys: Ctrl-R searches, Ctrl-C interrupts, Ctrl-D ends input, Ctrl-] menu\n",
    );
    0
}

fn clear(_: &mut Shell, _: &[String]) -> i32 {
    let mut out = Out::default();
    // Writing into a string does not fail.
    let _ = out.write_str("\x1b[H\x1b[2J");
    0
}

fn exit(shell: &mut Shell, words: &[String]) -> i32 {
    let status = match words {
        [] => Some(shell.status),
        [word] => word.parse().ok(),
        _ => None,
    };
    match status {
        Some(status) => {
            shell.exit = Some(status);
            status
        }
        None => usage("exit", "exit [STATUS]"),
    }
}

/// Words that a command cannot do anything with.
fn usage(name: &str, form: &str) -> i32 {
    complain(&[name, ": wrong words\n  try: ", form]);
    2
}

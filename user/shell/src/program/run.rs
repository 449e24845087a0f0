//! From a line to processes: pipes, streams, the foreground.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use mayfly_abi::patchwork::Errno;
use mayfly_shell::expand::{Room, TooMuch, expand};
use mayfly_shell::near::nearest;
use mayfly_shell::parse::quoted;
use mayfly_shell::syntax::{Command, Destination, Item, Redirection, When};

use super::builtin;
use super::explain::{about, describe};
use super::job::{Child, INTERRUPTED, Job};
use super::out::complain;
use super::shell::Shell;
use super::system::{self, File};
use super::world::{Here, PROGRAMS, programs};

/// Statuses that shells have for what cannot be run.
const NOT_FOUND: i32 = 127;
const CANNOT_RUN: i32 = 126;
/// The shell itself, for commands of its own that run beside it.
const SHELL: &str = "/bin/shell";
/// Its argument for one of them, with the words behind it.
pub(crate) const BUILTIN: &str = "-b";

/// Why a command does not run; it was said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed(pub(crate) i32);

impl Shell {
    /// Runs a pipeline, if it is its turn.
    pub(crate) fn run_item(&mut self, text: &str, item: &Item) {
        let runs = match item.when {
            When::Always => true,
            When::Success => self.status == 0,
            When::Failure => self.status != 0,
        };
        if !runs {
            return;
        }
        let expanded: Result<Vec<Vec<String>>, TooMuch> = {
            let here = &mut Here {
                status: self.status,
            };
            let mut room = Room::default();
            let commands = item.pipeline.iter();
            commands
                .map(|it| expand(&it.words, here, &mut room))
                .collect()
        };
        let Ok(words) = expanded.map_err(too_much) else {
            self.status = 1;
            return;
        };
        if let ([words], [command], false) = (&words[..], &item.pipeline[..], item.background) {
            return self.run_alone(words, command);
        }
        let (children, failed) = self.start_pipeline(item, &words);
        if item.background && !children.is_empty() {
            let number = self.jobs.iter().map(|job| job.number).max().unwrap_or(0) + 1;
            if self.terminal.is_some() {
                let ids: Vec<String> = children.iter().map(|it| it.id.to_string()).collect();
                complain(&[&format!("[{number}] "), &ids.join(" ")]);
            }
            self.jobs.push(Job {
                number,
                children,
                text: text[item.text.0..item.text.1].into(),
            });
            self.status = 0;
        } else {
            self.status = self.wait_for(&children);
        }
        if let Some(Failed(status)) = failed {
            self.status = status;
        }
    }

    /// A command without a pipe that is waited for.
    fn run_alone(&mut self, words: &[String], command: &Command) {
        let Some(name) = words.first() else {
            self.status = 0;
            return;
        };
        let mut streams = Streams::default();
        if let Err(Failed(status)) = streams.redirect(&command.redirections, self.status) {
            self.status = status;
            return;
        }
        self.status = match builtin::find(name) {
            Some(builtin) => streams
                .with(|| self.run_builtin(builtin, words))
                .unwrap_or(1),
            None => {
                let plain = Streams::default();
                let start = || self.start(program(words)?, words, false, &plain);
                match streams.with(start).unwrap_or(Err(Failed(1))) {
                    Ok(child) => self.wait_for(&[child]),
                    Err(Failed(status)) => status,
                }
            }
        };
    }

    /// Starts a program that was found.
    pub(crate) fn start(
        &self,
        path: String,
        words: &[String],
        suspended: bool,
        streams: &Streams,
    ) -> Result<Child, Failed> {
        let mut words = words.to_vec();
        let name = core::mem::replace(&mut words[0], path);
        let started = streams.with(|| Child::start(&words, suspended));
        started.and_then(|started| started).map_err(|errno| {
            complain(&["shell: cannot start ", &name, ": ", describe(errno)]);
            Failed(CANNOT_RUN)
        })
    }

    /// Starts every command of a pipeline, each writing to the next: those that
    /// were started, and the status of the last if that one was not.
    fn start_pipeline(&self, item: &Item, words: &[Vec<String>]) -> (Vec<Child>, Option<Failed>) {
        let mut children = Vec::new();
        let mut failed = None;
        let mut input = None;
        if item.background {
            // What runs unattended does not take what people type.
            match opened("/dev/null", "r") {
                Ok(null) => input = Some(null),
                Err(failed) => return (children, Some(failed)),
            }
        }
        let last = item.pipeline.len() - 1;
        for (index, (command, words)) in item.pipeline.iter().zip(words).enumerate() {
            let mut streams = Streams::default();
            streams.0[0] = input.take();
            if index < last {
                match File::pipe() {
                    Ok([reader, writer]) => {
                        input = Some(reader);
                        streams.0[1] = Some(writer);
                    }
                    Err(errno) => {
                        complain(&["shell: cannot make a pipe: ", describe(errno)]);
                        return (children, Some(Failed(1)));
                    }
                }
            }
            // Of one that is not started, those before it find nobody who reads,
            // those behind it an end.
            failed = match self.start_part(command, words, streams) {
                Ok(child) => {
                    children.extend(child);
                    None
                }
                Err(failed) => Some(failed),
            };
        }
        (children, failed)
    }

    /// Starts a command of a pipeline; none, if its words are empty.
    fn start_part(
        &self,
        command: &Command,
        words: &[String],
        mut streams: Streams,
    ) -> Result<Option<Child>, Failed> {
        streams.redirect(&command.redirections, self.status)?;
        let Some(name) = words.first() else {
            return Ok(None);
        };
        let child = match builtin::find(name) {
            Some(builtin) if builtin.needs_shell => {
                let advice = ": another shell would not know\n  try: without | and &, as in ";
                complain(&[name, advice, name, " > FILE"]);
                return Err(Failed(1));
            }
            // Beside the shell, which may not wait for what it writes itself.
            Some(_) => self.start_beside(words, &streams),
            None => self.start(program(words)?, words, false, &streams),
        };
        child.map(Some)
    }

    /// Starts a command of the shell's own in a second shell.
    pub(crate) fn start_beside(
        &self,
        words: &[String],
        streams: &Streams,
    ) -> Result<Child, Failed> {
        let mut own = [SHELL.into(), BUILTIN.into()].to_vec();
        own.extend_from_slice(words);
        self.start(SHELL.into(), &own, false, streams)
    }

    /// Waits for children in the foreground; the status of the last one.
    pub(crate) fn wait_for(&mut self, children: &[Child]) -> i32 {
        if let Some(terminal) = &self.terminal {
            let ids: Vec<u64> = children.iter().map(|child| child.id).collect();
            terminal.foreground(&ids);
        }
        let mut status = 0;
        for child in children {
            status = child.status();
            // Of a pipeline the key ends all that still run, not only the last.
            self.interrupted |= self.terminal.is_some() && status == INTERRUPTED;
        }
        if let Some(terminal) = &self.terminal {
            terminal.foreground(&[]);
        }
        status
    }
}

/// The path of the program that words begin with.
pub(crate) fn program(words: &[String]) -> Result<String, Failed> {
    let name = &words[0][..];
    let sets = match words {
        [set, ..] if is_assignment(set) => Some(set),
        [export, set, ..] if export == "export" && is_assignment(set) => Some(set),
        _ => None,
    };
    if let Some(set) = sets {
        let set = quoted(set);
        complain(&["shell: ", name, ": no such command\n  try: env ", &set]);
        return Err(Failed(NOT_FOUND));
    }
    if name.contains('/') {
        return match system::stat(name) {
            Ok(stat) if stat.is_directory() => {
                complain(&["shell: ", name, ": it is a directory\n  try: cd ", name]);
                Err(Failed(CANNOT_RUN))
            }
            Ok(_) => Ok(name.into()),
            Err(errno) => {
                complain(&["shell: ", &about(name, errno)]);
                Err(Failed(if errno == Errno::ENOENT {
                    NOT_FOUND
                } else {
                    CANNOT_RUN
                }))
            }
        };
    }
    let paths = PROGRAMS
        .iter()
        .map(|directory| format!("{directory}/{name}"));
    for path in paths {
        if system::stat(&path).is_ok() {
            return Ok(path);
        }
    }
    let mut known = programs();
    known.extend(builtin::NAMES.iter().map(|it| it.name.to_string()));
    let advice = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => ["did you mean ", near, "?"].concat(),
        None => "`help` lists what there is; Tab completes names".into(),
    };
    complain(&["shell: ", name, ": no such command\n  try: ", &advice]);
    Err(Failed(NOT_FOUND))
}

/// What other shells set a variable with.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// A variable can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
    !name.is_empty() && name.chars().all(is_part)
}

fn too_much(why: TooMuch) -> Failed {
    let why = why.to_string();
    complain(&["shell: ", &why, "\n  try: in smaller parts"]);
    Failed(1)
}

/// Where the standard streams are to lead.
#[derive(Debug, Default)]
pub(crate) struct Streams([Option<File>; 3]);

impl Streams {
    /// Opens what redirections name; what leads where another stream does, does
    /// so as that one leads by then.
    fn redirect(&mut self, redirections: &[Redirection], status: i32) -> Result<(), Failed> {
        for Redirection { stream, to } in redirections {
            let (word, flags) = match to {
                Destination::From(word) => (word, "r"),
                Destination::Into(word) => (word, "wct"),
                Destination::Behind(word) => (word, "wca"),
                Destination::As(other) => {
                    let index = usize::try_from(*other).unwrap_or(0);
                    let fd = self.0[index].as_ref().map_or(*other, File::fd);
                    let copy = File::copy_of(fd).map_err(|_| Failed(1))?;
                    self.set(*stream, copy);
                    continue;
                }
            };
            let (word, here) = (core::slice::from_ref(word), &mut Here { status });
            let names = expand(word, here, &mut Room::default()).map_err(too_much)?;
            let [name] = &names[..] else {
                complain(&["shell: a redirection needs the name of one file"]);
                return Err(Failed(1));
            };
            self.set(*stream, opened(name, flags)?);
        }
        Ok(())
    }

    fn set(&mut self, stream: u64, file: File) {
        let index = usize::try_from(stream).unwrap_or(0);
        self.0[index.min(2)] = Some(file);
    }

    /// Does something while the standard streams lead there.
    pub(crate) fn with<T>(&self, act: impl FnOnce() -> T) -> system::Result<T> {
        let mut kept = Vec::new();
        for (stream, file) in (0..).zip(&self.0) {
            if let Some(file) = file {
                let own = File::copy_of(stream)?;
                file.become_stream(stream)?;
                kept.push((stream, own));
            }
        }
        let done = act();
        for (stream, own) in kept {
            own.become_stream(stream)?;
        }
        Ok(done)
    }
}

fn opened(name: &str, flags: &str) -> Result<File, Failed> {
    File::open(&format!("{name}:{flags}")).map_err(|errno| {
        complain(&["shell: cannot open ", &about(name, errno)]);
        Failed(1)
    })
}

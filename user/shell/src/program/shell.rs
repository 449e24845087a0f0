//! What the shell knows between two lines.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use mayfly_shell::parse;

use super::job::{INTERRUPTED, Job};
use super::out;
use super::system;
use super::terminal::{Entered, Terminal};
use super::world::Here;

/// The shell.
#[derive(Debug)]
pub(crate) struct Shell {
    /// How the last pipeline ended.
    pub(crate) status: i32,
    /// The key that interrupts has ended what it waited for.
    pub(crate) interrupted: bool,
    /// It is to end, with that status.
    pub(crate) exit: Option<i32>,
    /// The terminal, if people type there.
    pub(crate) terminal: Option<Terminal>,
    /// What runs unattended.
    pub(crate) jobs: Vec<Job>,
    /// Directories that it has bound elsewhere: what, and where.
    pub(crate) binds: Vec<(String, String)>,
    /// Its working directory, once it has another than the root.
    directory: String,
    /// The one that it had before.
    pub(crate) left: Option<String>,
}

impl Shell {
    pub(crate) fn new(terminal: Option<Terminal>) -> Self {
        Self {
            status: 0,
            interrupted: false,
            exit: None,
            terminal,
            jobs: Vec::new(),
            binds: Vec::new(),
            directory: "/".into(),
            left: None,
        }
    }

    /// A line from a person; `None` when there are no more.
    pub(crate) fn read_line(&mut self) -> Option<String> {
        let names = &mut Here {
            status: self.status,
        };
        match self.terminal.as_mut()?.read_line(&self.directory, names)? {
            Entered::Line(line) => Some(line),
            Entered::Cancelled => {
                self.status = INTERRUPTED;
                Some(String::new())
            }
        }
    }

    /// Runs a line; once it is interrupted, nothing more of it.
    pub(crate) fn run_line(&mut self, text: &str) {
        self.interrupted = false;
        match parse::parse(text) {
            Ok(line) => {
                for item in &line.items {
                    self.run_item(text, item);
                    if self.interrupted {
                        self.status = INTERRUPTED;
                    }
                    if self.interrupted || self.exit.is_some() {
                        return;
                    }
                }
            }
            Err(mistake) => {
                let width = mayfly_shell::layout::text_width(&text[..mistake.at]);
                let place = match text.contains('\n') {
                    // The line that it is in would have to be found.
                    true => String::new(),
                    false => format!("\n  {text}\n  {:width$}^", ""),
                };
                out::complain(&["shell: ", &mistake.to_string(), &place]);
                self.status = 2;
            }
        }
    }

    /// Says which jobs have ended, and forgets them.
    pub(crate) fn report_ended(&mut self) {
        let jobs = core::mem::take(&mut self.jobs);
        for job in jobs {
            if job.has_ended() {
                let status = job.status();
                let ended = format!("[{}] ended, status {status}: ", job.number);
                out::complain(&[&ended, &job.text]);
            } else {
                self.jobs.push(job);
            }
        }
    }

    /// The working directory is another one.
    pub(crate) fn moved(&mut self) {
        let asked = system::text_of("/proc/self/cwd");
        let now = asked.map_or_else(|_| "?".into(), |it| it.trim_end_matches('\0').into());
        self.left = Some(core::mem::replace(&mut self.directory, now));
    }

    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }
}

//! What is to stand above the prompt, until there is room for it.
//!
//! Purpose: lines of the host, and what programs show while a line is edited.
//! The shell is asked for room, once at a time: it takes its line off the
//! screen, says so, and draws it below. A line that a program has begun waits a
//! little for its end. Neighbours: the session decides what belongs here.

use std::io;
use std::time::{Duration, Instant};

use super::Session;

/// How long a line without an end is waited for.
const LINE_PATIENCE: Duration = Duration::from_millis(200);
/// Longest line that is, and most that is kept while nobody makes room.
const LINE_MAX: usize = 4096;
const KEPT_MAX: usize = 64 << 10;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Above {
    waiting: Vec<Waiting>,
    /// Bytes in those of programs.
    kept: usize,
    /// The beginning of a program's line, and when it came.
    begun: Vec<u8>,
    since: Option<Instant>,
}

/// Something that waits.
#[derive(Debug)]
enum Waiting {
    /// A line of the host, without its end.
    Line(String),
    /// Whole lines of programs.
    Shown(Vec<u8>),
}

impl Above {
    /// Keeps what a program shows.
    fn keep(&mut self, bytes: &[u8]) {
        self.begun.extend(bytes);
        let whole = self.begun.iter().rposition(|byte| *byte == b'\n');
        if let Some(last) = whole {
            let begun = self.begun.split_off(last + 1);
            self.push(begun);
        }
        self.since = match self.begun.is_empty() {
            true => None,
            false => self
                .since
                .filter(|_| whole.is_none())
                .or(Some(Instant::now())),
        };
    }

    /// What was begun is whole lines; `begun` comes after them.
    fn push(&mut self, begun: Vec<u8>) {
        let lines = std::mem::replace(&mut self.begun, begun);
        self.kept += lines.len();
        self.waiting.push(Waiting::Shown(lines));
    }

    /// A line that has waited long enough for its end gets one.
    fn end_line(&mut self) {
        let late = self.left().is_some_and(|left| left.is_zero());
        if late || self.begun.len() > LINE_MAX {
            self.end_begun();
        }
    }

    /// Whoever began a line shows nothing more now.
    pub(super) fn end_begun(&mut self) {
        self.since = None;
        if !self.begun.is_empty() {
            self.begun.push(b'\n');
            self.push(Vec::new());
        }
    }

    /// How long the end of a line is still waited for.
    pub(super) fn left(&self) -> Option<Duration> {
        let since = self.since?;
        Some(LINE_PATIENCE.saturating_sub(since.elapsed()))
    }
}

impl Session {
    /// Something to say, at the next place for it.
    pub(super) fn say(&mut self, line: String) {
        self.above.waiting.push(Waiting::Line(line));
    }

    /// A program shows that while a line is edited.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.above.keep(bytes);
    }

    /// Shows what waits, or asks for room.
    pub(super) fn make_room(&mut self) -> anyhow::Result<()> {
        self.above.end_line();
        if !self.machine().at_prompt {
            self.show_all()?;
        } else if self.above.kept > KEPT_MAX {
            // Whoever is to make room does not.
            self.show_waiting()?;
        } else if !self.above.waiting.is_empty() && !self.machine().asked {
            // It answers with a place for them.
            self.tell_window()?;
        }
        Ok(())
    }

    /// Shows the lines that waited; the cursor is where a line begins, or below.
    pub(super) fn show_waiting(&mut self) -> io::Result<()> {
        self.above.kept = 0;
        for waiting in std::mem::take(&mut self.above.waiting) {
            if !self.at_left {
                self.show(b"\r\n")?;
            }
            match waiting {
                Waiting::Shown(lines) => self.show_logged(&lines)?,
                Waiting::Line(line) => {
                    if let Some(log) = &mut self.log {
                        log.line(&line);
                    }
                    let line = match anstream::AutoStream::choice(&io::stdout()) {
                        anstream::ColorChoice::Never => {
                            anstream::adapter::strip_str(&line).to_string()
                        }
                        _ => line,
                    };
                    self.show(format!("{line}\r\n").as_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// The same, and the line that was begun: nobody edits one now.
    pub(super) fn show_all(&mut self) -> io::Result<()> {
        self.show_waiting()?;
        self.above.since = None;
        let begun = std::mem::take(&mut self.above.begun);
        self.show_logged(&begun)
    }

    /// Shows what a program shows.
    pub(super) fn show_logged(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            log.shown(bytes);
        }
        self.show(bytes)
    }
}

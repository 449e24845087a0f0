//! Everything that the tool prints.
//!
//! Purpose: results to standard output, progress and failures to standard
//! error, both for people or as JSON lines; colours by the rules of `anstream`
//! (terminal, `NO_COLOR`, `--color`). Neighbours: every command has a [`Say`].

use std::fmt;
use std::io::{self, ErrorKind, Write};

use anstyle::{AnsiColor, Style};
use mayfly::{Error, Vm};
use serde_json::{Value, json};

use super::json::Written;

/// Style of what matters most on a line.
pub(crate) const STRONG: Style = Style::new().bold();
/// Style of what is good.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Style of what is wrong.
pub(crate) const WRONG: Style = AnsiColor::Red.on_default().bold();
/// Style of what needs care.
pub(crate) const CARE: Style = AnsiColor::Yellow.on_default();
/// Style of what may be skipped.
pub(crate) const QUIET: Style = Style::new().dimmed();

/// Where and how to print.
pub(crate) struct Say {
    json: bool,
    quiet: bool,
    verbose: u8,
    output_is_data: bool,
    written: Written,
    /// The result is one document: lines for people go beside it.
    document: bool,
}

impl Say {
    pub(crate) fn new(json: bool, quiet: bool, verbose: u8) -> Self {
        Self {
            json,
            quiet,
            verbose,
            output_is_data: true,
            written: Written::default(),
            document: false,
        }
    }

    /// From here on the calls are the result: what the program writes to its
    /// standard output goes to standard error.
    pub(crate) fn results_are_calls(&mut self) {
        self.output_is_data = false;
    }

    /// The same with JSON on, for a command's own `--json`.
    pub(crate) fn with_json(&self, json: bool) -> Self {
        Self::new(self.json || json, self.quiet, self.verbose)
    }

    /// The same for a result that is one document, which only
    /// [`raw`](Self::raw) prints: lines for people are told beside it.
    pub(crate) fn with_document(&self) -> Self {
        Self {
            document: true,
            ..Self::new(false, self.quiet, self.verbose)
        }
    }

    /// Nothing but results and errors is printed.
    pub(crate) fn is_silent(&self) -> bool {
        self.quiet || self.json
    }

    /// Results are JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// How often `-v` was given.
    pub(crate) fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// A line of a result, for people.
    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        if self.document {
            self.progress(line);
            return Ok(());
        }
        ignore_closed(writeln!(anstream::stdout().lock(), "{line}"))
    }

    /// Bytes of a result, as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        ignore_closed(to_stdout(bytes))
    }

    /// What a program wrote to a standard stream; `false`: nobody reads it any
    /// more.
    pub(crate) fn written(&mut self, stream: u8, bytes: &[u8]) -> io::Result<bool> {
        let written = if self.json {
            match self.written.piece(stream, bytes) {
                Some(piece) => to_stdout(json_line("output", piece).as_bytes()),
                None => Ok(()),
            }
        } else if stream != 2 && self.output_is_data {
            to_stdout(bytes)
        } else if self.output_is_data {
            io::stderr().lock().write_all(bytes)
        } else {
            // The calls are the result, and go on.
            ignore_closed(io::stderr().lock().write_all(bytes))
        };
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true),
        }
    }

    /// Nothing more is written by the program.
    pub(crate) fn written_all(&mut self) -> io::Result<()> {
        let rest: Vec<Value> = self.written.rest().collect();
        rest.into_iter()
            .try_for_each(|piece| self.json("output", piece))
    }

    /// A line beside the result, on standard error.
    pub(crate) fn progress(&mut self, line: &str) {
        if !self.quiet {
            to_stderr(format_args!("{line}"));
        }
    }

    /// A result as one JSON line: `reason`, version, and the fields of `value`.
    pub(crate) fn json(&mut self, reason: &str, value: Value) -> io::Result<()> {
        self.raw(json_line(reason, value).as_bytes())
    }

    /// A finished step, on standard error.
    pub(crate) fn step(&mut self, verb: &str, what: &str) {
        if !self.quiet && !self.json {
            let (on, off) = (GOOD.bold().render(), GOOD.render_reset());
            to_stderr(format_args!("{on}{verb:>12}{off} {what}"));
        }
    }

    /// Something worth knowing that is no failure, on standard error.
    pub(crate) fn note(&mut self, what: &str) {
        if !self.quiet && !self.json {
            let (on, off) = (CARE.render(), CARE.render_reset());
            to_stderr(format_args!("{on}note{off}: {what}"));
        }
    }

    /// The kernel's own words, for whoever asked for them.
    pub(crate) fn kernel(&mut self, vm: &Vm) {
        if self.verbose < 2 {
            return;
        }
        for text in [vm.serial_text(), vm.log_text()] {
            for line in text.lines() {
                self.progress(&styled(QUIET, format!("kernel: {line}")));
            }
        }
    }

    /// The failure of the command.
    pub(crate) fn failure(&mut self, error: &anyhow::Error) {
        if self.json {
            let panicked = error.downcast_ref::<Error>().and_then(super::json::panic);
            if let Some(panicked) = panicked {
                // Standard output is all there is to tell a reader by.
                drop(self.json("panic", panicked));
            }
            drop(self.json("error", super::json::error(error)));
        }
        let (on, off) = (WRONG.render(), WRONG.render_reset());
        to_stderr(format_args!("{on}error{off}: {}", words(error)));
    }
}

/// An error and what caused it, without causes that it has told itself.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// A line on standard error. Where that cannot be written nobody is left to be
/// told so.
fn to_stderr(line: fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

fn json_line(reason: &str, value: Value) -> String {
    let mut object = json!({"reason": reason, "v": 1});
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, value) {
        object.extend(fields);
    }
    format!("{object}\n")
}

fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}

/// A reader that has gone (`mayfly ... | head`) is no failure.
fn ignore_closed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// `text` in a style.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let missing = || io::Error::from(ErrorKind::NotFound);
        let told = mayfly_bench::Error::Missing {
            path: "x".into(),
            source: missing(),
        };
        let told = words(&told.into());
        assert_eq!(told.matches("not found").count(), 1, "{told}");
        assert!(told.ends_with("writes it"), "{told}");
        let context = anyhow::Error::from(missing()).context("reading x");
        assert_eq!(words(&context), "reading x: entity not found");
    }
}

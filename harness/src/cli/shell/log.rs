//! `--log FILE`: what happened, as plain text with times.
//!
//! Purpose: lines that were entered, and what programs showed, without what
//! only a terminal understands. Each line has the seconds since the session
//! began. Neighbours: `session` tells it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use anstream::adapter::StripBytes;
use anyhow::Context as _;

/// Longest line; the rest goes to the next.
const LINE_MAX: usize = 4096;

/// The file.
pub(crate) struct Log {
    file: BufWriter<File>,
    began: Instant,
    strip: StripBytes,
    line: Vec<u8>,
    line_began: Instant,
    failed: bool,
}

impl Log {
    /// Makes the file, or empties it.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let made = File::create(path);
        let file = made.with_context(|| {
            format!(
                "cannot write {}\n  try: --log with a file in a folder of yours",
                path.display()
            )
        })?;
        let now = Instant::now();
        Ok(Self {
            file: BufWriter::new(file),
            began: now,
            strip: StripBytes::new(),
            line: Vec::new(),
            line_began: now,
            failed: false,
        })
    }

    /// A line of its own: what was entered, or a word of the host.
    pub(crate) fn line(&mut self, line: &str) {
        self.end_line();
        self.shown(line.as_bytes());
        self.end_line();
    }

    /// Bytes that a terminal was shown.
    pub(crate) fn shown(&mut self, bytes: &[u8]) {
        let plain: Vec<u8> = self.strip.strip_next(bytes).flatten().copied().collect();
        for byte in plain {
            if self.line.is_empty() {
                self.line_began = Instant::now();
            }
            match byte {
                b'\n' => self.write_line(),
                b'\r' | 0x07 => {}
                0x08 => drop(self.line.pop()),
                _ => self.line.push(byte),
            }
            if self.line.len() >= LINE_MAX {
                self.write_line();
            }
        }
        self.failed |= self.file.flush().is_err();
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.write_line();
        }
    }

    fn write_line(&mut self) {
        let at = (self.line_began - self.began).as_secs_f64();
        let text = String::from_utf8_lossy(&self.line).into_owned();
        let written = writeln!(self.file, "[{at:12.6}] {text}");
        self.failed |= written.is_err();
        self.line.clear();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end_line();
        if self.failed || self.file.flush().is_err() {
            anstream::eprintln!("note: the log file is not complete: it could not be written");
        }
    }
}

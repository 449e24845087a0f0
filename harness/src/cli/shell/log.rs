//! `--log FILE`: what happened, as plain text with times.
//!
//! Purpose: lines that were entered, and what programs showed, without what
//! only a terminal understands. Each line has the seconds since the session
//! began. Neighbours: `session` tells it.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anstream::adapter::StripBytes;
use mayfly::Error;

/// Longest line; the rest goes to the next.
const LINE_MAX: usize = 4096;

/// The file.
pub(crate) struct Log {
    path: PathBuf,
    file: BufWriter<File>,
    began: Instant,
    strip: StripBytes,
    line: Vec<u8>,
    line_began: Instant,
    /// Why it is not complete.
    failed: Option<io::Error>,
}

impl Log {
    /// Makes the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let made = File::create(path);
        let file = made.map_err(|why| Error::Broken {
            what: format!("cannot write {}", path.display()),
            why: why.to_string(),
            remedy: "--log with a file in a folder of yours".into(),
        })?;
        let now = Instant::now();
        Ok(Self {
            path: path.into(),
            file: BufWriter::new(file),
            began: now,
            strip: StripBytes::new(),
            line: Vec::new(),
            line_began: now,
            failed: None,
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
        let flushed = self.file.flush();
        self.note(flushed);
    }

    /// Ends it.
    ///
    /// # Errors
    /// When some of it could not be written.
    pub(crate) fn end(mut self) -> Result<(), Error> {
        self.end_line();
        let flushed = self.file.flush();
        self.note(flushed);
        match self.failed {
            None => Ok(()),
            Some(why) => Err(Error::Broken {
                what: format!("the log {} is not complete", self.path.display()),
                why: why.to_string(),
                remedy: "--log with a file where there is room".into(),
            }),
        }
    }

    fn note(&mut self, done: io::Result<()>) {
        if let Err(why) = done {
            self.failed.get_or_insert(why);
        }
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
        self.note(written);
        self.line.clear();
    }
}

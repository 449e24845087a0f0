//! What the shell writes on its own behalf.

use alloc::string::String;
use core::fmt;

use super::system;

/// Standard output and standard error.
const OUTPUT: u64 = 1;
const ERROR: u64 = 2;

/// Text for standard output, written in large parts.
#[derive(Debug, Default)]
pub(crate) struct Out {
    text: String,
    /// Writing failed: the rest goes nowhere.
    pub(crate) failed: bool,
}

impl Out {
    pub(crate) fn flush(&mut self) {
        if !self.text.is_empty() && !self.failed {
            self.failed = system::write(OUTPUT, self.text.as_bytes()).is_err();
        }
        self.text.clear();
    }
}

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        if self.text.len() >= system::CHUNK {
            self.flush();
        }
        Ok(())
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Says what is wrong, in pieces of a line.
pub(crate) fn complain(pieces: &[&str]) {
    let mut line = String::new();
    for piece in pieces {
        line.push_str(piece);
    }
    line.push('\n');
    // Nowhere is left to say that this cannot be said.
    let _written = system::write(ERROR, line.as_bytes());
}

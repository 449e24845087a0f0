//! What the shell writes on its own behalf.

use alloc::string::String;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use mayfly_abi::patchwork::Errno;

use super::system;

/// Standard output and standard error.
const OUTPUT: u64 = 1;
const ERROR: u64 = 2;

/// Number of the error that a command's first failed write had, or 0. It is
/// here, and no command has to look: who ran it does.
static FAILED: AtomicU32 = AtomicU32::new(0);

/// Writes to standard output, unless that failed before; false if it failed.
pub(crate) fn write(bytes: &[u8]) -> bool {
    if FAILED.load(Ordering::Relaxed) == 0
        && let Err(errno) = system::write(OUTPUT, bytes)
    {
        FAILED.store(errno.code(), Ordering::Relaxed);
    }
    FAILED.load(Ordering::Relaxed) == 0
}

/// Why writing has failed, if it has, since this was last asked.
pub(crate) fn failure() -> Option<Errno> {
    Errno::from_code(FAILED.swap(0, Ordering::Relaxed))
}

/// Text for standard output, written in large parts.
#[derive(Debug, Default)]
pub(crate) struct Out {
    text: String,
}

impl Out {
    fn flush(&mut self) {
        if !self.text.is_empty() {
            write(self.text.as_bytes());
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

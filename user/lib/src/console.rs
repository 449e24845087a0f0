//! Formatted output, a line a call.
//!
//! Purpose: `core::fmt` onto an interface's standard output, gathered so that
//! a line is one system call and a trace stays readable. Neighbours:
//! `entry.rs`'s `Process::say` above, `System::write` below.

use core::fmt;
use core::marker::PhantomData;

use crate::system::System;

/// Bytes that are gathered before they are written.
const CAPACITY: usize = 240;

/// Gathers text; writes when full and when told to.
pub struct Console<S> {
    bytes: [u8; CAPACITY],
    used: usize,
    system: PhantomData<S>,
}

impl<S: System> Console<S> {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            bytes: [0; CAPACITY],
            used: 0,
            system: PhantomData,
        }
    }

    /// Adds bytes as they are.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let free = &mut self.bytes[self.used..];
            let (now, later) = bytes.split_at(bytes.len().min(free.len()));
            free[..now.len()].copy_from_slice(now);
            self.used += now.len();
            bytes = later;
            if self.used == CAPACITY {
                self.flush();
            }
        }
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) {
        if self.used > 0 {
            S::write(&self.bytes[..self.used]);
            self.used = 0;
        }
    }
}

impl<S: System> Default for Console<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: System> fmt::Write for Console<S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Bytes of the foreign world, shown as they are where they are UTF-8.
pub struct Bytes<'a>(pub &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        assert_eq!(Bytes(b"a\xffb").to_string(), "a\\xffb");
        assert_eq!(Bytes("größe".as_bytes()).to_string(), "größe");
    }
}

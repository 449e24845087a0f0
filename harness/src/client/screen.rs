//! The part of a client that looks at a terminal.

use std::time::Instant;

use super::Client;
use crate::backend::{Stop, Stream, Waker};
use crate::error::Result;

impl Client {
    /// Takes what came out on the lines of text.
    pub(super) fn take_texts(&mut self) {
        let Some(backend) = self.backend.as_mut() else {
            return;
        };
        for stream in [Stream::Serial, Stream::Console] {
            let bytes = backend.take(stream);
            match &mut self.screen {
                Some((line, screen)) if *line == stream => screen.extend(bytes),
                _ if stream == Stream::Serial => self.journal.serial(&bytes),
                _ => self.journal.console(&bytes),
            }
        }
    }

    /// Keeps what the terminal on that line shows, from now on.
    pub(crate) fn look_at(&mut self, line: Stream) -> Result<()> {
        self.screen = Some((line, Vec::new()));
        self.type_on(&[])
    }

    /// Types on the terminal.
    pub(crate) fn type_on(&mut self, bytes: &[u8]) -> Result<()> {
        let line = self.screen.as_ref().map_or(Stream::Console, |it| it.0);
        self.running("type on the terminal")?.type_on(line, bytes)
    }

    /// Takes what the terminal showed.
    pub(crate) fn take_screen(&mut self) -> Vec<u8> {
        let screen = self.screen.as_mut();
        screen.map_or_else(Vec::new, |it| std::mem::take(&mut it.1))
    }

    /// What wakes whoever waits for the machine.
    pub(crate) fn waker(&mut self) -> Result<Waker> {
        // A copy that has not run yet is made now: it could not be woken.
        self.type_on(&[])?;
        Ok(self.running("wait")?.waker())
    }

    /// Runs the machine until it has told something, somebody has woken it, or
    /// `deadline` has passed.
    pub(crate) fn turn(&mut self, doing: &str, deadline: Instant) -> Result<()> {
        self.feed()?;
        let stop = self.step(doing, deadline)?;
        self.drain()?;
        match stop {
            Stop::Output | Stop::Deadline(_) => Ok(()),
            Stop::Ended(end) => {
                let cause = self.end(end);
                Err(self.died(doing, cause))
            }
        }
    }
}

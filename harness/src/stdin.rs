//! Standard input on its way to a program.
//!
//! Purpose: bytes wait in a [`Source`], whoever they come from: a test, or a
//! thread that reads something that may never end. The thread that runs the
//! machine hands them over ([`Feeds::deliver`]), no faster than the guest gives
//! room for. Neighbours: `guest` fills sources, `client` delivers them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::backend::Waker;
use crate::error::{Error, Result};
use crate::journal::Journal;

/// Bytes that are read at once, and that a reader may be ahead of the guest.
const CHUNK: usize = 16 << 10;
const AHEAD_MAX: usize = 4 * CHUNK;

/// Where a program's standard input comes from.
#[derive(Default)]
pub(crate) enum Stdin {
    /// It is empty.
    #[default]
    Empty,
    /// These bytes are all of it.
    Bytes(Vec<u8>),
    /// Whoever started the program writes it.
    Piped,
    /// A thread reads it.
    Reader(Box<dyn Read + Send>),
}

impl Stdin {
    /// The host will send something, if only the end.
    pub(crate) fn is_sent(&self) -> bool {
        !matches!(self, Stdin::Empty)
    }

    /// What feeds a program that was started; `waker` wakes its machine.
    pub(crate) fn source(self, waker: Waker) -> Arc<Source> {
        let source = Arc::new(Source::new(waker));
        match self {
            Stdin::Empty | Stdin::Piped => {}
            Stdin::Bytes(bytes) => {
                let mut state = source.state();
                state.bytes = bytes.into();
                state.ended = true;
            }
            Stdin::Reader(reader) => {
                let source = Arc::clone(&source);
                // It ends with its input, or when its program has ended; one
                // that blocks in a read for ever ends with this process.
                std::thread::spawn(move || source.pump(reader));
            }
        }
        source
    }
}

/// Bytes for one program.
pub(crate) struct Source {
    state: Mutex<State>,
    taken: Condvar,
    waker: Waker,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Nothing comes after the bytes that are here.
    ended: bool,
    /// Reading failed.
    failed: Option<io::Error>,
    /// Why nobody takes bytes any more.
    gone: Option<&'static str>,
}

/// What a source has for the guest.
enum Next {
    /// Nothing now.
    Nothing,
    Bytes(Vec<u8>),
    End,
}

impl Source {
    fn new(waker: Waker) -> Self {
        Self {
            state: Mutex::default(),
            taken: Condvar::new(),
            waker,
        }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// Why nobody will read them.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), &'static str> {
        self.change(|state| state.bytes.extend(bytes))
    }

    /// Ends the input behind what was written.
    ///
    /// # Errors
    /// Why nobody will notice.
    pub(crate) fn end(&self) -> Result<(), &'static str> {
        self.change(|state| state.ended = true)
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), &'static str> {
        let mut state = self.state();
        match state.gone {
            Some(why) => return Err(why),
            None if state.ended => return Err("its input was ended before"),
            None => change(&mut state),
        }
        drop(state);
        self.waker.wake();
        Ok(())
    }

    /// Reads to the end, never far ahead of the guest.
    fn pump(&self, mut reader: Box<dyn Read + Send>) {
        let mut chunk = [0; CHUNK];
        loop {
            let done = match reader.read(&mut chunk) {
                Ok(0) => self.end(),
                Ok(count) => self.write(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => self.change(|state| state.failed = Some(error)),
            };
            let state = self.state();
            let full = |state: &mut State| state.bytes.len() > AHEAD_MAX && state.gone.is_none();
            let state = self.taken.wait_while(state, full);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            if done.is_err() || state.ended || state.failed.is_some() || state.gone.is_some() {
                return;
            }
        }
    }

    /// Takes at most `most` bytes.
    fn next(&self, most: u64) -> Result<Next> {
        let mut state = self.state();
        if state.bytes.is_empty() {
            if let Some(error) = state.failed.take() {
                return Err(Error::broken(
                    "cannot read the program's standard input",
                    error,
                    "input that can be read; the program was still running",
                ));
            }
            return Ok(if state.ended {
                Next::End
            } else {
                Next::Nothing
            });
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(CHUNK);
        let count = most.min(state.bytes.len());
        if count == 0 {
            return Ok(Next::Nothing);
        }
        let bytes = state.bytes.drain(..count).collect();
        self.taken.notify_all();
        Ok(Next::Bytes(bytes))
    }

    /// Nobody takes bytes any more: those that are left are dropped.
    fn abandon(&self, why: &'static str) {
        let mut state = self.state();
        state.gone.get_or_insert(why);
        state.bytes = VecDeque::new();
        self.taken.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sources of a machine's programs.
#[derive(Default)]
pub(crate) struct Feeds(Vec<(u64, Arc<Source>)>);

impl Feeds {
    /// Adds the source of a process that was just started.
    pub(crate) fn add(&mut self, pid: u64, source: Arc<Source>) {
        self.0.push((pid, source));
    }

    /// Hands over what the guest has room for: `send` gets process and bytes,
    /// and no bytes for an end.
    pub(crate) fn deliver(
        &mut self,
        journal: &mut Journal,
        mut send: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut result = Ok(());
        self.0.retain(|(pid, source)| {
            let known = journal.process(*pid);
            if let Some(why) = known.takes_no_input() {
                source.abandon(why);
                return false;
            }
            let delivered = deliver(source, &mut known.input_room, |bytes| send(*pid, bytes));
            delivered.unwrap_or_else(|error| {
                result = Err(error);
                false
            })
        });
        result
    }

    /// The machine is over.
    pub(crate) fn abandon(&mut self) {
        for (_, source) in self.0.drain(..) {
            source.abandon("its microVM has ended");
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Hands over what there is room for; false after the end.
fn deliver(
    source: &Source,
    room: &mut u64,
    mut send: impl FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    loop {
        match source.next(*room)? {
            Next::Nothing => return Ok(true),
            Next::End => return send(&[]).map(|()| false),
            Next::Bytes(bytes) => {
                *room -= bytes.len() as u64;
                send(&bytes)?;
            }
        }
    }
}

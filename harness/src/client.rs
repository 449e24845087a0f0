//! The host's side of the wire protocol.
//!
//! Purpose: numbers requests, cuts the machine's bytes into events and records,
//! and runs the machine until what a caller waits for has been told. The
//! machine makes progress only inside [`Client::wait`]. Neighbours: a
//! [`Backend`] below; `microvm`, `guest` and `probe` above.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_abi::Abi;
use mayfly_abi::mailbox::Mailbox;
use mayfly_machine::exit;
use mayfly_vmm::Snapshot;
use mayfly_wire::message::{Exited, Request};
use mayfly_wire::{BODY_MAX, frame};

use crate::backend::{Backend, Counting, End, Stop, Stream};
use crate::error::{Error, Result, unexpected};
use crate::journal::{Answer, Journal, Ready};
use crate::metering::Visit;
use crate::phase::Phase;
use crate::reaper;
use crate::report::{Death, DeathCause};
use crate::snapshot::cannot_copy;
use crate::stdin::{Feeds, Source, Stdin};

pub(crate) use shared::{Held, Shared};

/// A machine and what it has told.
pub(crate) struct Client {
    backend: Option<Box<dyn Backend>>,
    pub(crate) journal: Journal,
    frames: Vec<u8>,
    records: Vec<u8>,
    next_id: u32,
    ended: Option<String>,
    feeds: Feeds,
    /// Line of the terminal, if somebody looks at it, and what it showed.
    screen: Option<(Stream, Vec<u8>)>,
}

impl Client {
    /// A client of a machine that has not run yet.
    pub(crate) fn new(backend: Box<dyn Backend>) -> Self {
        Self::of(backend, Journal::default())
    }

    /// A client of a machine that has told what `journal` says.
    pub(crate) fn of(backend: Box<dyn Backend>, journal: Journal) -> Self {
        Self {
            backend: Some(backend),
            journal,
            frames: Vec::new(),
            records: Vec::new(),
            next_id: 1,
            ended: None,
            feeds: Feeds::default(),
            screen: None,
        }
    }

    /// A client of a copy of this client's machine, made when both stand still.
    pub(crate) fn sibling(&self, backend: Box<dyn Backend>) -> Self {
        Self {
            backend: Some(backend),
            journal: self.journal.clone(),
            frames: self.frames.clone(),
            records: self.records.clone(),
            next_id: self.next_id,
            ended: None,
            // What is still to be read goes to the first machine's programs.
            feeds: Feeds::default(),
            screen: self.screen.clone(),
        }
    }

    /// A request id that was not used yet.
    pub(crate) fn next_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1).max(1);
        id
    }

    /// Gives a process that was just started its standard input.
    pub(crate) fn connect(&mut self, pid: u64, stdin: Stdin) -> Result<Option<Arc<Source>>> {
        if !stdin.is_sent() {
            return Ok(None);
        }
        let waker = self.running("send input")?.waker();
        let source = stdin.source(waker);
        self.feeds.add(pid, Arc::clone(&source));
        Ok(Some(source))
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, what: &'static str, request: &Request<'_>) -> Result<()> {
        self.send_bytes(what, &framed(what, request)?)
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, what: &'static str, bytes: &[u8]) -> Result<()> {
        self.running(what)?.send(bytes)
    }

    /// Sends a request and waits for its answer; a refusal is an error.
    pub(crate) fn ask(
        &mut self,
        what: &'static str,
        timeout: Duration,
        request: impl FnOnce(u32) -> Request<'static>,
    ) -> Result<Answer> {
        let id = self.next_id();
        self.send(what, &request(id))?;
        self.answer(what, timeout, id)
    }

    /// Waits for the answer to request `id`; a refusal is an error.
    pub(crate) fn answer(&mut self, what: &str, timeout: Duration, id: u32) -> Result<Answer> {
        match self.wait(what, timeout, |journal| journal.answers.remove(&id))? {
            Answer::Refused { reason, message } => Err(Error::Refused {
                what: what.into(),
                reason,
                message,
            }),
            answer => Ok(answer),
        }
    }

    /// Runs the machine until `found` finds something.
    ///
    /// Doing so ends in an error when the machine ends first, or when `timeout`
    /// passes; in the latter case the machine can still be used.
    pub(crate) fn wait<T>(
        &mut self,
        doing: &str,
        timeout: Duration,
        mut found: impl FnMut(&mut Journal) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        loop {
            self.feed()?;
            if let Some(found) = found(&mut self.journal) {
                return Ok(found);
            }
            let is_late = Instant::now() >= deadline;
            let stop = match self.step(doing, deadline)? {
                // Who has something to say for ever is out of time, too.
                Stop::Output if is_late => Stop::Deadline(None),
                stop => stop,
            };
            self.drain()?;
            match stop {
                Stop::Output => {}
                Stop::Deadline(position) => {
                    if let Some(found) = found(&mut self.journal) {
                        return Ok(found);
                    }
                    return Err(self.died(doing, DeathCause::Timeout { timeout, position }));
                }
                Stop::Ended(end) => {
                    let cause = self.end(end);
                    return found(&mut self.journal).ok_or_else(|| self.died(doing, cause));
                }
            }
        }
    }

    /// Hands over the standard input that the guest has room for.
    fn feed(&mut self) -> Result<()> {
        let Some(backend) = self.backend.as_mut().filter(|_| self.ended.is_none()) else {
            self.feeds.abandon();
            return Ok(());
        };
        self.feeds.deliver(&mut self.journal, |pid, bytes| {
            backend.send(&framed("send input", &Request::Input { pid, bytes })?)
        })
    }

    /// Waits for the kernel's first message.
    pub(crate) fn ready(&mut self, timeout: Duration) -> Result<Ready> {
        self.wait("see the kernel ready", timeout, |journal| {
            journal.ready.clone()
        })
    }

    /// Lets programs and the clock stand still, until a resume is sent.
    pub(crate) fn stop(&mut self, timeout: Duration) -> Result<()> {
        let what = "see the kernel stand still";
        match self.ask(what, timeout, |id| Request::Stop { id })? {
            Answer::Stopped => Ok(()),
            answer => Err(unexpected(what, &answer)),
        }
    }

    /// What the machine is now; it must stand still.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot> {
        let machine = self.running("copy the machine")?;
        machine.snapshot()?.ok_or_else(cannot_copy)
    }

    /// Makes the machine what it was at first.
    pub(crate) fn begin_again(&mut self) -> Result<()> {
        let Some(backend) = self.backend.as_mut() else {
            return Err(Error::Ended {
                what: "reset the machine",
                how: self.ended.clone().unwrap_or_default(),
            });
        };
        let journal = backend.begin_again()?.ok_or_else(cannot_copy)?;
        self.begin_journal(journal);
        self.ended = None;
        self.next_id = 1;
        self.feeds.abandon();
        self.feeds = Feeds::default();
        self.frames.clear();
        self.records.clear();
        Ok(())
    }

    /// What the machine is now, at its end.
    pub(crate) fn into_snapshot(mut self) -> Result<Snapshot> {
        self.running("copy the machine")?;
        let snapshot = self.backend.take().map(Backend::into_snapshot);
        snapshot.transpose()?.flatten().ok_or_else(cannot_copy)
    }

    /// Opens a probe; a machine may begin with one.
    pub(crate) fn open_probe(&mut self, timeout: Duration, abi: Abi) -> Result<Answer> {
        let (what, code) = ("open a probe", abi.code());
        let Some(journal) = self.running(what)?.begin_with_probe(abi)? else {
            return self.ask(what, timeout, |id| Request::OpenProbe { id, abi: code });
        };
        self.begin_journal(journal);
        let id = self.next_id();
        self.answer(what, timeout, id)
    }

    /// Another machine's story, of a machine with the same files.
    fn begin_journal(&mut self, journal: Journal) {
        let files = std::mem::take(&mut self.journal.files);
        self.journal = Journal { files, ..journal };
    }

    /// Makes a call in that probe, if the machine begins with it; what its
    /// mailbox has then, or how the probe ended.
    pub(crate) fn begin_with_call(
        &mut self,
        what: &str,
        timeout: Duration,
        pid: u64,
        call: &Mailbox,
    ) -> Result<Option<Result<Mailbox, Exited>>> {
        if !self.running("make a call")?.begin_with_call(pid, call)? {
            return Ok(None);
        }
        let returned = self.wait(what, timeout, |journal| {
            let called = std::mem::take(&mut journal.called).then_some(Ok(()));
            called.or_else(|| journal.process(pid).exited.map(Err))
        })?;
        match returned {
            Ok(()) => Ok(self.running("make a call")?.mailbox()?.map(Ok)),
            Err(exited) => Ok(Some(Err(exited))),
        }
    }

    /// Time that making the machine took, if that was put off.
    pub(crate) fn made_in(&self) -> Duration {
        let backend = self.backend.as_ref();
        backend.map_or(Duration::ZERO, |backend| backend.made_in())
    }

    /// Counts kernel instructions from now on, or no more.
    pub(crate) fn meter(&mut self, counting: Option<Counting>) -> Result<bool> {
        self.running("count kernel instructions")?.meter(counting)
    }

    /// Counts from now on: a program that was not waited for to its end may have
    /// left counts.
    pub(crate) fn meter_anew(&mut self, counting: Counting) -> Result<bool> {
        self.meter(None)?;
        drop(self.take_visits());
        self.meter(Some(counting))
    }

    /// Takes the stays in ring 0 counted since the last time.
    pub(crate) fn take_visits(&mut self) -> Vec<Visit> {
        self.backend
            .as_mut()
            .map_or_else(Vec::new, |backend| backend.take_visits())
    }

    /// Ends the machine at once; what it has told stays.
    pub(crate) fn kill(&mut self) {
        if let Some(machine) = self.backend.take() {
            reaper::take_down(machine);
            self.ended.get_or_insert_with(|| "it was dropped".into());
        }
    }

    /// The machine, unless it has ended.
    fn running(&mut self, what: &'static str) -> Result<&mut Box<dyn Backend>> {
        match (&mut self.backend, &self.ended) {
            (Some(backend), None) => Ok(backend),
            (_, how) => Err(Error::Ended {
                what,
                how: how.clone().unwrap_or_default(),
            }),
        }
    }

    fn step(&mut self, doing: &str, deadline: Instant) -> Result<Stop> {
        if self.journal.phase == Phase::Loaded {
            self.journal.phase = Phase::Entered;
        }
        let Some(backend) = self.backend.as_mut().filter(|_| self.ended.is_none()) else {
            return Err(Error::Ended {
                what: "wait",
                how: format!(
                    "{}, before it could {doing}",
                    self.ended.clone().unwrap_or_default()
                ),
            });
        };
        backend.run(deadline)
    }

    /// Notes that the machine is over and says what that means.
    fn end(&mut self, end: End) -> DeathCause {
        let cause = match end {
            End::Exit(exit::EXIT_DONE) => {
                self.journal.phase = Phase::Done;
                DeathCause::Exit(exit::EXIT_DONE)
            }
            End::Exit(code) => match self.journal.panicked.clone() {
                Some(panicked) => DeathCause::Panic(Box::new(panicked)),
                None => DeathCause::Exit(code),
            },
            End::Crash { message, position } => DeathCause::Crash { message, position },
            End::Lost(message) => DeathCause::Lost(message),
        };
        self.ended = Some(cause.in_short());
        cause
    }

    fn died(&self, doing: &str, cause: DeathCause) -> Error {
        Error::Died(Box::new(Death::new(doing, cause, &self.journal)))
    }
}

/// A request as a frame.
pub(crate) fn framed(what: &str, request: &Request<'_>) -> Result<Vec<u8>> {
    let mut buffer = vec![0; frame::HEADER + BODY_MAX];
    let length = frame::encode(request, &mut buffer).map_err(|_| Error::Usage {
        what: what.into(),
        why: "the request does not fit a frame".into(),
        remedy: format!("arguments and buffers of less than {BODY_MAX} bytes together"),
    })?;
    buffer.truncate(length);
    Ok(buffer)
}

mod intake;
mod screen;
mod shared;

#[cfg(test)]
mod tests;

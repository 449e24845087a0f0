//! A machine that begins as a copy when something is first asked of it.
//!
//! Purpose: which snapshot is best is known by then. A machine of which a probe
//! is asked first begins with that probe open ([`Origin::probe`]), and if all
//! that is asked then is a call, the copy finds it in the probe's mailbox: no
//! message has to be read. What is observed is the same either way, except
//! how long it takes. Neighbours: the parent has the origins, the KVM back end
//! the machines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_abi::Abi;
use mayfly_abi::mailbox::{Mailbox, WORDS};
use mayfly_vmm::Snapshot;
use mayfly_wire::message::{Request, Resume};

use super::source::Source;
use super::{EPOCH, Origin};
use crate::backend::kvm::Kvm;
use crate::backend::{Backend, Counting, Keyboard, Stop, Stream, Waker};
use crate::client::framed;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::metering::Visit;
use crate::terminal::Line;

/// A copy, or what will be one.
pub(crate) struct Copy {
    source: Source,
    /// The machine that it begins as, unless more is asked of it first.
    booted: Arc<Origin>,
    /// What the copy is of.
    origin: Arc<Origin>,
    machine: Option<Kvm>,
    /// A machine that has run, to be reset, and what it is a copy of.
    kept: Option<(Kvm, Arc<Origin>)>,
    bundle: (u64, u64),
    /// Time that making the machine took.
    made_in: Duration,
}

impl Copy {
    pub(super) fn new(source: Source, booted: Arc<Origin>) -> Self {
        Self {
            source,
            origin: Arc::clone(&booted),
            booted,
            machine: None,
            kept: None,
            bundle: (0, 0),
            made_in: Duration::ZERO,
        }
    }

    /// Makes the machine, in which a program is to stand at its prompt, at once:
    /// when that cannot be, there is another way to begin. A file that is the
    /// reason goes.
    pub(super) fn make_now(&mut self, line: Line, program: &str) -> Result<()> {
        let made = self.machine().map(|_| ());
        // Nothing was put off.
        self.made_in = Duration::ZERO;
        let Err(why) = made else {
            return Ok(());
        };
        self.source
            .discard_prompt(line, program, &self.origin, why)?;
        Err(super::no_machine())
    }

    /// The machine, resumed.
    fn machine(&mut self) -> Result<&mut Kvm> {
        if self.machine.is_none() {
            let mut machine = self.make()?;
            let (bundle, bundle_size) = self.bundle;
            let resume = Resume {
                epoch: *EPOCH,
                bundle,
                bundle_size,
            };
            machine.send(&framed("resume a copy", &Request::Resume(resume))?)?;
            self.machine = Some(machine);
        }
        // It is there now.
        self.machine.as_mut().ok_or_else(super::no_machine)
    }

    /// A machine that is what the origin was.
    fn make(&mut self) -> Result<Kvm> {
        let started = Instant::now();
        let kept = self.kept.take();
        let machine = match kept.filter(|(_, of)| Arc::ptr_eq(of, &self.origin)) {
            Some((mut machine, _)) => {
                machine.reset(&self.origin.snapshot)?;
                machine
            }
            None => {
                let (machine, bundle) = match self.copy() {
                    Ok(made) => made,
                    Err(why) => {
                        self.replace_origin(why)?;
                        self.copy()?
                    }
                };
                self.bundle = bundle.unwrap_or_default();
                machine
            }
        };
        self.made_in = started.elapsed();
        Ok(machine)
    }

    fn copy(&self) -> Result<(Kvm, Option<(u64, u64)>)> {
        let options = &self.source.options;
        self.origin.copy(&options.files, options.reset)
    }

    /// Takes a machine that is made anew for one from disk, of which this host
    /// makes no copy because of `why`. Nobody sees that: the two have told the
    /// same so far.
    fn replace_origin(&mut self, why: Error) -> Result<()> {
        if self.origin.shell.is_some() {
            return Err(why);
        }
        let probe = self.origin.probe;
        let abi = probe.and_then(|probe| Abi::from_code(probe.abi));
        let Some(abi) = abi else {
            self.source.discard(&self.booted, why)?;
            self.booted = self.source.booted()?;
            self.origin = Arc::clone(&self.booted);
            return Ok(());
        };
        let of = &self.booted;
        self.source.discard_probe(of, abi, &self.origin, why)?;
        self.origin = self.with_probe(abi)?;
        match self.origin.probe == probe {
            true => Ok(()),
            false => Err(super::no_machine()),
        }
    }

    /// An origin with a probe open. The one that has booted may be refused, too.
    fn with_probe(&mut self, abi: Abi) -> Result<Arc<Origin>> {
        match self.source.with_probe(&self.booted, abi) {
            Ok(origin) => Ok(origin),
            Err(why) => {
                self.source.discard(&self.booted, why)?;
                self.booted = self.source.booted()?;
                self.source.with_probe(&self.booted, abi)
            }
        }
    }
}

impl Backend for Copy {
    fn run(&mut self, deadline: Instant) -> Result<Stop> {
        self.machine()?.run(deadline)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.machine()?.send(bytes)
    }

    fn type_on(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        self.machine()?.type_on(stream, bytes)
    }

    fn keyboard(&self, stream: Stream) -> Option<Keyboard> {
        self.machine.as_ref()?.keyboard(stream)
    }

    fn waker(&self) -> Waker {
        match &self.machine {
            Some(machine) => machine.waker(),
            None => Waker::new(|| ()),
        }
    }

    fn take(&mut self, stream: Stream) -> Vec<u8> {
        self.machine
            .as_mut()
            .map(|machine| machine.take(stream))
            .unwrap_or_default()
    }

    fn meter(&mut self, counting: Option<Counting>) -> Result<bool> {
        self.machine()?.meter(counting)
    }

    fn take_visits(&mut self) -> Vec<Visit> {
        let machine = self.machine.as_mut();
        machine.map(Kvm::take_visits).unwrap_or_default()
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>> {
        self.machine()?.snapshot()
    }

    fn begin_again(&mut self) -> Result<Option<Journal>> {
        if !self.source.options.reset {
            return Ok(None);
        }
        if let Some(machine) = self.machine.take() {
            self.kept = Some((machine, Arc::clone(&self.origin)));
        }
        self.origin = Arc::clone(&self.booted);
        Ok(Some(self.booted.journal()))
    }

    fn begin_with_probe(&mut self, abi: Abi) -> Result<Option<Journal>> {
        let is_booted = Arc::ptr_eq(&self.origin, &self.booted) && self.origin.shell.is_none();
        if self.machine.is_some() || !is_booted {
            return Ok(None);
        }
        self.origin = self.with_probe(abi)?;
        Ok(Some(self.origin.journal()))
    }

    fn begin_with_call(&mut self, pid: u64, call: &Mailbox) -> Result<bool> {
        let probe = self.origin.probe.filter(|probe| probe.pid == pid);
        let files = &self.source.options.files[..];
        let (Some(probe), None, []) = (probe, &self.machine, files) else {
            return Ok(false);
        };
        let mut machine = self.make()?;
        let call = Mailbox {
            epoch: *EPOCH,
            ..*call
        };
        let bytes = call.words().map(u64::to_le_bytes).concat();
        machine.write_memory(probe.mailbox, &bytes)?;
        self.machine = Some(machine);
        Ok(true)
    }

    fn mailbox(&mut self) -> Result<Option<Mailbox>> {
        let (Some(probe), Some(machine)) = (self.origin.probe, &self.machine) else {
            return Ok(None);
        };
        let mut bytes = [0; WORDS * 8];
        machine.read_memory(probe.mailbox, &mut bytes)?;
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(Some(Mailbox::from_words(words)))
    }

    fn can_end_later(&self) -> bool {
        true
    }

    fn made_in(&self) -> Duration {
        self.made_in
    }
}

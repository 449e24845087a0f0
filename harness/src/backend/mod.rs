//! What can run a kernel: Mayfly's own VMM, or QEMU.
//!
//! Purpose: the seam between the protocol ([`crate::client`]) and a machine. A
//! back end moves bytes and says how a run ended; it knows nothing of requests,
//! processes or system calls. Neighbours: [`kvm`] and [`qemu`] implement it,
//! `client` drives it, its tests bring a fake one.

pub(crate) mod kvm;
pub(crate) mod qemu;
mod qmp;
mod sockets;
mod spawner;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_abi::Abi;
use mayfly_abi::mailbox::Mailbox;
use mayfly_vmm::Snapshot;

use crate::environment;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::metering::Visit;
use crate::options::VmOptions;

/// Which machine runs the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// Mayfly's own VMM on `/dev/kvm`.
    #[default]
    Kvm,
    /// `qemu-system-x86_64`, with TCG unless `MAYFLY_QEMU_ACCEL` says `kvm`.
    Qemu,
}

impl BackendKind {
    /// The back end that `MAYFLY_BACKEND` asks for; KVM when it is not set.
    ///
    /// # Errors
    /// When the variable names no back end.
    pub fn from_environment() -> Result<Self> {
        match environment::text("MAYFLY_BACKEND") {
            Some(name) => name.parse(),
            None => Ok(Self::default()),
        }
    }

    /// Name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::Kvm => "kvm",
            BackendKind::Qemu => "qemu",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "kvm" => Ok(BackendKind::Kvm),
            "qemu" => Ok(BackendKind::Qemu),
            other => Err(Error::Usage {
                what: "choose a back end".into(),
                why: format!("{other:?} is none"),
                remedy: "MAYFLY_BACKEND=kvm or MAYFLY_BACKEND=qemu".into(),
            }),
        }
    }
}

/// Bytes that come out of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// `mayfly.control`: frames.
    Control,
    /// `mayfly.trace`: records.
    Trace,
    /// `mayfly.console`: the guest's terminal.
    Console,
    /// COM1: first and last words.
    Serial,
}

/// Why a run returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Some stream has bytes to take, or a [`Waker`] was used.
    Output,
    /// The deadline passed; where the processor was, if that could be found out.
    Deadline(Option<Position>),
    /// The machine is over.
    Ended(End),
}

/// Where a processor was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Privilege level: 0 is the kernel, 3 a program.
    pub ring: u8,
    /// Instruction pointer.
    pub rip: u64,
    /// It waits for an interrupt.
    pub halted: bool,
    /// Interrupts are on.
    pub interrupts: bool,
}

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The guest wrote a code to its exit port.
    Exit(u32),
    /// The processor could not go on: triple fault, emulation failure.
    Crash {
        /// What happened, in words.
        message: String,
        /// Where, when that is known.
        position: Option<Position>,
    },
    /// The guest broke a rule of the machine, or the machine process is gone.
    Lost(String),
}

/// What is to be counted, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counting {
    /// Interrupts are held back in ring 3 as well.
    pub(crate) hold: bool,
    /// The addresses of instructions are kept.
    pub(crate) record: bool,
    /// It begins at breakpoints, as where the processor runs ring 0 itself.
    pub(crate) at_entries: bool,
}

/// Makes the run that is under way, or else the next, return, from any thread.
#[derive(Clone)]
pub(crate) struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that does this.
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Wakes; nothing happens when the machine is gone.
    pub(crate) fn wake(&self) {
        (self.0)();
    }
}

/// Types on a machine's terminal, from any thread, while it runs.
#[derive(Clone)]
pub(crate) struct Keyboard(Arc<Types>);

/// Types, and says whether it did.
type Types = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Keyboard {
    /// A keyboard that types so, and says whether it did.
    pub(crate) fn new(types: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(types))
    }

    /// Types; whether the machine has taken the bytes.
    pub(crate) fn types(&self, bytes: &[u8]) -> bool {
        (self.0)(bytes)
    }
}

/// A machine with a kernel in it.
pub(crate) trait Backend: Send {
    /// Runs until a stream has bytes, the deadline passes or the machine ends.
    fn run(&mut self, deadline: Instant) -> Result<Stop>;
    /// Sends bytes to the guest on `mayfly.control`.
    fn send(&mut self, bytes: &[u8]) -> Result<()>;
    /// Sends bytes to the guest on a line of text: its terminal, or COM1.
    fn type_on(&mut self, stream: Stream, bytes: &[u8]) -> Result<()>;
    /// A way to do that while it runs, if it has one.
    fn keyboard(&self, _: Stream) -> Option<Keyboard> {
        None
    }
    /// A way to end a run early.
    fn waker(&self) -> Waker;
    /// Takes what came out on a stream.
    fn take(&mut self, stream: Stream) -> Vec<u8>;
    /// Counts kernel instructions from now on, or no more; `false`: it cannot.
    fn meter(&mut self, counting: Option<Counting>) -> Result<bool>;
    /// Takes the stays in ring 0 counted since the last time, in order; the boot
    /// is one when counting was switched off in it.
    fn take_visits(&mut self) -> Vec<Visit>;
    /// What it is now, to make copies of; `None`: it cannot be copied.
    fn snapshot(&mut self) -> Result<Option<Snapshot>> {
        Ok(None)
    }
    /// Makes it what it was at first; what it had told then, or `None` if it
    /// cannot be brought back.
    fn begin_again(&mut self) -> Result<Option<Journal>> {
        Ok(None)
    }
    /// Begins with a probe that is open already, if nothing was asked of the
    /// machine yet; what it has told then.
    fn begin_with_probe(&mut self, _: Abi) -> Result<Option<Journal>> {
        Ok(None)
    }
    /// Begins with a call that is in the mailbox of that probe; whether it does.
    fn begin_with_call(&mut self, _pid: u64, _call: &Mailbox) -> Result<bool> {
        Ok(false)
    }
    /// The mailbox that it began with.
    fn mailbox(&mut self) -> Result<Option<Mailbox>> {
        Ok(None)
    }
    /// Nothing that it does goes on when it is not run: it may be dropped later,
    /// and on another thread.
    fn can_end_later(&self) -> bool {
        false
    }
    /// Time that making it took, if that was put off.
    fn made_in(&self) -> Duration {
        Duration::ZERO
    }
    /// What it is now, at the end of this machine.
    fn into_snapshot(mut self: Box<Self>) -> Result<Option<Snapshot>> {
        self.snapshot()
    }
}

/// Starts a machine of the kind that `options` ask for.
pub(crate) fn start(kind: BackendKind, options: &VmOptions) -> Result<Box<dyn Backend>> {
    Ok(match kind {
        BackendKind::Kvm => Box::new(kvm::Kvm::start(options)?),
        BackendKind::Qemu => Box::new(qemu::Qemu::start(options)?),
    })
}

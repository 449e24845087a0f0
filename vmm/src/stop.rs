//! Why a run came back, and where the processor was.
//!
//! Neighbours: `vcpu` recognises crashes, `vm` returns [`Stop`] to the caller.

use std::fmt;

pub use crate::cpu::Registers;
pub use crate::device::GuestError;

/// Why [`crate::Vm::run`] returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A port, or COM1, has bytes for the caller.
    Output,
    /// The guest ended its machine with this code.
    Exit(u32),
    /// The deadline passed; the machine could go on.
    Deadline(Position),
    /// Another thread asked for it; the machine could go on.
    Interrupted,
    /// The processor cannot go on.
    Crash(Crash),
    /// The guest broke a device's contract.
    GuestError(GuestError),
}

impl Stop {
    /// Whether the machine is over: another run would return the same.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Exit(_) | Self::Crash(_) | Self::GuestError(_) => true,
            Self::Output | Self::Deadline(_) | Self::Interrupted => false,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output => write!(f, "output"),
            Self::Exit(code) => write!(f, "exit with code {code:#x}"),
            Self::Deadline(position) => write!(f, "deadline, {position}"),
            Self::Interrupted => write!(f, "interrupted"),
            Self::Crash(crash) => write!(f, "{crash}"),
            Self::GuestError(error) => write!(f, "{error}"),
        }
    }
}

/// Where the processor was when time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Address of the next instruction.
    pub rip: u64,
    /// Privilege level: 0 in the kernel, 3 in a program.
    pub cpl: u8,
    /// It waits in `HLT` for an interrupt.
    pub halted: bool,
    /// Maskable interrupts are enabled.
    pub interrupts_enabled: bool,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = if self.halted { "halted" } else { "running" };
        let interrupts = if self.interrupts_enabled { "on" } else { "off" };
        let (rip, cpl) = (self.rip, self.cpl);
        write!(
            f,
            "{doing} in ring {cpl} at {rip:#x}, interrupts {interrupts}"
        )
    }
}

/// The end of a machine that could not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// What happened.
    pub what: CrashKind,
    /// The registers at that moment. After a triple fault they are the ones
    /// before the first fault, unless the hardware has lost them.
    pub registers: Registers,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Registers { rip, .. } = self.registers;
        write!(
            f,
            "{} at {rip:#x}, ring {}",
            self.what,
            self.registers.cpl()
        )
    }
}

/// Ways in which a processor comes to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// A fault while handling a double fault.
    TripleFault,
    /// `HLT` with interrupts disabled: nothing can wake it.
    DeadHalt,
    /// KVM could not go on, usually for an instruction it cannot emulate.
    InternalError {
        /// KVM's code: 1 is an instruction that it cannot emulate.
        suberror: u32,
        /// The instruction's bytes, as far as KVM told.
        instruction: Vec<u8>,
    },
    /// The processor refused the state it was to start from.
    EntryFailure {
        /// The hardware's reason.
        reason: u64,
    },
    /// An access to an address where nothing is.
    UnknownMmio {
        /// Guest-physical address.
        address: u64,
        /// Width in bytes.
        size: usize,
        /// Whether it was a store.
        write: bool,
    },
    /// KVM returned for a reason that this machine has no answer to.
    UnexpectedExit {
        /// KVM's name or number of the reason.
        reason: String,
    },
}

impl fmt::Display for CrashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TripleFault => write!(f, "triple fault"),
            Self::DeadHalt => write!(f, "halt with interrupts disabled"),
            Self::InternalError {
                suberror,
                instruction,
            } => {
                write!(f, "KVM internal error {suberror}")?;
                if !instruction.is_empty() {
                    write!(f, ", instruction bytes {instruction:02x?}")?;
                }
                Ok(())
            }
            Self::EntryFailure { reason } => write!(f, "entry failure {reason:#x}"),
            Self::UnknownMmio {
                address,
                size,
                write,
            } => {
                let what = if *write { "store to" } else { "load from" };
                write!(f, "unknown MMIO: {size}-byte {what} {address:#x}")
            }
            Self::UnexpectedExit { reason } => write!(f, "unexpected KVM exit {reason}"),
        }
    }
}

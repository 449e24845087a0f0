//! What core tells the host side: ends of processes, returns of probes.

use crate::object::process::{Cause, ProcessKey};

/// Something that the host side waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A process ended and is gone.
    Exited {
        /// Its kernel-wide number.
        number: u64,
        /// What ended it.
        cause: Cause,
        /// Exit status as its ABI has it.
        status: i64,
        /// System calls it made.
        calls: u64,
        /// System calls that were traced.
        records: u64,
        /// Ticks between its first instruction and its end.
        ran_ticks: u64,
    },
    /// A probe process came back from the call it was told to make.
    ProbeReturned {
        /// The probe.
        process: ProcessKey,
    },
    /// The machine has stood still for a call, and goes on without one.
    Uncalled,
}

//! What a program did, from start to end.
//!
//! Purpose: status, streams and calls of a process that is over, for a test to
//! look at. Neighbours: `guest::Process::wait` makes it of the journal.

use std::time::Duration;

use mayfly_abi::Abi;
use mayfly_wire::message::Exited;

use crate::cause::{Cause, Died, ExitStatus};
use crate::journal::Known;
use crate::metering::{self, Visit};
use crate::transcript::Call;

/// What a program did, from start to end.
#[derive(Clone, Debug)]
pub struct Output {
    /// Status it ended with.
    pub status: ExitStatus,
    /// What ended it.
    pub cause: Cause,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// Time from its first instruction to its end.
    pub duration: Duration,
    pub(crate) program: String,
    pub(crate) abi: Option<Abi>,
    pub(crate) calls: Vec<Call>,
    pub(crate) children: Vec<Child>,
    pub(crate) exited: Exited,
    pub(crate) kernel_instr: Option<u64>,
    pub(crate) visits: Vec<Visit>,
    pub(crate) root: u64,
}

impl Output {
    /// Its process id.
    pub fn pid(&self) -> u64 {
        self.exited.pid
    }

    /// Its name.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Interface that it was served.
    pub fn abi(&self) -> Option<Abi> {
        self.abi
    }

    /// Its standard output as text.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Processes that came of it; none when it was not traced. Their output
    /// and their calls are among its own.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Calls of that name of the program and its children, in order; none when
    /// it was not traced.
    pub fn calls(&self, name: &str) -> Vec<&Call> {
        self.calls
            .iter()
            .filter(|call| call.name() == name)
            .collect()
    }

    /// All its calls and its children's, in the order of their return.
    pub fn all_calls(&self) -> &[Call] {
        &self.calls
    }

    /// Number of calls it made, traced or not.
    pub fn call_count(&self) -> u64 {
        self.exited.calls
    }

    /// Kernel instructions spent on it, interrupts and page faults included;
    /// with [`crate::Command::meter`] only.
    pub fn kernel_instr(&self) -> Option<u64> {
        self.kernel_instr
    }

    /// Kernel instructions that the whole machine spent while it ran, the making
    /// and the ends of processes included; with [`crate::Command::meter`] only.
    pub fn machine_instr(&self) -> Option<u64> {
        let counts = self.visits.iter().map(|visit| visit.instructions);
        counts.reduce(|sum, count| sum + count)
    }

    /// Every stay in ring 0 while it ran, whoever began it, in order; with
    /// [`crate::Command::meter`] only.
    pub fn visits(&self) -> &[Visit] {
        &self.visits
    }

    /// Root of its page tables, by which visits tell processes apart.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Takes over the counts of another run of the same program, metered and
    /// not traced: counting spoils times, and tracing spoils counts. Calls of
    /// children have none: a machine tells of children only in traces.
    pub fn take_counts(&mut self, metered: &Output) {
        self.kernel_instr = metered.kernel_instr;
        let pid = self.pid();
        let mut own: Vec<&mut Call> = self.calls.iter_mut().collect();
        own.retain(|call| call.pid() == pid);
        metering::assign(&metered.visits, metered.root, own);
    }

    /// TSC cycles from its first instruction to its end.
    pub fn ticks(&self) -> u64 {
        self.exited.ran_tsc
    }
}

/// What is told of a program while it is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// It wrote these bytes to its standard output (1) or error (2).
    Written(u8, &'a [u8]),
    /// It, or one that came of it, has died.
    Died(&'a Died),
}

/// A process that a program made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its process id.
    pub pid: u64,
    /// Process id of whoever made it.
    pub parent: u64,
    /// Its argv\[0\].
    pub program: String,
    /// Interface that it was served.
    pub abi: Option<Abi>,
    /// Status it ended with; `None` when it outlived the program.
    pub status: Option<ExitStatus>,
    pub(crate) root: u64,
}

impl Child {
    /// What the machine told of a process that was made by another one.
    pub(crate) fn new(pid: u64, known: &Known) -> Option<Self> {
        Some(Self {
            pid,
            parent: known.parent?,
            program: known.program.clone(),
            abi: known.abi,
            status: known.exited.map(|exited| ExitStatus {
                cause: exited.cause.into(),
                code: exited.status,
            }),
            root: known.root,
        })
    }
}

/// TSC cycles as time; zero when the rate is not known.
pub(crate) fn ticks_as_time(ticks: u64, khz: u32) -> Duration {
    let khz = u128::from(khz.max(1));
    let nanoseconds = u128::from(ticks) * 1_000_000 / khz;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_time_at_the_guests_rate() {
        assert_eq!(
            ticks_as_time(2_000_000, 2_000_000),
            Duration::from_millis(1)
        );
        assert_eq!(ticks_as_time(u64::MAX, 0), Duration::from_nanos(u64::MAX));
    }
}

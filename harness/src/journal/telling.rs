//! Hands on what a machine has told to whoever waits for a process of it.
//!
//! Neighbours: `known` has the bytes; `guest` and `terminal` wait.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::Journal;
use crate::cause::{Cause, Died, ExitStatus};
use crate::output::Progress;

/// What somebody who waits was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Bytes of each stream.
    bytes: [usize; 2],
    dead: BTreeSet<u64>,
}

impl Told {
    /// Somebody who begins to wait; of those that are dead others were told.
    pub(crate) fn of(journal: &Journal) -> Self {
        let mut told = Self::default();
        journal.deaths(&mut told.dead);
        told
    }
}

impl Journal {
    /// Hands on what was not told: what a process wrote, of which the last `kept`
    /// bytes stay here, then who has died.
    pub(crate) fn hand_on<B>(
        &mut self,
        pid: u64,
        told: &mut Told,
        kept: usize,
        mut tell: impl FnMut(Progress<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let written = |stream, bytes: &[u8]| tell(Progress::Written(stream, bytes));
        let process = self.process(pid);
        let before = process.written();
        let handed_on = process.hand_on(&mut told.bytes, kept, written);
        let forgotten = before - process.written();
        self.bytes = self.bytes.saturating_sub(forgotten);
        handed_on?;
        let died = self.deaths(&mut told.dead);
        died.iter().try_for_each(|died| tell(Progress::Died(died)))
    }

    /// Processes that died and are not among those that were `told`; then they are.
    pub(crate) fn deaths(&self, told: &mut BTreeSet<u64>) -> Vec<Died> {
        let died = self.processes.iter().filter_map(|(pid, known)| {
            let exited = known.exited?;
            let cause = Cause::from(exited.cause);
            let dies = !matches!(cause, Cause::Exited | Cause::Killed);
            (dies && told.insert(*pid)).then(|| Died {
                pid: *pid,
                program: match known.program.as_str() {
                    "" => format!("process {pid}"),
                    name => name.into(),
                },
                status: ExitStatus {
                    cause,
                    code: exited.status,
                },
            })
        });
        died.collect()
    }
}

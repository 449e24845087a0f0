//! How far a machine came.
//!
//! Purpose: the eight phases of design page section 4, in order; every failure
//! names the last one reached. Neighbours: `journal` advances it, `report`
//! prints it.

use std::fmt;

/// Last phase that a machine reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The kernel is in memory.
    #[default]
    Loaded,
    /// Its first instruction was to run.
    Entered,
    /// It has its own page tables.
    Paging,
    /// It handles exceptions.
    Traps,
    /// It found its devices.
    Devices,
    /// It takes requests.
    Ready,
    /// A process runs, or ran.
    Running,
    /// It ended in order.
    Done,
}

impl Phase {
    /// All phases, first to last.
    pub const ALL: [Phase; 8] = [
        Phase::Loaded,
        Phase::Entered,
        Phase::Paging,
        Phase::Traps,
        Phase::Devices,
        Phase::Ready,
        Phase::Running,
        Phase::Done,
    ];

    /// Name, as reports and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Loaded => "loaded",
            Phase::Entered => "entered",
            Phase::Paging => "paging",
            Phase::Traps => "traps",
            Phase::Devices => "devices",
            Phase::Ready => "ready",
            Phase::Running => "running",
            Phase::Done => "done",
        }
    }

    /// Phase of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_in_order_and_found_by_name() {
        assert!(Phase::ALL.is_sorted());
        for phase in Phase::ALL {
            assert_eq!(Phase::from_name(phase.name()), Some(phase));
        }
    }
}

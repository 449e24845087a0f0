//! What a comparison found, and what the tool ends with.
//!
//! Neighbours: `mod` and `ab` compare, `show` and `export` tell.

use mayfly_bench::baseline::{Baseline, Change};
use mayfly_bench::compare::{Compared, Verdict};

use super::Figures;
use crate::cli::exit::Exit;

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Benchmarks whose counts were compared.
    pub(super) counted: Vec<String>,
    /// Counts that are not what they should be.
    pub(super) changes: Vec<Change>,
    /// Counts that only one side has, where that is no change.
    pub(super) apart: Vec<Change>,
    /// Times.
    pub(super) compared: Vec<Compared>,
    /// What can be done about counts that changed.
    pub(super) remedy: String,
}

impl Found {
    /// Compares counts. `is_gate`: all of them were agreed on, so that one which is
    /// new is a change; `whole`: all there are were measured, so that one which is
    /// gone is one, too.
    pub(super) fn count(
        &mut self,
        agreed: &Baseline,
        figures: &Figures,
        is_gate: bool,
        whole: bool,
    ) {
        let changes = agreed.changes(&figures.measured, figures.entry, whole);
        let is_both = |it: &Change| it.before.is_some() && it.after.is_some();
        (self.changes, self.apart) = changes.into_iter().partition(|it| is_gate || is_both(it));
        let counted = figures.measured.iter().filter(|it| it.exact.is_some());
        let names = counted.map(|it| it.name.clone());
        self.counted = names
            .filter(|name| is_gate || agreed.instructions(name).is_some())
            .collect();
    }

    /// What is to be said of a benchmark, of its count first; `None`: it was not
    /// compared.
    pub(super) fn verdict(&self, name: &str) -> Option<&'static str> {
        let change = self.changes.iter().find(|it| it.name == name);
        let compared = self.compared.iter().find(|it| it.name == name);
        let same = || self.counted.iter().any(|it| it == name).then_some("same");
        let timed = || compared.map(|it| it.verdict.word());
        change.map(word).or_else(timed).or_else(same)
    }

    /// What the tool ends with.
    pub(super) fn exit(&self) -> Exit {
        let slower = |it: &Compared| it.verdict == Verdict::Slower;
        match !self.changes.is_empty() || self.compared.iter().any(slower) {
            true => Exit::Regression,
            false => Exit::Success,
        }
    }
}

/// The word for a changed count.
pub(super) fn word(change: &Change) -> &'static str {
    match (change.before, change.after) {
        (None, _) => "NEW",
        (_, None) => "GONE",
        (Some(before), Some(after)) => match after.cmp(&before) {
            std::cmp::Ordering::Greater => "MORE",
            std::cmp::Ordering::Less => "FEWER",
            std::cmp::Ordering::Equal => "MOVED",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_bench::{Exact, Measured};

    fn figures(counts: &[(&str, u64)]) -> Figures {
        let measured = |(name, instructions): &(&str, u64)| Measured {
            name: (*name).into(),
            exact: Some(Exact {
                instructions: *instructions,
                body: *instructions,
                ..Exact::default()
            }),
            times: None,
            counters: None,
        };
        Figures {
            measured: counts.iter().map(measured).collect(),
            besides: Vec::new(),
            entry: "fault",
        }
    }

    #[test]
    fn what_is_new_or_gone_is_a_change_of_what_was_agreed_on_only() {
        let agreed = Baseline::of("fault", &figures(&[("a", 1), ("b", 2)]).measured);
        let now = figures(&[("a", 1), ("c", 3)]);
        for (is_gate, changes, apart, exit) in
            [(true, 2, 0, Exit::Regression), (false, 0, 2, Exit::Success)]
        {
            let mut found = Found::default();
            found.count(&agreed, &now, is_gate, true);
            assert_eq!((found.changes.len(), found.apart.len()), (changes, apart));
            assert_eq!(found.exit(), exit);
            assert_eq!(found.verdict("a"), Some("same"));
            assert_eq!(found.verdict("c"), is_gate.then_some("NEW"));
        }
        let mut found = Found::default();
        found.count(&agreed, &figures(&[("a", 2)]), false, false);
        assert_eq!(
            (found.verdict("a"), found.verdict("b")),
            (Some("MORE"), None)
        );
        assert_eq!(found.exit(), Exit::Regression);
    }
}

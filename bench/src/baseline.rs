//! The exact figures that were agreed on, and what differs from them.
//!
//! Purpose: `bench/baseline/*.txt` is committed and reviewed: a metric a line,
//! a file for each interface, and beside them which functions the instructions
//! were in. A change in either direction is a finding until it is blessed.
//! Neighbours: `files` reads and writes it, [`crate::functions`] says where the
//! instructions went, `measure` has the figures.

mod files;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::functions::{self, Growth, Profile};
use crate::measure::{Exact, Measured};
use crate::run::Run;

/// Figures of one benchmark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Figures {
    instructions: u64,
    body: u64,
    parts: Vec<u64>,
}

/// The figures that were agreed on.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// How calls entered the kernel on the host that they were made on.
    entry: String,
    figures: BTreeMap<String, Figures>,
    functions: BTreeMap<String, Profile>,
}

/// A figure that is not what was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The benchmark.
    pub name: String,
    /// What was agreed on; `None`: it is new.
    pub before: Option<u64>,
    /// What it is; `None`: there is no such benchmark any more.
    pub after: Option<u64>,
    /// Functions whose share changed, the largest change first.
    pub functions: Vec<Growth>,
}

impl Baseline {
    /// Figures that were just measured, all counted on one host.
    pub fn of(entry: &str, measured: &[Measured]) -> Self {
        let mut this = Self {
            entry: entry.into(),
            ..Self::default()
        };
        this.take(measured);
        this
    }

    /// Figures of a run that was kept.
    pub fn of_run(run: &Run) -> Self {
        let mut this = Self {
            entry: run.testbed.entry.clone(),
            ..Self::default()
        };
        for kept in &run.kept {
            if let Some(instructions) = kept.instructions {
                let figures = Figures::new(instructions, kept.body, &kept.parts);
                this.figures.insert(kept.name.clone(), figures);
                let functions = kept.functions.clone();
                this.functions.insert(kept.name.clone(), functions);
            }
        }
        this
    }

    /// Agrees to what was measured on a host where calls enter by `entry`;
    /// `whole`: that was all there is, so that the rest is forgotten.
    ///
    /// # Errors
    /// [`Error::Entry`]: a part that was counted on a host of the other kind.
    pub fn bless(&mut self, measured: &[Measured], entry: &str, whole: bool) -> Result<(), Error> {
        if whole {
            *self = Self::default();
        } else if !self.figures.is_empty() && self.entry != entry {
            return Err(Error::Entry {
                here: entry.into(),
                there: self.entry.clone(),
            });
        }
        self.entry = entry.into();
        self.take(measured);
        Ok(())
    }

    fn take(&mut self, measured: &[Measured]) {
        for (name, exact) in counted(measured) {
            self.figures.insert(name.into(), Figures::of(exact));
            let profile = functions::profile(&exact.functions);
            self.functions.insert(name.into(), profile);
        }
    }

    /// What differs from what was agreed on; `whole`: all benchmarks were run, so
    /// that one which is missing is a change, too. `entry` is this host's.
    pub fn changes(&self, measured: &[Measured], entry: &str, whole: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        let of_body = self.entry != entry;
        let figure = |figures: &Figures| match of_body {
            true => figures.body,
            false => figures.instructions,
        };
        for (name, exact) in counted(measured) {
            let (before, after) = (self.figures.get(name), Figures::of(exact));
            if before.map(figure) == Some(figure(&after))
                && before.is_some_and(|before| of_body || before.parts == after.parts)
            {
                continue;
            }
            let functions = self.functions.get(name);
            changes.push(Change {
                name: name.into(),
                before: before.map(figure),
                after: Some(figure(&after)),
                functions: functions.map_or_else(Vec::new, |before| {
                    let mut grew = functions::growth(before, &exact.functions);
                    // The ways in are of assembly, and no part of what is compared.
                    grew.retain(|it| !of_body || !it.function.file.is_empty());
                    grew
                }),
            });
        }
        let names: BTreeSet<&str> = counted(measured).map(|(name, _)| name).collect();
        for (name, figures) in self.figures.iter().filter(|_| whole) {
            if !names.contains(name.as_str()) {
                changes.push(Change {
                    name: name.clone(),
                    before: Some(figure(figures)),
                    after: None,
                    functions: Vec::new(),
                });
            }
        }
        changes
    }

    /// The count that was agreed on for a benchmark.
    pub fn instructions(&self, name: &str) -> Option<u64> {
        self.figures.get(name).map(|figures| figures.instructions)
    }

    /// How calls entered the kernel on the host that the figures are of.
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

impl Figures {
    fn of(exact: &Exact) -> Self {
        Self::new(exact.instructions, exact.body, &exact.parts)
    }

    fn new(instructions: u64, body: u64, parts: &[u64]) -> Self {
        Self {
            instructions,
            body,
            parts: match parts.len() {
                0 | 1 => Vec::new(),
                _ => parts.into(),
            },
        }
    }
}

fn counted(measured: &[Measured]) -> impl Iterator<Item = (&str, &Exact)> {
    measured
        .iter()
        .filter_map(|it| Some((it.name.as_str(), it.exact.as_ref()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Function;
    use crate::run::Testbed;
    use std::fs;

    fn figures(name: &str, instructions: u64, function: &str, parts: &[u64]) -> Measured {
        let function = Function {
            name: function.into(),
            file: "a.rs".into(),
            line: 7,
        };
        Measured {
            name: name.into(),
            exact: Some(Exact {
                instructions,
                body: instructions - 10,
                cold: instructions,
                range: (instructions, instructions),
                parts: parts.into(),
                functions: vec![(function, instructions)],
            }),
            times: None,
            counters: None,
        }
    }

    #[test]
    fn what_was_saved_is_loaded_and_a_change_either_way_is_found() {
        let folder = std::env::temp_dir().join(format!("mayfly-baseline-{}", std::process::id()));
        let agreed = [
            figures("veridian/a", 64, "f", &[64]),
            figures("veridian/b", 100, "g", &[60, 40]),
        ];
        Baseline::of("fault", &agreed).save(&folder).unwrap();
        let baseline = Baseline::load(&folder).unwrap();
        assert_eq!(baseline.changes(&agreed, "fault", true), []);
        for (count, by) in [(65, 1), (63, -1)] {
            let now = [figures("veridian/a", count, "f", &[count])];
            let changes = baseline.changes(&now, "fault", false);
            assert_eq!(changes.len(), 1);
            assert_eq!(
                (changes[0].before, changes[0].after),
                (Some(64), Some(count))
            );
            let grew = &changes[0].functions[0];
            assert_eq!(
                (grew.by, grew.function.name.as_str(), grew.function.line),
                (by, "f", 7)
            );
        }
        // The same sum in other parts; one that is new; one that is gone.
        let parts = [figures("veridian/b", 100, "g", &[50, 50])];
        assert_eq!(baseline.changes(&parts, "fault", false).len(), 1);
        let new = [figures("veridian/c", 1000, "h", &[])];
        let changes = baseline.changes(&new, "fault", true);
        let befores: Vec<_> = changes.iter().map(|it| (it.before, it.after)).collect();
        assert_eq!(
            befores,
            [(None, Some(1000)), (Some(64), None), (Some(100), None)]
        );
        // Calls that enter otherwise are compared without the way in.
        let other = [Measured {
            exact: Some(Exact {
                instructions: 80,
                body: 54,
                ..Exact::default()
            }),
            ..figures("veridian/a", 64, "f", &[64])
        }];
        assert_eq!(baseline.changes(&other, "SYSCALL", false), []);
        assert_eq!(baseline.changes(&other, "fault", false).len(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_run_that_was_kept_is_compared_as_what_was_agreed_on() {
        let then = [
            figures("veridian/a", 64, "f", &[64]),
            figures("veridian/b", 100, "g", &[60, 40]),
        ];
        let testbed = Testbed {
            entry: "fault".into(),
            ..Testbed::default()
        };
        let lines = Run::of(testbed, &then).to_lines();
        let kept = Baseline::of_run(&Run::of_lines(&lines).unwrap());
        assert_eq!(kept.changes(&then, "fault", true), []);
        assert_eq!(kept.instructions("veridian/b"), Some(100));
        // The same sum in other parts, and where it is.
        let parts = [figures("veridian/b", 100, "g", &[50, 50])];
        assert_eq!(kept.changes(&parts, "fault", false).len(), 1);
        let more = [figures("veridian/a", 66, "f", &[66])];
        let changes = kept.changes(&more, "fault", false);
        assert_eq!(changes[0].functions[0].by, 2);
        assert_eq!(changes[0].functions[0].function.name, "f");
        // A host of the other kind: bodies only, and no stubs among the functions.
        let stub = Function {
            name: "stub".into(),
            ..Function::default()
        };
        let mut other = figures("veridian/a", 80, "f", &[]);
        let exact = other.exact.as_mut().unwrap();
        exact.body = 54;
        exact.functions.push((stub, 16));
        assert_eq!(kept.changes(&[other.clone()], "SYSCALL", false), []);
        other.exact.as_mut().unwrap().body = 55;
        let changes = kept.changes(&[other], "SYSCALL", false);
        assert_eq!((changes[0].before, changes[0].after), (Some(54), Some(55)));
        let names = changes[0].functions.iter().map(|it| &it.function.name);
        assert!(names.eq(["f"]), "{changes:?}");
    }

    #[test]
    fn a_part_that_was_counted_on_a_host_of_the_other_kind_is_not_taken() {
        let agreed = [
            figures("veridian/a", 64, "f", &[]),
            figures("veridian/b", 100, "g", &[]),
        ];
        let mut baseline = Baseline::of("fault", &agreed);
        let part = [figures("veridian/a", 70, "f", &[])];
        let error = baseline.bless(&part, "SYSCALL", false).unwrap_err();
        assert!(error.to_string().contains("SYSCALL"), "{error}");
        assert_eq!(baseline.entry(), "fault");
        assert_eq!(baseline.changes(&agreed, "fault", true), []);
        baseline.bless(&part, "fault", false).unwrap();
        assert_eq!(baseline.instructions("veridian/a"), Some(70));
        assert_eq!(baseline.instructions("veridian/b"), Some(100));
        baseline.bless(&part, "SYSCALL", true).unwrap();
        assert_eq!(baseline.instructions("veridian/b"), None);
        // There is nothing that a part could differ from.
        let mut empty = Baseline::default();
        empty.bless(&part, "SYSCALL", false).unwrap();
        assert_eq!(empty.entry(), "SYSCALL");
    }
}

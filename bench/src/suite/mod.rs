//! The suites: each measures through the harness, as a test would.

mod boot;
mod floor;
mod fork;
mod syscall;

use crate::Benchmark;

/// Runs every benchmark whose name contains `filter`, handing each result on
/// as soon as it is there.
///
/// # Errors
/// Whatever goes wrong in a microVM.
pub fn run(filter: &str, mut report: impl FnMut(&Benchmark)) -> anyhow::Result<()> {
    for (name, measure) in boot::ALL.iter().chain(fork::ALL).chain(syscall::ALL) {
        if name.contains(filter) {
            report(&measure(name)?);
        }
    }
    Ok(())
}

/// A benchmark: its name, and what measures it.
type Entry = (&'static str, fn(&str) -> anyhow::Result<Benchmark>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_fits_nothing_measures_nothing() {
        run("no such benchmark", |line| panic!("{line}")).unwrap();
    }

    #[test]
    fn names_are_unique() {
        let names = boot::ALL.iter().chain(syscall::ALL).map(|(name, _)| name);
        let mut names: Vec<_> = names.collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

//! Whether times changed, and whether that means anything.
//!
//! Purpose: two runs of one testbed are compared by the medians of their
//! machines. A change is one if three things hold: the permutation test finds the
//! two sets of medians different, the change is larger than what A/A comparisons
//! of the same machines give, and (whoever measures sees to that) it is there
//! again when measured again. Neighbours: `statistics` computes, `run` has the
//! figures.

use crate::baseline::Change;
use crate::measure::median;
use crate::run::{Kept, Run};
use crate::statistics::{difference_floor, interval, least_chance, permutation_test, thousandths};

/// Chance of a difference like this between equal kernels, below which it counts.
const SIGNIFICANT: f64 = 0.05;
/// Least change that is told, in thousandths: below, clocks and caches rule.
const FLOOR: u64 = 20;

/// What is to be said of a benchmark's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They do not differ.
    Same,
    /// They differ by less than machines of one kernel do.
    Noise,
    /// It takes longer.
    Slower,
    /// It takes less time.
    Faster,
}

impl Verdict {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Noise => "noise",
            Verdict::Slower => "SLOWER",
            Verdict::Faster => "FASTER",
        }
    }
}

/// How the times of a benchmark changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The benchmark.
    pub name: String,
    /// Median of the machines' medians, in ticks: then and now.
    pub medians: (u64, u64),
    /// The change, in thousandths.
    pub change: i64,
    /// Where it lies with 95 % confidence, in thousandths (bootstrap).
    pub interval: (i64, i64),
    /// What comparing a kernel with itself gives, in thousandths.
    pub noise: u64,
    /// Chance of such a difference between equal kernels.
    pub chance: f64,
    /// What is to be said.
    pub verdict: Verdict,
}

/// Whether any times of so many machines then and now would differ by more than
/// chance: with too few, the most extreme ones are chance, too.
pub fn can_tell(then: usize, now: usize) -> bool {
    least_chance(then, now) <= SIGNIFICANT
}

/// How many benchmarks both runs have counts of, and which of these differ.
pub fn counts(before: &Run, after: &Run) -> (usize, Vec<Change>) {
    let both = after
        .kept
        .iter()
        .filter_map(|now| Some((before.find(&now.name)?, now)));
    let counted = |it: &Kept| it.instructions.is_some();
    let both: Vec<_> = both
        .filter(|(then, now)| counted(then) && counted(now))
        .collect();
    let differ = both
        .iter()
        .filter(|(then, now)| then.instructions != now.instructions);
    let change = differ.map(|(then, now)| Change {
        name: now.name.clone(),
        before: then.instructions,
        after: now.instructions,
        functions: Vec::new(),
    });
    let changes = change.collect();
    (both.len(), changes)
}

/// Compares as [`runs`] does, and again what takes longer: only what is there
/// twice is a regression. `again` measures the benchmark of that name once more,
/// with the kernel of either run, or has what is known of it.
///
/// # Errors
/// Those of `again`.
pub fn twice<E>(
    before: &Run,
    after: &Run,
    history: &[Run],
    mut again: impl FnMut(&str) -> Result<(Kept, Kept), E>,
) -> Result<Vec<Compared>, E> {
    let mut compared = runs(before, after, history);
    let slower = |it: &&mut Compared| it.verdict == Verdict::Slower;
    for it in compared.iter_mut().filter(slower) {
        let (then, now) = again(&it.name)?;
        let drift = drift(before, &then, history).max(drift(after, &now, history));
        let again = times(&then, &now, drift);
        if again.is_none_or(|again| again.verdict != Verdict::Slower) {
            it.verdict = Verdict::Noise;
        }
    }
    Ok(compared)
}

/// Compares the benchmarks that both runs have times of. Runs in `history` that
/// are of one of the two kernels on this testbed tell how much it differs from
/// itself from run to run.
pub fn runs(before: &Run, after: &Run, history: &[Run]) -> Vec<Compared> {
    let both = after
        .kept
        .iter()
        .filter_map(|now| Some((before.find(&now.name)?, now)));
    both.filter_map(|(then, now)| {
        let drift = drift(before, then, history).max(drift(after, now, history));
        times(then, now, drift)
    })
    .collect()
}

/// The largest difference between a run and others of the same kernel, in
/// thousandths.
fn drift(run: &Run, kept: &Kept, history: &[Run]) -> u64 {
    let same = |other: &&Run| {
        other.testbed.is_like(&run.testbed)
            && other.testbed.guest == run.testbed.guest
            && !other.testbed.guest.is_empty()
    };
    let others = history.iter().filter(same);
    let medians = others.filter_map(|other| {
        let other = other.find(&kept.name)?;
        (!other.medians.is_empty()).then(|| median(&other.medians))
    });
    let differences = medians.map(|it| thousandths(median(&kept.medians), it).unsigned_abs());
    differences.max().unwrap_or(0)
}

/// Compares the times of one benchmark, `None` without any; `drift` is what is
/// known of its noise, in thousandths.
pub fn times(then: &Kept, now: &Kept, drift: u64) -> Option<Compared> {
    if then.medians.is_empty() || now.medians.is_empty() {
        return None;
    }
    let medians = (median(&then.medians), median(&now.medians));
    let change = thousandths(medians.0, medians.1);
    let among = difference_floor(&then.medians).max(difference_floor(&now.medians));
    let noise = among.max(drift).max(FLOOR);
    let interval = interval(&then.medians, &now.medians);
    let chance = permutation_test(&then.medians, &now.medians);
    let verdict = match change {
        _ if chance > SIGNIFICANT => Verdict::Same,
        change if change.unsigned_abs() <= noise => Verdict::Noise,
        _ if interval.0 <= 0 && interval.1 >= 0 => Verdict::Noise,
        change if change > 0 => Verdict::Slower,
        _ => Verdict::Faster,
    };
    Some(Compared {
        name: now.name.clone(),
        medians,
        change,
        interval,
        noise,
        chance,
        verdict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Testbed;

    fn kept(medians: &[u64]) -> Kept {
        Kept {
            name: "x".into(),
            medians: medians.into(),
            ..Kept::default()
        }
    }

    fn verdict(then: &[u64], now: &[u64]) -> Verdict {
        times(&kept(then), &kept(now), 0).unwrap().verdict
    }

    #[test]
    fn equal_kernels_are_the_same() {
        assert_eq!(
            verdict(&[100, 102, 99, 101, 100], &[101, 99, 100, 102, 100]),
            Verdict::Same
        );
        assert_eq!(
            verdict(&[100], &[200]),
            Verdict::Same,
            "one machine says nothing"
        );
        assert_eq!(times(&kept(&[]), &kept(&[1]), 0), None);
    }

    #[test]
    fn a_change_beyond_the_noise_is_told() {
        let then = [1000, 1002, 999, 1001, 1000];
        assert_eq!(
            verdict(&then, &[1100, 1101, 1103, 1099, 1100]),
            Verdict::Slower
        );
        assert_eq!(verdict(&then, &[900, 901, 903, 899, 900]), Verdict::Faster);
        assert_eq!(
            verdict(&then, &[1010, 1011, 1012, 1010, 1011]),
            Verdict::Noise
        );
        // Machines that differ among themselves by more than the change.
        assert_eq!(
            verdict(
                &[900, 1000, 1100, 950, 1050],
                &[1091, 1092, 1093, 1094, 1095]
            ),
            Verdict::Noise
        );
    }

    fn run(guest: &str, medians: &[u64]) -> Run {
        Run {
            testbed: Testbed {
                guest: guest.into(),
                ..Testbed::default()
            },
            kept: vec![kept(medians)],
        }
    }

    #[test]
    fn a_kernel_that_differs_from_itself_by_as_much_is_noise() {
        let before = run("a", &[1000, 1001, 1002, 1001, 1000]);
        let after = run("b", &[1050, 1051, 1052, 1051, 1050]);
        let verdict = |history: &[Run]| runs(&before, &after, history)[0].verdict;
        assert_eq!(verdict(&[]), Verdict::Slower);
        let other_kernel = run("c", &[1100]);
        assert_eq!(verdict(&[other_kernel]), Verdict::Slower);
        assert_eq!(verdict(&[run("a", &[1060])]), Verdict::Noise);
    }

    #[test]
    fn what_takes_longer_twice_is_slower_and_what_does_once_is_noise() {
        let before = run("a", &[1000, 1001, 1002, 1001, 1000]);
        let after = run("b", &[1050, 1051, 1052, 1051, 1050]);
        // Another run of the old kernel says nothing of the new one's noise.
        let history = [run("a", &[995, 996, 995])];
        let verdict = |again: &[u64]| {
            let again = |name: &str| {
                assert_eq!(name, "x");
                Ok::<_, ()>((before.kept[0].clone(), kept(again)))
            };
            twice(&before, &after, &history, again).unwrap()[0].verdict
        };
        assert_eq!(verdict(&after.kept[0].medians), Verdict::Slower);
        assert_eq!(verdict(&before.kept[0].medians), Verdict::Noise);
        assert_eq!(verdict(&[]), Verdict::Noise);
        let same = |_: &str| -> Result<(Kept, Kept), ()> { panic!("nothing takes longer") };
        assert_eq!(twice(&before, &before, &history, same).unwrap().len(), 1);
        assert_eq!(
            twice(&before, &after, &history, |_| Err("the host is gone")),
            Err("the host is gone")
        );
    }

    #[test]
    fn a_handful_of_machines_can_tell_and_fewer_cannot() {
        for (then, now, can) in [(3, 3, false), (1, 5, false), (4, 4, true), (3, 4, true)] {
            assert_eq!(can_tell(then, now), can, "{then} and {now}");
        }
    }

    #[test]
    fn counts_are_compared_where_both_have_them() {
        let counted = |name: &str, instructions| {
            let kept = Kept {
                name: name.into(),
                instructions,
                ..Kept::default()
            };
            Run {
                testbed: Testbed::default(),
                kept: vec![kept],
            }
        };
        let before = counted("x", Some(64));
        assert_eq!(counts(&before, &counted("x", Some(64))), (1, vec![]));
        assert_eq!(counts(&before, &counted("x", Some(65))).1.len(), 1);
        for other in [counted("x", None), counted("y", Some(64))] {
            assert_eq!(counts(&before, &other), (0, vec![]));
        }
    }
}

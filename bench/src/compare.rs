//! Whether times changed, and whether that means anything.
//!
//! Purpose: two runs of one testbed are compared by the medians of their
//! machines. A change is one if three things hold: the permutation test finds the
//! two sets of medians different, the change is larger than the noise that
//! machines of the same kernel show among themselves, and (whoever measures sees
//! to that) it is there again when measured again. Neighbours: `run`.

use crate::baseline::Change;
use crate::measure::median;
use crate::run::{Kept, Run};

/// Chance of a difference like this between equal kernels, below which it counts.
const SIGNIFICANT: f64 = 0.05;
/// Least change that is told, in thousandths: below, clocks and caches rule.
const FLOOR: u64 = 20;
/// Permutations drawn where all of them would be too many.
const DRAWS: u64 = 20_000;

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
    /// What machines of one kernel differ by, in thousandths.
    pub noise: u64,
    /// Chance of such a difference between equal kernels.
    pub chance: f64,
    /// What is to be said.
    pub verdict: Verdict,
}

/// Counts that differ between two runs.
pub fn counts(before: &Run, after: &Run) -> Vec<Change> {
    let both = after
        .kept
        .iter()
        .filter_map(|now| Some((before.find(&now.name)?, now)));
    let differ = both.filter(|(then, now)| {
        then.instructions.is_some()
            && now.instructions.is_some()
            && then.instructions != now.instructions
    });
    let change = differ.map(|(then, now)| Change {
        name: now.name.clone(),
        before: then.instructions,
        after: now.instructions,
        functions: Vec::new(),
    });
    change.collect()
}

/// Compares the benchmarks that both runs have times of.
pub fn runs(before: &Run, after: &Run) -> Vec<Compared> {
    let both = after
        .kept
        .iter()
        .filter_map(|now| Some((before.find(&now.name)?, now)));
    both.filter_map(|(then, now)| times(then, now)).collect()
}

/// Compares the times of one benchmark; `None` without any.
pub fn times(then: &Kept, now: &Kept) -> Option<Compared> {
    if then.medians.is_empty() || now.medians.is_empty() {
        return None;
    }
    let medians = (median(&then.medians), median(&now.medians));
    let change = thousandths(medians.0, medians.1);
    let noise = spread(&then.medians).max(spread(&now.medians)).max(FLOOR);
    let chance = permutation_test(&then.medians, &now.medians);
    let verdict = match change {
        _ if chance > SIGNIFICANT => Verdict::Same,
        change if change.unsigned_abs() <= noise => Verdict::Noise,
        change if change > 0 => Verdict::Slower,
        _ => Verdict::Faster,
    };
    Some(Compared {
        name: now.name.clone(),
        medians,
        change,
        noise,
        chance,
        verdict,
    })
}

fn thousandths(before: u64, after: u64) -> i64 {
    let (before, after) = (i128::from(before.max(1)), i128::from(after));
    i64::try_from((after - before) * 1000 / before).unwrap_or(i64::MAX)
}

/// What the middle half of machines differ by, in thousandths of their median:
/// one that was disturbed says nothing.
fn spread(medians: &[u64]) -> u64 {
    let mut sorted = medians.to_vec();
    sorted.sort_unstable();
    let quarter = sorted.len() / 4;
    let inner = &sorted[quarter..sorted.len() - quarter];
    let (Some(least), Some(most)) = (inner.first(), inner.last()) else {
        return 0;
    };
    (most - least) * 1000 / median(&sorted).max(1)
}

/// Chance that two sets of equal things differ in their sums as these do, or more.
fn permutation_test(one: &[u64], other: &[u64]) -> f64 {
    let all: Vec<i128> = one.iter().chain(other).map(|it| i128::from(*it)).collect();
    let (count, total) = (one.len(), all.iter().sum::<i128>());
    // Of two means, compared without fractions.
    let difference = |sum: i128| {
        let (here, there) = (one.len() as i128, other.len() as i128);
        (sum * there - (total - sum) * here).abs()
    };
    let seen = difference(all[..count].iter().sum());
    let (mut extreme, mut tried) = (0_u64, 0_u64);
    if all.len() <= 16 {
        for chosen in 0_u32..1 << all.len() {
            if chosen.count_ones() as usize != count {
                continue;
            }
            let of = |(index, it): (usize, &i128)| if chosen >> index & 1 == 1 { *it } else { 0 };
            tried += 1;
            extreme += u64::from(difference(all.iter().enumerate().map(of).sum()) >= seen);
        }
    } else {
        let mut shuffled = all.clone();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..DRAWS {
            for index in (1..shuffled.len()).rev() {
                // Marsaglia's xorshift: the same draws each time.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let place = state % (index as u64 + 1);
                shuffled.swap(index, usize::try_from(place).unwrap_or(0));
            }
            tried += 1;
            extreme += u64::from(difference(shuffled[..count].iter().sum()) >= seen);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
    let chance = extreme as f64 / tried.max(1) as f64;
    chance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(medians: &[u64]) -> Kept {
        Kept {
            name: "x".into(),
            medians: medians.into(),
            ..Kept::default()
        }
    }

    fn verdict(then: &[u64], now: &[u64]) -> Verdict {
        times(&kept(then), &kept(now)).unwrap().verdict
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
        assert_eq!(times(&kept(&[]), &kept(&[1])), None);
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

    #[test]
    fn drawn_permutations_tell_what_all_of_them_would() {
        let (low, high): (Vec<u64>, Vec<u64>) = (
            (0..10).map(|n| 100 + n).collect(),
            (0..10).map(|n| 130 + n).collect(),
        );
        assert!(permutation_test(&low, &high) < 0.001);
        assert!(permutation_test(&low, &low) > 0.9);
    }
}

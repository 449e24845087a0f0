//! What the medians of a few machines say, and with what certainty.
//!
//! Purpose: the permutation test, the bootstrap and the A/A floor that
//! [`crate::compare`] judges by. All draws come of one fixed sequence: the same
//! figures give the same answer.

use crate::measure::median;

/// Permutations and samples drawn where all of them would be too many.
const DRAWS: u64 = 10_000;
/// Most values of which all ways to choose some are tried.
const ALL_WAYS_MAX: usize = 16;
/// Share of draws that lies within what is told.
const CONFIDENCE: f64 = 0.95;

/// From one to the other, in thousandths.
pub(crate) fn thousandths(before: u64, after: u64) -> i64 {
    let (before, after) = (i128::from(before.max(1)), i128::from(after));
    i64::try_from((after - before) * 1000 / before).unwrap_or(i64::MAX)
}

/// What comparing a kernel with itself gives: of all ways to split its machines
/// into two halves, the difference that few exceed, in thousandths.
pub(crate) fn difference_floor(medians: &[u64]) -> u64 {
    let half = medians.len() / 2;
    if half == 0 {
        return 0;
    }
    let mut differences = Vec::new();
    each_split(medians, half, |one, other| {
        differences.push(thousandths(median(one), median(other)).unsigned_abs());
    });
    differences.sort_unstable();
    differences[place(differences.len(), CONFIDENCE)]
}

/// Where the change between two sets lies, in thousandths: the bootstrap, by the
/// percentiles of what samples of both give.
pub(crate) fn interval(one: &[u64], other: &[u64]) -> (i64, i64) {
    let mut random = Random::new();
    let mut sample = |of: &[u64]| {
        let drawn = of.iter().map(|_| of[random.below(of.len())]);
        median(&drawn.collect::<Vec<_>>())
    };
    let draws = (0..DRAWS / 5).map(|_| thousandths(sample(one), sample(other)));
    let mut changes: Vec<i64> = draws.collect();
    changes.sort_unstable();
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let at = |share| changes[place(changes.len(), share)];
    (at(tail), at(1.0 - tail))
}

/// The least chance that [`permutation_test`] can give of sets of so many values:
/// that of the most extreme of all ways to choose.
pub(crate) fn least_chance(one: usize, other: usize) -> f64 {
    // Of two equal sizes, choosing the other half is as extreme.
    let extreme = if one == other { 2.0 } else { 1.0 };
    let step = |chance: f64, index: usize| chance * share(index, other + index);
    (1..=one).fold(extreme, step)
}

/// Chance of two sets of equal things to differ in their means as these do, or
/// more.
pub(crate) fn permutation_test(one: &[u64], other: &[u64]) -> f64 {
    let all: Vec<u64> = one.iter().chain(other).copied().collect();
    let sum = |of: &[u64]| of.iter().map(|it| i128::from(*it)).sum::<i128>();
    // Of two means, compared without fractions.
    let difference = |here: &[u64], there: &[u64]| {
        (sum(here) * there.len() as i128 - sum(there) * here.len() as i128).abs()
    };
    let seen = difference(one, other);
    let (mut extreme, mut tried) = (0_u64, 0_u64);
    each_split(&all, one.len(), |here, there| {
        tried += 1;
        extreme += u64::from(difference(here, there) >= seen);
    });
    #[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
    let chance = extreme as f64 / tried.max(1) as f64;
    chance
}

/// Splits values into `count` of them and the others: in all ways if there are
/// few values, else in many that are drawn.
fn each_split(values: &[u64], count: usize, mut take: impl FnMut(&[u64], &[u64])) {
    if values.len() > ALL_WAYS_MAX {
        let mut shuffled = values.to_vec();
        let mut random = Random::new();
        for _ in 0..DRAWS {
            for index in (1..shuffled.len()).rev() {
                shuffled.swap(index, random.below(index + 1));
            }
            let (here, there) = shuffled.split_at(count);
            take(here, there);
        }
        return;
    }
    for chosen in 0_u32..1 << values.len() {
        if chosen.count_ones() as usize != count {
            continue;
        }
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for (index, value) in values.iter().enumerate() {
            let side = if chosen >> index & 1 == 1 {
                &mut here
            } else {
                &mut there
            };
            side.push(*value);
        }
        take(&here, &there);
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of machines are small")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// Index of the value that this share of `count` sorted ones does not exceed.
fn place(count: usize, share: f64) -> usize {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few thousand"
    )]
    let index = (share * count as f64) as usize;
    index.min(count.saturating_sub(1))
}

/// Marsaglia's xorshift, from a fixed beginning.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_permutations_tell_what_all_of_them_would() {
        let ten = |from: u64| (from..from + 10).collect::<Vec<u64>>();
        assert!(permutation_test(&ten(100), &ten(130)) < 0.001);
        assert!(permutation_test(&ten(100), &ten(100)) > 0.9);
        // All 252 ways; two of them are as extreme.
        let chance = permutation_test(&[1, 2, 3, 4, 5], &[6, 7, 8, 9, 10]);
        assert!((chance - 2.0 / 252.0).abs() < 1e-9, "{chance}");
    }

    #[test]
    fn the_least_chance_is_that_of_sets_apart() {
        for (one, other) in [(1, 1), (1, 3), (3, 3), (3, 4), (4, 4), (5, 2)] {
            let below: Vec<u64> = (0..one).collect();
            let above: Vec<u64> = (0..other).map(|it| 1000 + it).collect();
            let chance = permutation_test(&below, &above);
            let least = least_chance(below.len(), above.len());
            assert!(
                (chance - least).abs() < 1e-9,
                "{one} and {other}: {chance} {least}"
            );
        }
    }

    #[test]
    fn machines_of_one_kernel_tell_its_noise() {
        assert_eq!(difference_floor(&[]), 0);
        assert_eq!(difference_floor(&[1000]), 0);
        assert_eq!(difference_floor(&[1000; 6]), 0);
        assert!((99..=112).contains(&difference_floor(&[1000, 1100])));
        // One that was disturbed does not move a median.
        assert!(difference_floor(&[1000, 1001, 1002, 1000, 1001, 9000]) < 5);
    }

    #[test]
    fn the_interval_has_the_change_in_it() {
        let (low, high) = interval(
            &[1000, 1001, 1002, 999, 1000],
            &[1100, 1101, 1099, 1100, 1102],
        );
        assert!(
            low >= 95 && high <= 104 && low <= 100 && high >= 100,
            "{low} {high}"
        );
        let (low, high) = interval(&[900, 1000, 1100], &[1000, 950, 1090]);
        assert!(low < 0 && high > 0, "{low} {high}");
    }
}

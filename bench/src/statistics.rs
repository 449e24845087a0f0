//! What the medians of a few machines say, and with what certainty.
//!
//! Purpose: the rank test, the bootstrap and the A/A floor that
//! [`crate::compare`] judges by; the test and the floor bear one machine that was
//! disturbed. All draws come of one fixed sequence: the same figures give the
//! same answer.

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
/// into two halves, the difference that few exceed, in thousandths. The machine
/// that is farthest from the others is left out: one that was disturbed says
/// nothing of the rest.
pub(crate) fn difference_floor(medians: &[u64]) -> u64 {
    let medians = without_farthest(medians);
    let half = medians.len() / 2;
    if half == 0 {
        return 0;
    }
    let mut differences = Vec::new();
    each_split(&medians, half, |one, other| {
        differences.push(thousandths(median(one), median(other)).unsigned_abs());
    });
    differences.sort_unstable();
    differences[place(differences.len(), CONFIDENCE)]
}

/// All but the one farthest from their median; of fewer than four none can be
/// told to be that.
fn without_farthest(values: &[u64]) -> Vec<u64> {
    let mut kept = values.to_vec();
    if kept.len() >= 4 {
        let middle = median(values);
        kept.sort_by_key(|value| value.abs_diff(middle));
        kept.pop();
    }
    kept
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

/// The least chance that [`rank_test`] can give of sets of so many values.
pub(crate) fn least_chance(one: usize, other: usize) -> f64 {
    chance_of(0, one, other)
}

/// The chance that [`rank_test`] gives of two sets that are apart, but for one
/// value that lies beyond the whole other set.
pub(crate) fn chance_but_for_one(one: usize, other: usize) -> f64 {
    chance_of(one.max(other), one, other)
}

/// Chance of two sets of equal things to differ in their ranks as these do, or
/// more (Mann and Whitney, exact): however far off one value is, it counts as
/// one.
pub(crate) fn rank_test(one: &[u64], other: &[u64]) -> f64 {
    // Pairs of which the first is larger; of equal ones, half.
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    let twice: usize = pairs
        .map(|(a, b)| 1 + usize::from(a > b) - usize::from(a < b))
        .sum();
    let least = twice.min(2 * one.len() * other.len() - twice);
    chance_of(least.div_ceil(2), one.len(), other.len())
}

/// Chance that at most so many pairs are the wrong way round, whichever that is.
fn chance_of(pairs: usize, one: usize, other: usize) -> f64 {
    // As many ways as there are partitions of the number of such pairs into at
    // most `one` parts of at most `other` each.
    let mut ways = vec![vec![0.0; pairs + 1]; one + 1];
    ways[0][0] = 1.0;
    for part in 1..=other.min(pairs) {
        for parts in 1..=one {
            for sum in part..=pairs {
                ways[parts][sum] += ways[parts - 1][sum - part];
            }
        }
    }
    let extreme: f64 = ways.iter().flatten().sum();
    let all = (1..=one).fold(1.0, |all, index| all / share(index, other + index));
    (2.0 * extreme / all).min(1.0)
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
    fn ranks_tell_how_rare_a_difference_is() {
        // Ways to choose 5 of 10: 252; two of them are as extreme.
        let chance = rank_test(&[1, 2, 3, 4, 5], &[6, 7, 8, 9, 10]);
        assert!((chance - 2.0 / 252.0).abs() < 1e-9, "{chance}");
        // Tables of Mann and Whitney: 19 ways have 5 pairs or fewer.
        let off = rank_test(&[1, 2, 3, 4, 9000], &[6, 7, 8, 9, 10]);
        assert!((off - 38.0 / 252.0).abs() < 1e-9, "{off}");
        assert!((off - chance_but_for_one(5, 5)).abs() < 1e-9, "{off}");
        let ten = |from: u64| (from..from + 10).collect::<Vec<u64>>();
        assert!(rank_test(&ten(100), &ten(130)) < 0.001);
        for equal in [&[5][..], &[5; 12], &[1, 2, 3, 4]] {
            assert!(rank_test(equal, equal) > 0.9, "{equal:?}");
        }
        let many: Vec<u64> = (0..100).collect();
        assert!(rank_test(&many, &many) > 0.9);
    }

    #[test]
    fn the_least_chance_is_that_of_sets_apart() {
        for (one, other) in [(1, 1), (1, 3), (3, 3), (3, 4), (4, 4), (5, 2)] {
            let below: Vec<u64> = (0..one).collect();
            let above: Vec<u64> = (0..other).map(|it| 1000 + it).collect();
            let chance = rank_test(&below, &above);
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
        // One that was disturbed does not move it, however many there are.
        for off in [300, 1300, 9000, u64::MAX] {
            assert!(
                difference_floor(&[1000, 1001, 1002, 1000, off]) < 5,
                "{off}"
            );
            assert!(difference_floor(&[1000, 1001, 1002, 1000, 1001, off]) < 5);
        }
        // Two are how this kernel is.
        assert!(difference_floor(&[1000, 1001, 1002, 1300, 1301]) > 100);
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

//! How often equal kernels are found to differ, and how often others are not.
//!
//! Purpose: the figures that the README's decision is made by. Machines are drawn
//! of a fixed sequence, so that the shares are the same each time. Neighbour:
//! `tests` has single cases.

use super::*;

/// Comparisons of each kind.
const DRAWS: u32 = 1000;
/// Benchmarks of a run that must all be right, in ten runs.
const BENCHMARKS: f64 = 850.0;

/// Splitmix, and what machines of a kernel take.
struct Machines {
    state: u64,
    /// Thousandths that two of three machines lie within.
    spread: f64,
    /// Share of machines that take 15 % longer.
    slow: f64,
}

impl Machines {
    fn new(spread: f64, slow: f64) -> Self {
        Self {
            state: 7,
            spread,
            slow,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "32 bits")]
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as f64 / f64::from(u32::MAX)
    }

    /// Medians of so many machines that take so many times as long, of which the
    /// first are disturbed.
    fn some(&mut self, count: usize, times: f64, disturbed: usize) -> Vec<u64> {
        let mut one = |index| {
            // Twelve of them add up to the bell of Gauss.
            let bell: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
            let slow = if self.unit() < self.slow { 1.15 } else { 1.0 };
            let off = if index < disturbed { 1.6 } else { 1.0 };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a million, more or less"
            )]
            let ticks = (1e6 * times * slow * off * (1.0 + bell * self.spread / 1000.0)) as u64;
            ticks
        };
        (0..count).map(&mut one).collect()
    }

    /// Share of comparisons of so many machines with as many that find the second
    /// slower, which takes so many times as long.
    fn slower(&mut self, then: usize, now: usize, times: f64, disturbed: (usize, usize)) -> f64 {
        let found = (0..DRAWS).filter(|_| {
            let (then, now) = (
                self.some(then, 1.0, disturbed.0),
                self.some(now, times, disturbed.1),
            );
            judged(&then, &now, 0).verdict == Verdict::Slower
        });
        f64::from(u32::try_from(found.count()).unwrap()) / f64::from(DRAWS)
    }
}

#[test]
fn equal_kernels_are_the_same_in_ten_runs_of_ten() {
    for (spread, slow, most) in [
        (5.0, 0.0, 0.001),
        (10.0, 0.0, 0.01),
        (30.0, 0.0, 0.1),
        (5.0, 0.2, 0.1),
    ] {
        let mut machines = Machines::new(spread, slow);
        let once = machines.slower(6, 6, 1.0, (0, 0));
        let again = machines.slower(12, 12, 1.0, (0, 0));
        assert!(
            BENCHMARKS * once * again < most,
            "{spread} {slow}: {once} {again}"
        );
    }
}

#[test]
fn a_tenth_more_is_found_though_one_machine_is_disturbed() {
    for (then, now) in [(5, 5), (5, 10), (6, 6)] {
        for (spread, least) in [(5.0, 0.99), (10.0, 0.99), (20.0, 0.9)] {
            for disturbed in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let mut machines = Machines::new(spread, 0.0);
                let found = machines.slower(then, now, 1.1, disturbed);
                assert!(
                    found >= least,
                    "{then} {now} {spread} {disturbed:?} {found}"
                );
            }
        }
    }
}

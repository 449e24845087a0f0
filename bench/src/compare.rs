//! Whether times changed, and whether that means anything.
//!
//! Purpose: two runs of one testbed are compared by the medians of their
//! machines. A change is one if three things hold: the rank test finds the two
//! sets of medians apart (but for one machine that was disturbed), the change is
//! larger than what A/A comparisons of the same machines give, and (whoever
//! measures sees to that) it is there again when measured again, on more of them.
//! Figures of the host alone are no verdicts: what they moved by is noise of all.
//! Neighbours: `statistics` computes, `run` has the figures.

#[cfg(test)]
mod alarms;
#[cfg(test)]
mod tests;

use crate::measure::median;
use crate::run::{Kept, Run};
use crate::statistics::{
    chance_but_for_one, difference_floor, interval, least_chance, rank_test, thousandths,
};
use crate::suite;

/// Chance of a difference like this between equal kernels, below which it counts
/// where machines are few.
const SIGNIFICANT: f64 = 0.05;
/// The same where they are many.
const CERTAIN: f64 = 0.002;
/// Most that a disturbed machine may leave of the chance.
const SUSPECT: f64 = 0.2;
/// Least change that is told, in thousandths: below, clocks and caches rule.
const FLOOR: u64 = 20;
/// Machines of a run that tells how much a kernel differs from itself.
const MACHINES_MIN: usize = 5;

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
    /// It has none of the kernel in it, and differs: the host does.
    Host,
}

impl Verdict {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Noise => "noise",
            Verdict::Slower => "SLOWER",
            Verdict::Faster => "FASTER",
            Verdict::Host => "HOST",
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

/// What the host itself differs by, in thousandths, if it does.
pub fn of_host(compared: &[Compared]) -> Option<u64> {
    let host = compared.iter().filter(|it| it.verdict == Verdict::Host);
    host.map(|it| it.change.unsigned_abs()).max()
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
    let compared = both.filter_map(|(then, now)| {
        let drift = drift(before, then, history).max(drift(after, now, history));
        times(then, now, drift)
    });
    let mut compared: Vec<Compared> = compared.collect();
    let host = of_host(&compared).unwrap_or(0);
    for it in compared.iter_mut().filter(|it| it.verdict != Verdict::Host) {
        it.noise = it.noise.max(host);
        if it.verdict != Verdict::Same && it.change.unsigned_abs() <= host {
            it.verdict = Verdict::Noise;
        }
    }
    compared
}

/// What other runs of the same kernel by the same tool differ from a run by, in
/// thousandths: the middle one, since a host is busy now and then.
fn drift(run: &Run, kept: &Kept, history: &[Run]) -> u64 {
    let here = &run.testbed;
    let same = |other: &&Run| {
        let other = &other.testbed;
        other != here
            && other.is_like(here)
            && (&other.guest, &other.tool) == (&here.guest, &here.tool)
            && !other.guest.is_empty()
    };
    let others = history.iter().filter(same);
    let medians = others.filter_map(|other| {
        let medians = &other.find(&kept.name)?.medians;
        (medians.len() >= MACHINES_MIN).then(|| median(medians))
    });
    let differences = medians.map(|it| thousandths(median(&kept.medians), it).unsigned_abs());
    median(&differences.collect::<Vec<_>>())
}

/// Compares the times of one benchmark, `None` without any; `drift` is what is
/// known of its noise, in thousandths.
pub fn times(then: &Kept, now: &Kept, drift: u64) -> Option<Compared> {
    if then.medians.is_empty() || now.medians.is_empty() {
        return None;
    }
    let mut compared = judged(&then.medians, &now.medians, drift);
    compared.name.clone_from(&now.name);
    compared.interval = interval(&then.medians, &now.medians);
    let differs = matches!(compared.verdict, Verdict::Slower | Verdict::Faster);
    if differs && suite::is_of_host(&now.name) {
        compared.verdict = Verdict::Host;
    }
    Some(compared)
}

/// The verdict on two sets of medians, without a name and an interval.
fn judged(then: &[u64], now: &[u64], drift: u64) -> Compared {
    let medians = (median(then), median(now));
    let change = thousandths(medians.0, medians.1);
    let among = difference_floor(then).max(difference_floor(now));
    let noise = among.max(drift).max(FLOOR);
    let chance = rank_test(then, now);
    let verdict = match change {
        _ if chance > bearable(then.len(), now.len()) => Verdict::Same,
        change if change.unsigned_abs() <= noise => Verdict::Noise,
        change if change > 0 => Verdict::Slower,
        _ => Verdict::Faster,
    };
    Compared {
        name: String::new(),
        medians,
        change,
        interval: (change, change),
        noise,
        chance,
        verdict,
    }
}

/// The chance up to which so many machines are found to differ: what is left if
/// one of them was disturbed, where there are enough for that.
fn bearable(then: usize, now: usize) -> f64 {
    match chance_but_for_one(then, now) {
        chance if chance > SUSPECT => SIGNIFICANT,
        chance => chance.max(CERTAIN),
    }
}

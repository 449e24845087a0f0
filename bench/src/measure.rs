//! From rounds to figures.
//!
//! Purpose: runs a benchmark in a lab. The first round is told apart, as the
//! machine is cold then; the exact count is the median of the others, which are
//! all the same for most operations, and for the rest (a tree that splits a node
//! now and then) the same sequence in each run. Times are a histogram over several machines.
//! Neighbours: [`crate::suite`] says what, [`crate::lab`] does it.

use hdrhistogram::Histogram;

use crate::error::Error;
use crate::lab::{Counters, Function, Lab, Round, Task};
use crate::suite::{Benchmark, What};

/// Rounds that are counted.
const COUNTED: u32 = 6;
/// Significant decimal digits that a histogram keeps.
const DIGITS: u8 = 3;
/// Longest time that a histogram tells from longer ones, in ticks: a minute or so.
const LONGEST: u64 = 1 << 38;

/// What one benchmark gave.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Kernel instructions; `None` where they cannot be counted.
    pub exact: Option<Exact>,
    /// Times, if they were taken.
    pub times: Option<Times>,
    /// What performance counters say of a round; `None` where there are none.
    pub counters: Option<Counters>,
}

/// Exact figures of a benchmark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exact {
    /// Kernel instructions of a round.
    pub instructions: u64,
    /// Those that are the same whichever way calls take into the kernel.
    pub body: u64,
    /// Kernel instructions of the first round.
    pub cold: u64,
    /// Least and most kernel instructions of the other rounds.
    pub range: (u64, u64),
    /// The instructions by process; who began the round is the first.
    pub parts: Vec<u64>,
    /// The instructions by function, most first.
    pub functions: Vec<(Function, u64)>,
}

/// Times of a benchmark, in ticks, less those of the empty pair.
#[derive(Clone, Debug)]
pub struct Times {
    /// All but the first of each machine.
    pub histogram: Histogram<u64>,
    /// Median of each machine.
    pub medians: Vec<u64>,
    /// The first of each machine.
    pub cold: Vec<u64>,
    /// What reading the TSC twice takes, which was subtracted.
    pub empty: u64,
}

impl Times {
    /// The time that this share of samples does not exceed.
    pub fn quantile(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share)
    }

    /// Median of the first times.
    pub fn cold_median(&self) -> u64 {
        median(&self.cold)
    }
}

/// Counts a benchmark; `None` where that cannot be.
///
/// # Errors
/// Whatever goes wrong in the lab; [`Error::Unrepeatable`].
pub fn count(lab: &mut dyn Lab, benchmark: &Benchmark) -> anyhow::Result<Option<Exact>> {
    match benchmark.what {
        What::Operation { program, operation } => {
            let rounds = lab.count(program, operation, COUNTED)?;
            let exact = rounds.map(|rounds| exact(benchmark.name, rounds));
            Ok(exact.transpose()?)
        }
        What::Task(Task::Boot) => {
            let round = lab.boot()?;
            Ok(round.map(|round| of_round(round.instructions, round)))
        }
        What::Task(_) => Ok(None),
    }
}

/// What performance counters say of a round: that by which twice as many rounds
/// take more, so that the program's start and end are not in it.
///
/// # Errors
/// Whatever goes wrong in the lab.
pub fn counters(lab: &mut dyn Lab, benchmark: &Benchmark) -> anyhow::Result<Option<Counters>> {
    let What::Operation { program, operation } = benchmark.what else {
        return Ok(None);
    };
    let rounds = benchmark.rounds;
    let Some(once) = lab.counters(program, operation, rounds)? else {
        return Ok(None);
    };
    let twice = lab.counters(program, operation, 2 * rounds)?;
    let each = |more: u64, less: u64| more.saturating_sub(less) / u64::from(rounds.max(1));
    Ok(twice.map(|twice| Counters {
        cycles: each(twice.cycles, once.cycles),
        instructions: each(twice.instructions, once.instructions),
    }))
}

/// The figures of rounds.
fn exact(name: &str, mut rounds: Vec<Round>) -> Result<Exact, Error> {
    let counts: Vec<u64> = rounds.iter().map(|round| round.instructions).collect();
    let slept = rounds.iter().any(|round| round.halts > 0);
    let unrepeatable = || Error::Unrepeatable {
        name: name.into(),
        rounds: counts.clone(),
    };
    let cold = *counts.first().ok_or_else(unrepeatable)?;
    let mut warm = rounds.split_off(1);
    if warm.is_empty() || slept {
        return Err(unrepeatable());
    }
    warm.sort_by_key(|round| round.instructions);
    let count = |round: Option<&Round>| round.map_or(0, |round| round.instructions);
    let range = (count(warm.first()), count(warm.last()));
    let exact = of_round(cold, warm.swap_remove(warm.len() / 2));
    Ok(Exact { range, ..exact })
}

fn of_round(cold: u64, round: Round) -> Exact {
    let mut functions = round.functions;
    functions.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    Exact {
        instructions: round.instructions,
        body: round.body,
        cold,
        range: (round.instructions, round.instructions),
        parts: round.parts,
        functions,
    }
}

/// Takes the times of a benchmark, on so many machines.
///
/// # Errors
/// Whatever goes wrong in the lab.
pub fn times(lab: &mut dyn Lab, benchmark: &Benchmark, boots: u32) -> anyhow::Result<Times> {
    let mut times = Times {
        histogram: Histogram::new_with_bounds(1, LONGEST, DIGITS)?,
        medians: Vec::new(),
        cold: Vec::new(),
        empty: 0,
    };
    let mut empties = Vec::new();
    for _ in 0..boots {
        let (empty, mut rounds) = match benchmark.what {
            What::Operation { program, operation } => {
                let ticks = lab.time(program, operation, benchmark.rounds)?;
                (median(&ticks.empty), ticks.rounds)
            }
            What::Task(task) => {
                let rounds = (0..benchmark.rounds).map(|_| lab.task(task));
                (0, rounds.collect::<anyhow::Result<_>>()?)
            }
        };
        empties.push(empty);
        for time in &mut rounds {
            *time = time.saturating_sub(empty);
        }
        let Some((cold, warm)) = rounds.split_first() else {
            anyhow::bail!("{}: the program told no times", benchmark.name);
        };
        times.cold.push(*cold);
        times.medians.push(median(warm));
        for time in warm {
            times.histogram.saturating_record(*time);
        }
    }
    times.empty = median(&empties);
    Ok(times)
}

/// The middle one, of an even number what lies between the middle two, or 0 of
/// none.
pub fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
        (Some(above), Some(below)) if sorted.len().is_multiple_of(2) => {
            u64::midpoint(*below, *above)
        }
        (Some(middle), _) => *middle,
        (None, _) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Ticks;

    fn round(instructions: u64) -> Round {
        Round {
            instructions,
            ..Round::default()
        }
    }

    #[test]
    fn the_first_round_is_apart_and_the_others_give_their_median() {
        let rounds = [90, 61, 60, 75, 60, 60].map(round);
        let figures = exact("x", rounds.to_vec()).unwrap();
        assert_eq!((figures.instructions, figures.cold), (60, 90));
        assert_eq!(figures.range, (60, 75));
        let error = exact("x", vec![round(60)]).unwrap_err();
        assert!(error.to_string().contains("[60]"), "{error}");
        assert!(exact("x", Vec::new()).is_err());
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        for (values, middle) in [
            (&[][..], 0),
            (&[7], 7),
            (&[1000, 1300], 1150),
            (&[3, 1, 2], 2),
            (&[u64::MAX, u64::MAX], u64::MAX),
        ] {
            assert_eq!(median(values), middle);
        }
    }

    /// A lab whose programs take so much for themselves and for each round.
    struct Pmu;

    impl Lab for Pmu {
        fn count(&mut self, _: &str, _: &str, _: u32) -> anyhow::Result<Option<Vec<Round>>> {
            Ok(None)
        }

        fn time(&mut self, _: &str, _: &str, _: u32) -> anyhow::Result<Ticks> {
            Ok(Ticks::default())
        }

        fn counters(&mut self, _: &str, _: &str, rounds: u32) -> anyhow::Result<Option<Counters>> {
            Ok(Some(Counters {
                cycles: 9_000 + 200 * u64::from(rounds),
                instructions: 7_000 + 64 * u64::from(rounds),
            }))
        }

        fn boot(&mut self) -> anyhow::Result<Option<Round>> {
            Ok(None)
        }

        fn task(&mut self, _: Task) -> anyhow::Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn counters_tell_of_a_round_without_the_program_around_it() {
        let null = crate::suite::chosen("patchwork/lat_syscall/null").unwrap();
        let counters = counters(&mut Pmu, null[0]).unwrap().unwrap();
        assert_eq!((counters.cycles, counters.instructions), (200, 64));
        let boot = crate::suite::chosen("machine/boot/kernel").unwrap();
        assert_eq!(super::counters(&mut Pmu, boot[0]).unwrap(), None);
    }

    #[test]
    fn a_round_in_which_the_kernel_slept_is_no_figure() {
        let slept = Round {
            halts: 1,
            ..round(60)
        };
        assert!(exact("x", vec![round(60), round(60), slept]).is_err());
    }
}

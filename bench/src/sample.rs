//! Samples and the figures made of them.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Significant decimal digits that a histogram keeps.
const DIGITS: u8 = 3;
/// Longest time that a histogram tells apart from longer ones: a minute.
const LONGEST: u64 = 60_000_000_000;

/// Times of one benchmark, as a histogram of nanoseconds.
#[derive(Clone, Debug)]
pub struct Times {
    histogram: Histogram<u64>,
}

impl Times {
    /// No sample yet.
    ///
    /// # Errors
    /// None that can happen with the bounds used here.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            histogram: Histogram::new_with_bounds(1, LONGEST, DIGITS)?,
        })
    }

    /// Adds a sample.
    pub fn add(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(nanoseconds);
    }

    /// The time that this share of samples does not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_quantile(share))
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }
}

/// One line of the result.
#[derive(Clone, Debug)]
pub struct Benchmark {
    /// Its name, `group/what`.
    pub name: String,
    /// Kernel instructions, exact; `None` where the back end cannot count.
    pub kernel_instr: Option<u64>,
    /// Times, where they were taken.
    pub times: Option<Times>,
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24}", self.name)?;
        match self.kernel_instr {
            Some(count) => write!(f, "{count:>12}")?,
            None => write!(f, "{:>12}", "n/a")?,
        }
        if let Some(times) = &self.times {
            let [least, median, most] = [0.0, 0.5, 0.99].map(|share| times.quantile(share));
            write!(f, "{least:>12.1?}{median:>12.1?}{most:>12.1?}")?;
            write!(f, "{:>8}", times.count())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_samples() {
        let mut times = Times::new().unwrap();
        for micros in 1..=100 {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!(times.count(), 100);
        let median = times.quantile(0.5).as_micros();
        assert!((49..=51).contains(&median), "{median}");
        assert!(times.quantile(0.99) > times.quantile(0.5));
    }

    #[test]
    fn a_line_says_when_there_is_no_count() {
        let line = Benchmark {
            name: "boot/cold".into(),
            kernel_instr: None,
            times: None,
        };
        assert!(line.to_string().ends_with("n/a"));
    }
}

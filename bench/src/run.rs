//! A run that is kept: its figures and where they were measured.
//!
//! Purpose: one JSON object a line, the first of which says where and when. All
//! buckets of the histograms are kept, so that a later question has its answer.
//! Times are compared only between runs of one testbed ([`Testbed::is_like`]).
//! Neighbours: `compare` judges two of these, `report` shows them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;
use crate::functions::{self, Profile};
use crate::measure::Measured;
use crate::suite;

/// Where figures were measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testbed {
    /// What times depend on: processor, back end, how ring 0 runs, TSC rate.
    pub host: String,
    /// TSC rate, in kHz.
    pub tsc_khz: u64,
    /// The kernel interprets instructions of ring 0: times are not hardware's.
    pub emulated: bool,
    /// Hash of kernel and programs.
    pub guest: String,
    /// Hash of the tool, the VMM in it.
    pub tool: String,
    /// How calls enter the kernel, if one was counted.
    pub entry: String,
    /// Revision of the source, if it is known.
    pub revision: String,
    /// Seconds since 1970.
    pub when: u64,
}

impl Testbed {
    /// Times that were measured here and there can be compared.
    pub fn is_like(&self, other: &Self) -> bool {
        self.host == other.host
    }

    /// The object that stands for it on a line.
    pub fn object(&self) -> Value {
        json!({
            "v": 1, "reason": "run", "host": self.host, "tsc_khz": self.tsc_khz,
            "emulated": self.emulated, "guest": self.guest, "tool": self.tool,
            "entry": self.entry, "revision": self.revision, "when": self.when,
        })
    }

    /// It is of that commit, whose sources were not changed.
    pub fn is_of(&self, commit: &str) -> bool {
        !self.revision.is_empty() && commit.starts_with(&self.revision)
    }
}

/// Times of one benchmark, as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The benchmark.
    pub name: String,
    /// Kernel instructions, if they were counted.
    pub instructions: Option<u64>,
    /// Those that are the same whichever way calls take into the kernel.
    pub body: u64,
    /// The instructions by process.
    pub parts: Vec<u64>,
    /// The instructions by function.
    pub functions: Profile,
    /// Median ticks of each machine; none if no times were taken.
    pub medians: Vec<u64>,
    /// First ticks of each machine.
    pub cold: Vec<u64>,
    /// Ticks and how often they were measured.
    pub buckets: Vec<(u64, u64)>,
}

impl Kept {
    /// What is kept of a benchmark.
    pub fn of(measured: &Measured) -> Self {
        let times = measured.times.as_ref();
        let exact = measured.exact.as_ref();
        let buckets = times.map(|times| {
            let buckets = times.histogram.iter_recorded();
            buckets
                .map(|it| (it.value_iterated_to(), it.count_at_value()))
                .collect()
        });
        Self {
            name: measured.name.clone(),
            instructions: exact.map(|it| it.instructions),
            body: exact.map_or(0, |it| it.body),
            parts: exact.map_or_else(Vec::new, |it| it.parts.clone()),
            functions: exact.map_or_else(Profile::new, |it| functions::profile(&it.functions)),
            medians: times.map_or_else(Vec::new, |it| it.medians.clone()),
            cold: times.map_or_else(Vec::new, |it| it.cold.clone()),
            buckets: buckets.unwrap_or_default(),
        }
    }

    /// The time that this share of the samples does not exceed.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let total: u128 = self.buckets.iter().map(|it| u128::from(it.1)).sum();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of far fewer samples than a float has whole numbers"
        )]
        let rank = (share * total as f64).ceil().max(1.0) as u128;
        let mut seen = 0;
        let reached = |(_, count): &&(u64, u64)| {
            seen += u128::from(*count);
            seen >= rank
        };
        self.buckets.iter().find(reached).map(|(ticks, _)| *ticks)
    }

    /// The object that stands for it on a line.
    pub fn object(&self) -> Value {
        let interface = suite::interface(&self.name);
        let quantile = |share| self.quantile(share);
        json!({
            "v": 1,
            "reason": "benchmark",
            "name": self.name,
            "abi": (interface != "machine").then_some(interface),
            "kernel_instr": self.instructions,
            "body_instr": self.instructions.map(|_| self.body),
            "parts": self.instructions.map(|_| &self.parts),
            "functions": self.functions.iter().map(|((name, file), count)| json!([count, file, name])).collect::<Vec<_>>(),
            "ticks": (!self.buckets.is_empty()).then(|| json!({
                "min": quantile(0.0), "p50": quantile(0.5), "p90": quantile(0.9),
                "p99": quantile(0.99), "p999": quantile(0.999), "max": quantile(1.0),
            })),
            "n": self.buckets.iter().fold(0, |sum: u64, it| sum.saturating_add(it.1)),
            "boots": self.medians.len(),
            "medians": self.medians,
            "cold": self.cold,
            "buckets": self.buckets,
        })
    }

    fn of_object(object: &Value) -> Option<Self> {
        let numbers = |key: &str| -> Option<Vec<u64>> {
            object[key].as_array()?.iter().map(Value::as_u64).collect()
        };
        let buckets = object["buckets"].as_array()?.iter();
        let pair = |it: &Value| Some((it[0].as_u64()?, it[1].as_u64()?));
        let instructions = object["kernel_instr"].as_u64();
        let is_counted = instructions.is_some();
        let function = |it: &Value| {
            let word = |at: usize| Some(it[at].as_str()?.to_owned());
            Some(((word(2)?, word(1)?), it[0].as_u64()?))
        };
        let functions = object["functions"].as_array().into_iter().flatten();
        Some(Self {
            name: object["name"].as_str()?.into(),
            instructions,
            body: object["body_instr"]
                .as_u64()
                .or((!is_counted).then_some(0))?,
            parts: numbers("parts").or((!is_counted).then(Vec::new))?,
            functions: functions.map(function).collect::<Option<_>>()?,
            medians: numbers("medians")?,
            cold: numbers("cold")?,
            buckets: buckets.map(pair).collect::<Option<_>>()?,
        })
    }
}

/// A run that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Where and when.
    pub testbed: Testbed,
    /// Its figures.
    pub kept: Vec<Kept>,
}

impl Run {
    /// What is kept of figures.
    pub fn of(testbed: Testbed, measured: &[Measured]) -> Self {
        Self {
            testbed,
            kept: measured.iter().map(Kept::of).collect(),
        }
    }

    /// Adds the machines of another run of the same kernel.
    pub fn add(&mut self, other: Run) {
        self.testbed = other.testbed;
        for kept in other.kept {
            match self.kept.iter_mut().find(|known| known.name == kept.name) {
                Some(known) => {
                    known.medians.extend(kept.medians);
                    known.cold.extend(kept.cold);
                    known.buckets.extend(kept.buckets);
                    known.buckets.sort_unstable();
                }
                None => self.kept.push(kept),
            }
        }
    }

    /// Keeps the counts only.
    pub fn forget_times(&mut self) {
        for kept in &mut self.kept {
            kept.medians.clear();
            kept.cold.clear();
            kept.buckets.clear();
        }
    }

    /// The figures of a benchmark.
    pub fn find(&self, name: &str) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.name == name)
    }

    /// It as lines.
    pub fn to_lines(&self) -> String {
        let mut text = self.testbed.object().to_string();
        for kept in &self.kept {
            text.push('\n');
            text += &kept.object().to_string();
        }
        text.push('\n');
        text
    }

    /// A run of lines; what is wrong with which of them.
    ///
    /// # Errors
    /// The line, from 1, and what is wrong.
    pub fn of_lines(text: &str) -> Result<Self, (usize, String)> {
        let mut run = Self::default();
        let mut known = false;
        for (index, line) in text.lines().enumerate() {
            let wrong = |why: &str| (index + 1, why.to_owned());
            let object: Value =
                serde_json::from_str(line).map_err(|error| wrong(&error.to_string()))?;
            match object["reason"].as_str() {
                Some("run") => {
                    let word = |key: &str| object[key].as_str().map(String::from);
                    known = true;
                    run.testbed = Testbed {
                        host: word("host").ok_or_else(|| wrong("no host"))?,
                        tsc_khz: object["tsc_khz"].as_u64().unwrap_or(0),
                        emulated: object["emulated"].as_bool().unwrap_or(false),
                        guest: word("guest").unwrap_or_default(),
                        tool: word("tool").unwrap_or_default(),
                        entry: word("entry").unwrap_or_default(),
                        revision: word("revision").unwrap_or_default(),
                        when: object["when"].as_u64().unwrap_or(0),
                    };
                }
                Some("benchmark") => {
                    let kept = Kept::of_object(&object);
                    run.kept
                        .push(kept.ok_or_else(|| wrong("figures are missing"))?);
                }
                // Unknown reasons are to be ignored by readers.
                _ => {}
            }
        }
        match known {
            true => Ok(run),
            false => Err((1, "it does not say where it was measured".into())),
        }
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// [`Error::Unwritten`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let unwritten = |source| Error::Unwritten {
            path: path.into(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(unwritten)?;
        }
        fs::write(path, self.to_lines()).map_err(unwritten)
    }

    /// Reads it from a file.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::Unreadable`], [`Error::CorruptRun`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| {
            let path = path.into();
            match source.kind() {
                ErrorKind::NotFound => Error::NoRun { path, source },
                _ => Error::Unreadable { path, source },
            }
        })?;
        Self::of_lines(&text).map_err(|(line, why)| Error::CorruptRun {
            path: path.into(),
            line,
            why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_give_what_was_kept() {
        let run = Run {
            testbed: Testbed {
                host: "a · kvm".into(),
                tsc_khz: 2_000_000,
                emulated: true,
                tool: "t".into(),
                entry: "fault".into(),
                when: 7,
                ..Testbed::default()
            },
            kept: vec![Kept {
                name: "patchwork/x".into(),
                instructions: Some(64),
                body: 40,
                parts: vec![60, 4],
                functions: [(("f".into(), "a.rs".into()), 64)].into(),
                medians: vec![10, 11],
                cold: vec![90],
                buckets: vec![(9, 1), (10, 8), (50, 1)],
            }],
        };
        assert_eq!(Run::of_lines(&run.to_lines()).unwrap(), run);
        let kept = &run.kept[0];
        assert_eq!(
            [0.0, 0.5, 0.9, 1.0].map(|share| kept.quantile(share)),
            [9, 10, 10, 50].map(Some)
        );
        assert_eq!(kept.object()["ticks"]["p99"], 50);
        let huge = Kept {
            buckets: vec![(1, u64::MAX), (2, u64::MAX)],
            ..Kept::default()
        };
        assert_eq!(
            [0.1, 0.9].map(|share| huge.quantile(share)),
            [Some(1), Some(2)]
        );
        assert_eq!(huge.object()["n"], u64::MAX);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        assert_eq!(Run::of_lines("").unwrap_err().0, 1);
        assert_eq!(
            Run::of_lines("{\"reason\":\"run\",\"host\":\"a\"}\n{")
                .unwrap_err()
                .0,
            2
        );
        let broken = "{\"reason\":\"run\",\"host\":\"a\"}\n{\"reason\":\"benchmark\"}";
        // Counts of which the parts are not told are of an older version.
        let older = "{\"reason\":\"run\",\"host\":\"a\"}\n{\"reason\":\"benchmark\",\"name\":\"x\",\"kernel_instr\":5,\"medians\":[],\"cold\":[],\"buckets\":[]}";
        assert_eq!(Run::of_lines(older).unwrap_err().0, 2);
        assert!(Run::of_lines(&older.replace("5,", "null,")).is_ok());
        assert_eq!(
            Run::of_lines(broken).unwrap_err(),
            (2, "figures are missing".into())
        );
    }
}

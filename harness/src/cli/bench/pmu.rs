//! The processor's performance counters, of the guest alone.
//!
//! Purpose: real core cycles and instructions of what a microVM runs on this
//! thread, the host's excluded; or the reason why this host has none. Neighbour:
//! `lab` runs programs under it.

use std::io::{self, ErrorKind};

use mayfly_bench::Counters;
use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

/// What decides who may count.
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

/// Counters of this thread.
pub(super) struct Pmu {
    cycles: Counter,
    instructions: Counter,
}

impl Pmu {
    /// Opens them; the error is the reason, in words.
    pub(super) fn open() -> Result<Self, String> {
        let counters = counter(Hardware::CPU_CYCLES).and_then(|cycles| {
            Ok(Self {
                cycles,
                instructions: counter(Hardware::INSTRUCTIONS)?,
            })
        });
        counters.map_err(|error| reason(&error))
    }

    /// What the guest takes while this is done.
    pub(super) fn of<T>(
        &mut self,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Counters> {
        for counter in [&mut self.cycles, &mut self.instructions] {
            counter.reset()?;
            counter.enable()?;
        }
        let done = work();
        for counter in [&mut self.cycles, &mut self.instructions] {
            counter.disable()?;
        }
        done?;
        Ok(Counters {
            cycles: self.cycles.read()?,
            instructions: self.instructions.read()?,
        })
    }
}

/// Why there are none, if there are none.
pub(super) fn missing() -> Option<String> {
    Pmu::open().err()
}

fn counter(event: Hardware) -> io::Result<Counter> {
    Builder::new(event)
        .observe_self()
        .any_cpu()
        .exclude_host(true)
        .exclude_kernel(false)
        .exclude_hv(false)
        .build()
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Unsupported => {
            format!("this host has no performance counters ({error})")
        }
        ErrorKind::PermissionDenied => {
            let level = std::fs::read_to_string(PARANOID).unwrap_or_default();
            format!(
                "performance counters are not allowed ({error}; {PARANOID} is {}, 1 allows them)",
                level.trim()
            )
        }
        _ if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => {
            format!("this host's performance counters cannot tell guests apart ({error})")
        }
        _ => format!("performance counters cannot be read ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_a_reason() {
        for (code, words) in [
            (nix::libc::ENOENT, "has no performance counters"),
            (nix::libc::EACCES, "perf_event_paranoid is"),
            (nix::libc::EINVAL, "cannot be read"),
        ] {
            let reason = reason(&io::Error::from_raw_os_error(code));
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn a_host_counts_or_says_why_not() {
        match Pmu::open() {
            // This thread runs no guest meanwhile.
            Ok(mut pmu) => assert_eq!(pmu.of(|| Ok(())).unwrap(), Counters::default()),
            Err(reason) => assert!(reason.contains("performance counters"), "{reason}"),
        }
    }
}

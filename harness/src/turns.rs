//! Tests take turns where the host is small.
//!
//! Purpose: tests run in parallel, but no more at a time than there are
//! processors, and none whose machine would not fit beside the others' into
//! memory. One that fits nowhere runs alone. A test takes one turn, however many
//! machines it makes, so that no two wait for each other. Neighbour: `runner`.

use std::num::{NonZeroUsize, ParseIntError};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use crate::environment;

/// Variable that says how many tests run at a time.
const JOBS: &str = "MAYFLY_JOBS";
/// What a machine takes beside its memory, in bytes: QEMU's own, at most.
const BESIDE: u64 = 48 << 20;

/// What there is to share.
#[derive(Clone, Copy, Debug)]
struct Limits {
    tests: usize,
    bytes: u64,
}

/// What is shared, and who has how much of it.
#[derive(Debug)]
pub(crate) struct Turns {
    limits: Limits,
    taken: Mutex<Taken>,
    /// Somebody has left.
    left: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    tests: usize,
    bytes: u64,
}

/// A turn; others may have it when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    bytes: u64,
}

/// Waits for a turn of a test whose machine has that much memory.
///
/// # Panics
/// When the variable says no number of tests.
pub(crate) fn take(memory_bytes: u64) -> Turn<'static> {
    static TURNS: LazyLock<Result<Turns, String>> = LazyLock::new(|| {
        let limits = Limits::of_host(environment::text(JOBS).as_deref())?;
        Ok(Turns::new(limits))
    });
    match &*TURNS {
        Ok(turns) => turns.take(memory_bytes.saturating_add(BESIDE)),
        // Each test that asks fails of it.
        Err(why) => panic!("{why}"),
    }
}

impl Turns {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            taken: Mutex::default(),
            left: Condvar::new(),
        }
    }

    fn take(&self, bytes: u64) -> Turn<'_> {
        let full = |taken: &mut Taken| !self.limits.have_room(taken, bytes);
        let waited = self.left.wait_while(self.taken(), full);
        let mut taken = waited.unwrap_or_else(PoisonError::into_inner);
        taken.tests += 1;
        taken.bytes += bytes;
        Turn { turns: self, bytes }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.taken();
        taken.tests -= 1;
        taken.bytes -= self.bytes;
        // Those who wait want different amounts.
        self.turns.left.notify_all();
    }
}

impl Limits {
    fn have_room(&self, taken: &Taken, bytes: u64) -> bool {
        let fits = taken.bytes.saturating_add(bytes) <= self.bytes;
        taken.tests == 0 || (taken.tests < self.tests && fits)
    }

    /// Those of this host, where the variable says `jobs`.
    fn of_host(jobs: Option<&str>) -> Result<Self, String> {
        let wrong = |why: ParseIntError| {
            let jobs = jobs.unwrap_or_default();
            format!("{JOBS}={jobs}: {why}; it is how many tests run at a time, 1 or more")
        };
        let jobs = jobs.map(str::parse::<NonZeroUsize>).transpose();
        let processors = || available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Ok(Self {
            tests: jobs.map_err(wrong)?.unwrap_or_else(processors).get(),
            // A quarter is left to everybody else.
            bytes: available_bytes().map_or(u64::MAX, |bytes| bytes / 4 * 3),
        })
    }
}

/// Memory that is free, or can be freed at once; `None` if nobody says.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let host = meminfo_bytes(&text, "MemAvailable:")?;
    // A container may have less (cgroup v2).
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|limit| limit.trim().parse().ok());
    Some(limit.map_or(host, |limit| host.min(limit)))
}

/// A line of `/proc/meminfo`, in bytes.
fn meminfo_bytes(text: &str, title: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(title))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// Lets `count` threads take a turn of `bytes`, and wait in it until `together`
    /// of them are there; how many there were at most.
    fn most_at_once(limits: Limits, count: usize, bytes: u64, together: usize) -> usize {
        let turns = Turns::new(limits);
        let barrier = Barrier::new(together);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(|| {
                    let _turn = turns.take(bytes);
                    let here = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(here, Ordering::SeqCst);
                    barrier.wait();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(turns.taken().bytes, 0);
        most.into_inner()
    }

    #[test]
    fn as_many_run_as_there_are_processors_and_no_more() {
        let (tests, bytes) = (3, u64::MAX);
        assert_eq!(most_at_once(Limits { tests, bytes }, 12, 100, 3), 3);
    }

    #[test]
    fn as_many_run_as_memory_has_room_for_and_no_more() {
        let (tests, bytes) = (8, 100);
        assert_eq!(most_at_once(Limits { tests, bytes }, 8, 40, 2), 2);
    }

    #[test]
    fn what_fits_nowhere_runs_alone() {
        let (tests, bytes) = (8, 100);
        assert_eq!(most_at_once(Limits { tests, bytes }, 4, 500, 1), 1);
        assert_eq!(most_at_once(Limits { tests, bytes }, 4, u64::MAX, 1), 1);
    }

    #[test]
    fn the_host_says_what_it_has() {
        let text = "MemTotal:  10 kB\nMemAvailable:    3 kB\n";
        assert_eq!(meminfo_bytes(text, "MemAvailable:"), Some(3072));
        assert_eq!(meminfo_bytes(text, "MemFree:"), None);
        let limits = Limits::of_host(None).unwrap();
        assert!(limits.tests > 0 && limits.bytes > 0, "{limits:?}");
        assert_eq!(Limits::of_host(Some("7")).unwrap().tests, 7);
    }

    #[test]
    fn a_number_of_tests_that_is_none_is_named() {
        for jobs in ["0", "-1", "many", "99999999999999999999"] {
            let why = Limits::of_host(Some(jobs)).unwrap_err();
            assert!(why.starts_with(&format!("MAYFLY_JOBS={jobs}: ")), "{why}");
        }
    }
}

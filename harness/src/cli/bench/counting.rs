//! Counts of many benchmarks, on all processors of this host.
//!
//! Purpose: a count is the same whatever else the host does, so that several are
//! taken at once; times are not, and wait until this is done. Neighbours: `lab`
//! counts, `mod` takes the times.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use mayfly_bench::{Benchmark, Exact, Lab as _, measure};

use super::lab::Microvms;

/// Most that count at once.
const THREADS_MAX: usize = 8;

/// What was counted.
pub(super) struct Counted {
    /// A figure for each benchmark, in their order.
    pub(super) figures: Vec<Option<Exact>>,
    /// How calls enter the kernel here.
    pub(super) entry: &'static str,
}

/// Counts; `show` is told each figure in its turn, as soon as it is there.
pub(super) fn all(
    chosen: &[&Benchmark],
    mut show: impl FnMut(&Benchmark, Option<&Exact>) -> anyhow::Result<()>,
) -> anyhow::Result<Counted> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.min(THREADS_MAX).min(chosen.len().max(1));
    let (to_do, (tell, told)) = (Mutex::new(chosen.iter().enumerate()), mpsc::channel());
    let next = || to_do.lock().ok()?.next();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (tell, next) = (tell.clone(), &next);
                scope.spawn(move || {
                    let mut lab = Microvms::new();
                    while let Some((index, benchmark)) = next() {
                        let exact = measure::count(&mut lab, benchmark);
                        let failed = exact.is_err();
                        // Nobody listens once another one has failed.
                        if tell.send((index, exact)).is_err() || failed {
                            break;
                        }
                    }
                    lab.seen_entry()
                })
            })
            .collect();
        drop(tell);
        let mut early: Vec<Option<Option<Exact>>> = vec![None; chosen.len()];
        let mut figures = Vec::new();
        for (index, exact) in told {
            early[index] = Some(exact?);
            while let Some(exact) = early.get_mut(figures.len()).and_then(Option::take) {
                show(chosen[figures.len()], exact.as_ref())?;
                figures.push(exact);
            }
        }
        let seen = workers.into_iter().filter_map(|worker| worker.join().ok()?);
        let entry = seen.last().map_or_else(entry, Ok)?;
        Ok(Counted { figures, entry })
    })
}

/// How calls enter the kernel, when no benchmark has made one: a boot does not.
fn entry() -> anyhow::Result<&'static str> {
    let mut lab = Microvms::new();
    lab.count("patchwork-costs", "null", 1)?;
    Ok(lab.seen_entry().unwrap_or("none was counted"))
}

//! Counts of many benchmarks, on all processors of this host.
//!
//! Purpose: a count is the same whatever else the host does, so that several are
//! taken at once; times are not, and wait until this is done. Neighbours: `lab`
//! counts, `mod` takes the times.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
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
    let counter = || {
        let mut lab = Microvms::new();
        move |benchmark: &&Benchmark| {
            let exact = measure::count(&mut lab, benchmark)?;
            Ok((exact, lab.seen_entry()))
        }
    };
    let counted = each(chosen, counter, |benchmark, (exact, _)| {
        show(benchmark, exact.as_ref())
    })?;
    let seen = counted.iter().rev().find_map(|(_, entry)| *entry);
    let entry = seen.map_or_else(entry, Ok)?;
    let figures = counted.into_iter().map(|(exact, _)| exact).collect();
    Ok(Counted { figures, entry })
}

/// What workers make of each item, side by side; `show` is told in the items'
/// order. A worker that panics is a panic here: nothing is left out.
fn each<I: Sync, T: Send, W: FnMut(&I) -> anyhow::Result<T>>(
    items: &[I],
    worker: impl Fn() -> W + Sync,
    mut show: impl FnMut(&I, &T) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<T>> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.min(THREADS_MAX).min(items.len().max(1));
    let (to_do, (tell, told)) = (Mutex::new(items.iter().enumerate()), mpsc::channel());
    let next = || to_do.lock().ok()?.next();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (tell, next, worker) = (tell.clone(), &next, &worker);
                scope.spawn(move || {
                    let mut work = worker();
                    while let Some((index, item)) = next() {
                        let done = work(item);
                        let failed = done.is_err();
                        // Nobody listens once another one has failed.
                        if tell.send((index, done)).is_err() || failed {
                            break;
                        }
                    }
                })
            })
            .collect();
        drop(tell);
        let mut early: Vec<Option<T>> = items.iter().map(|_| None).collect();
        let mut all = Vec::new();
        for (index, done) in told {
            early[index] = Some(done?);
            while let Some(done) = early.get_mut(all.len()).and_then(Option::take) {
                show(&items[all.len()], &done)?;
                all.push(done);
            }
        }
        for worker in workers {
            worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        Ok(all)
    })
}

/// How calls enter the kernel, when no benchmark has made one: a boot does not.
fn entry() -> anyhow::Result<&'static str> {
    let mut lab = Microvms::new();
    lab.count("patchwork-costs", "null", 1)?;
    Ok(lab.seen_entry().unwrap_or("none was counted"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    fn counted(
        bad: u32,
        show: impl FnMut(&u32, &u32) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<u32>> {
        let worker = || {
            move |item: &u32| {
                assert_ne!(*item, bad, "this worker cannot do it");
                anyhow::ensure!(*item < 50, "too large");
                Ok(item * 2)
            }
        };
        let items: Vec<u32> = (0..20).chain((bad == 50).then_some(60)).collect();
        each(&items, worker, show)
    }

    #[test]
    fn figures_are_in_their_order_and_all_there() {
        let mut shown = Vec::new();
        let all = counted(99, |item, done| {
            shown.push((*item, *done));
            Ok(())
        });
        let wanted: Vec<u32> = (0..20).map(|item| item * 2).collect();
        assert_eq!(all.unwrap(), wanted);
        assert!(shown.iter().map(|it| it.1).eq(wanted));
    }

    #[test]
    fn a_worker_that_fails_or_panics_is_never_fewer_figures() {
        assert!(counted(50, |_, _| Ok(())).is_err());
        let panic = catch_unwind(|| counted(7, |_, _| Ok(())));
        assert!(panic.is_err());
    }
}

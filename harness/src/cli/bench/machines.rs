//! What is measured of machines as a whole: boots, copies, resets.
//!
//! Neighbours: `lab` asks, `floor` is the least that the host can do, `whole` is
//! what is measured from the outside.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use mayfly::prelude::*;
use mayfly::{SnapshotUse, VmOptions};
use mayfly_bench::Task;
use tempfile::TempDir;

use super::floor;
use super::lab::options;
use super::show::Beside;
use super::whole::{self, Way};

/// Copies or resets made one after the other for the time of one.
const RATE: u32 = 50;

/// Machines that live longer than a task.
#[derive(Default)]
pub(super) struct Machines {
    /// To be reset again and again.
    kept: Option<Vm>,
    /// TSC rate, in kHz, once it is known.
    khz: Option<u64>,
    /// Ticks of floors.
    floors: Vec<u64>,
    /// Snapshots of the tool that is run.
    cache: Option<TempDir>,
}

impl Machines {
    /// Does a task once; ticks that it took.
    pub(super) fn perform(&mut self, task: Task) -> anyhow::Result<u64> {
        let khz = self.khz()?;
        if is_near_floor(task) {
            // In turns with the task: a host that is busy is so for both.
            self.floors.push(ticks(floor::once()?, khz));
        }
        let time = match task {
            Task::Boot => {
                let vm = cold()?;
                let ready = vm.ready();
                return Ok(ready.ready_tsc.saturating_sub(ready.entered_tsc));
            }
            Task::Floor => floor::once()?,
            Task::Instruction => floor::instruction()?,
            Task::Cold => timed(|| Ok(cold()?.ping().map(drop)?))?,
            Task::ColdHello => timed(|| hello(&cold()?))?,
            Task::Destroy => {
                let vm = cold()?;
                timed(|| {
                    drop(vm);
                    Ok(())
                })?
            }
            // The first thing that it is asked for makes it.
            Task::Fork => timed(|| Ok(options().boot()?.reseed(0)?))?,
            Task::ForkPing => timed(|| Ok(options().boot()?.ping().map(drop)?))?,
            Task::ForkCall => timed(|| Ok(whole::call(&options().boot()?)?))?,
            Task::ForkRate => {
                timed(|| (0..RATE).try_for_each(|_| Ok(whole::call(&options().boot()?)?)))? / RATE
            }
            Task::ForkHello => timed(|| hello(&options().boot()?))?,
            Task::Sibling => {
                let vm = options().boot()?;
                let probe = vm.probe(Abi::Patchwork)?;
                timed(|| {
                    let sibling = vm.fork()?;
                    probe.in_vm(&sibling).call(patchwork::GETPID, args![])?;
                    Ok(())
                })?
            }
            Task::Reset => self.reset(|vm| Ok(vm.ping().map(drop)?))?,
            Task::ResetCall => self.reset(|vm| Ok(whole::call(vm)?))?,
            Task::ResetRate => {
                let all = (0..RATE).map(|_| self.reset(|vm| Ok(whole::call(vm)?)));
                all.sum::<anyhow::Result<Duration>>()? / RATE
            }
            Task::Process => whole::run(Way::Not, self.cache()?)?,
            Task::RunCached => whole::run(Way::Cached, self.cache()?)?,
            Task::RunCold => whole::run(Way::Cold, self.cache()?)?,
            Task::Tests => timed(|| whole::tests().map(drop))?,
            Task::Footprint => return whole::footprint(self.cache()?),
        };
        Ok(ticks(time, khz))
    }

    /// What figures since the last time are seen beside: the median of the floors
    /// that were taken in turns with them.
    pub(super) fn beside(&mut self) -> Beside {
        let mut floors = std::mem::take(&mut self.floors);
        floors.sort_unstable();
        Beside {
            floor: floors.get(floors.len() / 2).copied(),
            tsc_khz: self.khz.unwrap_or(0),
        }
    }

    /// Resets a machine, and does some work in it.
    fn reset(&mut self, work: impl Fn(&Vm) -> anyhow::Result<()>) -> anyhow::Result<Duration> {
        if self.kept.is_none() {
            self.kept = Some(options().reset(true).boot()?);
        }
        let Some(vm) = &self.kept else {
            return Ok(Duration::ZERO);
        };
        let start = Instant::now();
        vm.reset()?;
        work(vm)?;
        Ok(start.elapsed())
    }

    /// A folder for snapshots, in which there is one.
    fn cache(&mut self) -> anyhow::Result<&TempDir> {
        if self.cache.is_none() {
            let cache = tempfile::tempdir()?;
            whole::run(Way::Cached, &cache)?;
            self.cache = Some(cache);
        }
        self.cache.as_ref().context("there is no folder")
    }

    fn khz(&mut self) -> anyhow::Result<u64> {
        if let Some(khz) = self.khz {
            return Ok(khz);
        }
        let khz = u64::from(options().boot()?.ready().tsc_khz);
        Ok(*self.khz.insert(khz))
    }
}

/// A task of one machine, about as long as the floor.
fn is_near_floor(task: Task) -> bool {
    use Task::{Cold, Destroy, Floor, Fork, ForkCall, ForkPing, Reset, ResetCall, Sibling};
    matches!(
        task,
        Cold | Destroy | Floor | Fork | ForkCall | ForkPing | Reset | ResetCall | Sibling
    )
}

/// A machine that boots.
fn cold() -> anyhow::Result<Vm> {
    let options = VmOptions::default().backend(BackendKind::Kvm);
    Ok(options.snapshot(SnapshotUse::Off).boot()?)
}

fn hello(vm: &Vm) -> anyhow::Result<()> {
    vm.spawn("patchwork-hello").trace(false).run()?;
    Ok(())
}

/// Time of some work, the end of its machines included.
fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    mayfly::settle();
    let start = Instant::now();
    work()?;
    mayfly::settle();
    Ok(start.elapsed())
}

fn ticks(time: Duration, khz: u64) -> u64 {
    let ticks = time.as_nanos() * u128::from(khz) / 1_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

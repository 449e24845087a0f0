//! What is measured of machines as a whole: boots, copies, resets.
//!
//! Neighbours: `lab` asks, `floor` is the least that the host can do.

use std::time::{Duration, Instant};

use mayfly::prelude::*;
use mayfly::{SnapshotUse, VmOptions};
use mayfly_bench::Task;

use super::floor;
use super::lab::options;

/// Copies made one after the other for the time of one.
const RATE: u32 = 50;

/// Machines that live longer than a task.
#[derive(Default)]
pub(super) struct Machines {
    /// To be reset again and again.
    kept: Option<Vm>,
    /// TSC rate, in kHz, once it is known.
    khz: Option<u64>,
}

impl Machines {
    /// Does a task once; ticks that it took.
    pub(super) fn perform(&mut self, task: Task) -> anyhow::Result<u64> {
        let khz = self.khz()?;
        let time = match task {
            Task::Boot => {
                let vm = cold()?;
                let ready = vm.ready();
                return Ok(ready.ready_tsc.saturating_sub(ready.entered_tsc));
            }
            Task::Floor => floor::once()?,
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
            Task::ForkCall => timed(|| call(&options().boot()?))?,
            Task::ForkRate => {
                timed(|| (0..RATE).try_for_each(|_| call(&options().boot()?)))? / RATE
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
            Task::ResetCall => self.reset(call)?,
        };
        Ok(ticks(time, khz))
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

    fn khz(&mut self) -> anyhow::Result<u64> {
        if let Some(khz) = self.khz {
            return Ok(khz);
        }
        let khz = u64::from(options().boot()?.ready().tsc_khz);
        Ok(*self.khz.insert(khz))
    }
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

fn call(vm: &Vm) -> anyhow::Result<()> {
    vm.probe(Abi::Patchwork)?.call(patchwork::GETPID, args![])?;
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

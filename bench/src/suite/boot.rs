//! From nothing to a kernel that takes requests, and a first program.

use std::time::{Duration, Instant};

use mayfly::{SnapshotUse, Vm, VmOptions};

use super::Entry;
use crate::{Benchmark, Times};

/// Machines made for each figure.
const BOOTS: usize = 40;

pub(super) const ALL: &[Entry] = &[
    ("boot/kernel", kernel),
    ("boot/cold", cold),
    ("boot/hello", hello),
    ("boot/destroy", destroy),
];

/// The kernel's own part: its first instruction to `Ready`.
fn kernel(name: &str) -> anyhow::Result<Benchmark> {
    let metered = VmOptions {
        meter_boot: true,
        ..VmOptions::default()
    };
    let kernel_instr = metered.boot()?.boot_kernel_instr();
    let mut times = Times::new()?;
    for _ in 0..BOOTS {
        let vm = cold_vm()?;
        let ready = vm.ready();
        let ticks = ready.ready_tsc.saturating_sub(ready.entered_tsc);
        times.add(Duration::from_nanos(
            ticks * 1_000_000 / u64::from(ready.tsc_khz.max(1)),
        ));
    }
    Ok(Benchmark {
        name: name.into(),
        kernel_instr,
        times: Some(times),
    })
}

/// A machine made, booted, and answering.
fn cold(name: &str) -> anyhow::Result<Benchmark> {
    timed(name, || {
        let start = Instant::now();
        let vm = cold_vm()?;
        vm.ping()?;
        Ok(start.elapsed())
    })
}

/// A machine made, one program run on it, the machine gone.
fn hello(name: &str) -> anyhow::Result<Benchmark> {
    timed(name, || {
        let start = Instant::now();
        let vm = cold_vm()?;
        vm.spawn("patchwork-hello").trace(false).run()?;
        drop(vm);
        Ok(start.elapsed())
    })
}

/// A machine taken down.
fn destroy(name: &str) -> anyhow::Result<Benchmark> {
    timed(name, || {
        let vm = cold_vm()?;
        let start = Instant::now();
        drop(vm);
        Ok(start.elapsed())
    })
}

/// A machine that boots.
fn cold_vm() -> anyhow::Result<Vm> {
    let options = VmOptions::default().snapshot(SnapshotUse::Off);
    Ok(options.boot()?)
}

fn timed(
    name: &str,
    mut sample: impl FnMut() -> anyhow::Result<Duration>,
) -> anyhow::Result<Benchmark> {
    let mut times = Times::new()?;
    for _ in 0..BOOTS {
        times.add(sample()?);
    }
    Ok(Benchmark {
        name: name.into(),
        kernel_instr: None,
        times: Some(times),
    })
}

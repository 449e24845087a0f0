//! Machines that begin as copies, beside the least that KVM can do.

use std::time::{Duration, Instant};

use mayfly::prelude::*;
use mayfly::{BackendKind, SnapshotUse, VmOptions};

use super::{Entry, floor};
use crate::{Benchmark, Times};

/// Machines made for each figure.
const MACHINES: usize = 200;

pub(super) const ALL: &[Entry] = &[
    ("fork/floor", |name| timed(name, floor::once)),
    ("fork/machine", |name| {
        timed(name, || {
            let start = Instant::now();
            drop(copy()?);
            Ok(start.elapsed())
        })
    }),
    ("fork/ping", |name| {
        timed(name, || {
            let start = Instant::now();
            let vm = copy()?;
            vm.ping()?;
            drop(vm);
            Ok(start.elapsed())
        })
    }),
    ("fork/call", |name| {
        timed(name, || {
            let start = Instant::now();
            let vm = copy()?;
            vm.probe(Abi::Patchwork)?.call(patchwork::GETPID, args![])?;
            drop(vm);
            Ok(start.elapsed())
        })
    }),
    ("fork/hello", |name| {
        timed(name, || {
            let start = Instant::now();
            let vm = copy()?;
            vm.spawn("patchwork-hello").trace(false).run()?;
            drop(vm);
            Ok(start.elapsed())
        })
    }),
    ("reset/ping", |name| {
        let vm = options().reset(true).boot()?;
        timed(name, || {
            let start = Instant::now();
            vm.reset()?;
            vm.ping()?;
            Ok(start.elapsed())
        })
    }),
    ("fork/sibling", |name| {
        let vm = copy()?;
        let probe = vm.probe(Abi::Patchwork)?;
        timed(name, || {
            let start = Instant::now();
            let sibling = vm.fork()?;
            probe.in_vm(&sibling).call(patchwork::GETPID, args![])?;
            drop(sibling);
            Ok(start.elapsed())
        })
    }),
];

/// A machine that begins as a copy of one that this process has booted.
fn copy() -> anyhow::Result<Vm> {
    Ok(options().boot()?)
}

fn options() -> VmOptions {
    let kvm = VmOptions::default().backend(BackendKind::Kvm);
    kvm.snapshot(SnapshotUse::Memory)
}

fn timed(
    name: &str,
    mut sample: impl FnMut() -> anyhow::Result<Duration>,
) -> anyhow::Result<Benchmark> {
    // The first one boots what the others are copies of.
    sample()?;
    let mut times = Times::new()?;
    for _ in 0..MACHINES {
        times.add(sample()?);
    }
    Ok(Benchmark {
        name: name.into(),
        kernel_instr: None,
        times: Some(times),
    })
}

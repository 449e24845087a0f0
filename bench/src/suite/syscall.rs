//! Single system calls from a ring-3 probe: the first is apart, as it is cold.

use std::time::Duration;

use mayfly::prelude::*;
use mayfly::{VmOptions, veridian as veridian_abi};

use super::Entry;
use crate::{Benchmark, Times};

/// Calls timed for each figure.
const CALLS: usize = 200;

pub(super) const ALL: &[Entry] = &[
    ("null/xeneva", |name| {
        null(name, Abi::Xeneva, xeneva::null_call)
    }),
    ("null/patchwork", |name| {
        null(name, Abi::Patchwork, patchwork::GETPID)
    }),
    ("null/veridian", |name| {
        null(name, Abi::Veridian, veridian_abi::UNASSIGNED)
    }),
    ("yield/veridian", |name| {
        null(name, Abi::Veridian, veridian::YIELD)
    }),
];

/// A call without arguments: its instructions, entry to exit, and its time in
/// ring 3 around the instruction.
fn null(name: &str, abi: Abi, number: u64) -> anyhow::Result<Benchmark> {
    let metered = VmOptions::default().meter(true).boot()?;
    let kernel_instr = {
        let probe = metered.probe(abi)?;
        probe.call(number, args![])?;
        probe.call(number, args![])?.kernel_instr
    };
    let vm = VmOptions::default().boot()?;
    let khz = u64::from(vm.ready().tsc_khz.max(1));
    let probe = vm.probe(abi)?;
    probe.call(number, args![])?;
    let mut times = Times::new()?;
    for _ in 0..CALLS {
        let ticks = probe.call(number, args![])?.ticks;
        times.add(Duration::from_nanos(ticks * 1_000_000 / khz));
    }
    Ok(Benchmark {
        name: name.into(),
        kernel_instr,
        times: Some(times),
    })
}

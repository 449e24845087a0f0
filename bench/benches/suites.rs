//! Runs the benchmarks and prints a line for each.
//!
//! `cargo bench -p mayfly-bench -- FILTER`: only those whose name contains FILTER.

use std::io::Write;
use std::process::ExitCode;

use mayfly::{Vm, fingerprint};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(125)
        }
    }
}

fn run() -> anyhow::Result<()> {
    // Cargo adds `--bench`.
    let mut words = std::env::args().skip(1);
    let filter = words
        .find(|word| !word.starts_with('-'))
        .unwrap_or_default();
    let mut out = std::io::stdout().lock();
    writeln!(out, "testbed {}", fingerprint::testbed(&Vm::boot()?))?;
    if let Some(ring) = fingerprint::calibrate()?.filter(|ring| ring.is_emulated()) {
        writeln!(
            out,
            "ring 0 is emulated here ({:.0} ns an instruction): times are not those of hardware",
            ring.instruction_ns()
        )?;
    }
    writeln!(
        out,
        "{:<24}{:>12}{:>12}{:>12}{:>12}{:>8}",
        "benchmark", "kernel instr", "min", "p50", "p99", "n"
    )?;
    let mut failed = None;
    mayfly_bench::suite::run(&filter, |line| {
        failed = failed.take().or(writeln!(out, "{line}").err());
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

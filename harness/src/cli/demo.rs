//! `mayfly demo`: everything at a glance.
//!
//! Purpose: boots, runs one program of each interface, and shows what they
//! wrote, the calls they made and what those cost. Neighbours: `calltable` lays
//! the calls out.

use clap::Args;
use mayfly::notation::grouped;
use mayfly::{Abi, BackendKind, Output, SnapshotUse, Vm};

use super::exit::Exit;
use super::say::{GOOD, QUIET, STRONG, Say, WRONG, styled};
use super::target::Target;
use super::{calltable, json, layout, units, waiting};

/// Options of `mayfly demo`.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
}

/// Shows it.
pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<Exit> {
    // The boot is part of what is shown.
    let booted = options.target.options().snapshot(SnapshotUse::Off);
    let vm = waiting::during(say, "booting", || Vm::with_options(booted))?;
    let counted = waiting::during(say, "counting kernel instructions", || {
        counted(options, &vm)
    })?;
    if say.is_json() {
        let mut ready = json::ready(&vm);
        ready["boot_kernel_instr"] = counted.boot.into();
        say.json("ready", ready)?;
    } else {
        headline(&vm, counted.boot, say)?;
    }
    let mut good = true;
    for abi in Abi::ALL {
        let mut output = vm.spawn(&program(abi)).run()?;
        if let Some(metered) = counted
            .outputs
            .iter()
            .find(|other| other.abi() == Some(abi))
        {
            output.take_counts(metered);
        }
        good &= output.status.success();
        show(abi, &output, say)?;
    }
    if !say.is_json() {
        closing(&vm, good, say)?;
    }
    say.kernel(&vm);
    Ok(if good { Exit::Success } else { Exit::Failure })
}

/// What a second, metered machine counted: times and counts do not mix, since
/// counting takes time.
#[derive(Default)]
struct Counted {
    boot: Option<u64>,
    outputs: Vec<Output>,
}

fn counted(options: &Options, vm: &Vm) -> anyhow::Result<Counted> {
    if vm.backend() != BackendKind::Kvm {
        return Ok(Counted::default());
    }
    let mut choices = options.target.options();
    choices.meter_boot = true;
    let vm = Vm::with_options(choices)?;
    let mut outputs = Vec::new();
    for abi in Abi::ALL {
        outputs.push(vm.spawn(&program(abi)).trace(false).meter(true).run()?);
    }
    Ok(Counted {
        boot: vm.boot_kernel_instr(),
        outputs,
    })
}

fn program(abi: Abi) -> String {
    format!("{}-hello", abi.name())
}

fn headline(vm: &Vm, boot: Option<u64>, say: &mut Say) -> anyhow::Result<()> {
    let time = units::time(vm.boot_time());
    let count = boot.map_or_else(String::new, |count| {
        format!(", {} kernel instructions", grouped(count))
    });
    let what = "Mayfly: one kernel, three system-call interfaces, one microVM";
    for line in layout::wrapped(what, layout::width()) {
        say.line(&styled(STRONG, line))?;
    }
    let (kernel, backend) = (&vm.ready().kernel, vm.backend());
    let booted = format!("booted {kernel} on {backend} in {time}{count}");
    for line in layout::wrapped(&booted, layout::width()) {
        say.line(&line)?;
    }
    say.line("")?;
    Ok(())
}

fn show(abi: Abi, output: &Output, say: &mut Say) -> anyhow::Result<()> {
    if say.is_json() {
        say.written(1, &output.stdout)?;
        say.written_all()?;
        for call in output.all_calls() {
            say.json("call", json::call(call))?;
        }
        say.json("exited", json::exited(output))?;
        return Ok(());
    }
    let style = if output.status.success() { GOOD } else { WRONG };
    say.line(&format!(
        "{}  {}",
        styled(STRONG, program(abi)),
        styled(
            style,
            format!("{} after {}", output.status, units::time(output.duration))
        )
    ))?;
    for line in output.stdout_text().lines() {
        say.line(&format!("  | {line}"))?;
    }
    for (index, line) in calltable::calls(output.all_calls(), layout::width() - 2)
        .iter()
        .enumerate()
    {
        let line = format!("  {line}");
        say.line(&if index == 0 {
            styled(QUIET, line)
        } else {
            line
        })?;
    }
    say.line("")?;
    Ok(())
}

fn closing(vm: &Vm, good: bool, say: &mut Say) -> anyhow::Result<()> {
    let stats = vm.stats()?;
    let (style, verdict) = match good {
        true => (GOOD, "All three ran, and the kernel is as it was:"),
        false => (WRONG, "Not all of them succeeded;"),
    };
    let state = format!(
        "{verdict} {} processes, {} of {} frames free.",
        stats.processes,
        grouped(stats.frames_free),
        grouped(stats.frames)
    );
    for line in layout::wrapped(&state, layout::width()) {
        say.line(&styled(style, line))?;
    }
    say.line("Next: mayfly trace patchwork-hello")?;
    Ok(())
}

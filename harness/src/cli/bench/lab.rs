//! MicroVMs as the lab that benchmarks are measured in.
//!
//! Purpose: runs the `costs` programs, marked or timed, and brings back what
//! `mayfly_bench` judges. Counts come from machines in which interrupts are held
//! back, so that they are the same each time; times from machines that nobody
//! disturbs. Neighbours: `machines` does what is done to machines as a whole.

use std::time::Duration;

use anyhow::Context as _;
use mayfly::profile;
use mayfly::symbols::Kernel;
use mayfly::{BackendKind, Output, SnapshotUse, Spent, Visit, VmOptions};
use mayfly_abi::{Abi, MARK};
use mayfly_bench::{Counters, Lab, Round, Task, Ticks};

use super::machines;
use super::pmu::Pmu;
use super::show::Beside;

/// Longest time of a program: counting takes a thousand times as long as running.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Random numbers are the same each time: ids that are drawn lead through trees.
const SEED: u64 = 1;

/// MicroVMs to measure in.
pub(super) struct Microvms {
    kernel: Kernel,
    /// How calls enter the kernel here, once it was seen.
    entry: Option<&'static str>,
    machines: machines::Machines,
    /// Performance counters, where the host has them.
    pmu: Option<Pmu>,
}

impl Microvms {
    pub(super) fn new() -> Self {
        Self {
            kernel: Kernel::new(),
            entry: None,
            machines: machines::Machines::default(),
            pmu: Pmu::open().ok(),
        }
    }

    /// How calls enter the kernel here, if one was counted.
    pub(super) fn seen_entry(&self) -> Option<&'static str> {
        self.entry
    }

    /// What the figures that were measured last are seen beside.
    pub(super) fn beside(&mut self) -> Beside {
        self.machines.beside()
    }

    /// What a stretch of a run cost.
    fn round(&mut self, spent: &Spent) -> Round {
        Round {
            instructions: spent.instructions,
            body: spent.body,
            parts: spent.parts.iter().map(|part| part.instructions).collect(),
            halts: spent.halts,
            functions: profile::of_path(&mut self.kernel, &spent.path),
        }
    }
}

impl Lab for Microvms {
    fn count(
        &mut self,
        program: &str,
        operation: &str,
        rounds: u32,
    ) -> anyhow::Result<Option<Vec<Round>>> {
        let vm = options().meter_path().run_timeout(TIMEOUT).boot()?;
        vm.reseed(SEED)?;
        let count = rounds.to_string();
        let command = vm.spawn(program).arg(operation).arg("count").arg(count);
        let output = command.trace(false).meter(true).run()?;
        check(program, operation, &output)?;
        let abi = output.abi().context("the program has no interface")?;
        let syscall = |visit: &&Visit| visit.is_call;
        if let Some(call) = output.visits().iter().find(syscall) {
            self.entry = Some(match call.vector {
                None => "SYSCALL",
                Some(_) => "page fault",
            });
        }
        let counted = between_marks(output.visits(), abi, output.root());
        let (there, asked) = (counted.len(), usize::try_from(rounds)?);
        // A program ends with the first round that fails, and may have no status.
        anyhow::ensure!(
            there == asked,
            "{program} {operation}: {there} of {asked} rounds were made, then one failed"
        );
        Ok(Some(
            counted.iter().map(|spent| self.round(spent)).collect(),
        ))
    }

    fn time(&mut self, program: &str, operation: &str, rounds: u32) -> anyhow::Result<Ticks> {
        let vm = options().run_timeout(TIMEOUT).boot()?;
        let count = rounds.to_string();
        let command = vm.spawn(program).arg(operation).arg("time").arg(count);
        let output = command.trace(false).run()?;
        check(program, operation, &output)?;
        let text = output.stdout_text();
        let line = |title: &str| -> anyhow::Result<Vec<u64>> {
            let found = text.lines().find_map(|line| line.strip_prefix(title));
            let found = found.with_context(|| format!("{program} {operation} tells no {title}"))?;
            let numbers = found.split_whitespace().map(str::parse);
            Ok(numbers.collect::<Result<_, _>>()?)
        };
        Ok(Ticks {
            empty: line("empty ")?,
            rounds: line("ticks ")?,
        })
    }

    fn counters(
        &mut self,
        program: &str,
        operation: &str,
        rounds: u32,
    ) -> anyhow::Result<Option<Counters>> {
        let Some(pmu) = &mut self.pmu else {
            return Ok(None);
        };
        let vm = options().run_timeout(TIMEOUT).boot()?;
        let count = rounds.to_string();
        let command = vm.spawn(program).arg(operation).arg("run").arg(count);
        let counters = pmu.of(|| check(program, operation, &command.trace(false).run()?))?;
        Ok(Some(counters))
    }

    fn boot(&mut self) -> anyhow::Result<Option<Round>> {
        let vm = VmOptions {
            meter_boot: true,
            // Its first message tells the rate of the clock.
            clock_divisor: 1,
            ..options().meter_path()
        }
        .boot()?;
        Ok(vm.boot_spent().map(|spent| self.round(spent)))
    }

    fn task(&mut self, task: Task) -> anyhow::Result<u64> {
        self.machines.perform(task)
    }
}

/// A machine that begins as a copy of one that this process has booted.
pub(super) fn options() -> VmOptions {
    let kvm = VmOptions::default().backend(BackendKind::Kvm);
    kvm.snapshot(SnapshotUse::Memory)
}

/// The program did what it was told; XenevaOS has no status to tell it by.
fn check(program: &str, operation: &str, output: &Output) -> anyhow::Result<()> {
    anyhow::ensure!(
        output.status.success(),
        "{program} {operation}: {}",
        output.status
    );
    Ok(())
}

/// What happened between the marks that a program made.
fn between_marks(visits: &[Visit], abi: Abi, root: u64) -> Vec<Spent> {
    let is_mark = |visit: &Visit| visit.is_call_of(abi, root, MARK);
    let mut rounds: Vec<Spent> = visits.split(is_mark).map(Spent::of).collect();
    // What is before the first and behind the last is no round.
    rounds.pop();
    rounds.drain(..1.min(rounds.len()));
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_that_fails_is_no_figure() {
        for program in ["patchwork-costs", "xeneva-costs"] {
            let mut lab = Microvms::new();
            let counted = lab.count(program, "fail", 3);
            assert!(counted.is_err(), "{program}: {counted:?}");
            let timed = lab.time(program, "fail", 3);
            assert!(timed.is_err(), "{program}: {timed:?}");
        }
    }

    #[test]
    fn rounds_lie_between_marks() {
        let visit = |number, instructions| Visit {
            number_rax: number,
            instructions,
            is_call: true,
            root: 1,
            ..Visit::default()
        };
        let mark = visit(MARK, 9);
        let visits = [
            visit(1, 100),
            mark.clone(),
            visit(1, 2),
            visit(2, 3),
            mark.clone(),
            visit(1, 4),
            mark,
            visit(0, 50),
        ];
        let counts = |visits: &[Visit]| -> Vec<u64> {
            let rounds = between_marks(visits, Abi::Patchwork, 1);
            rounds.iter().map(|round| round.instructions).collect()
        };
        assert_eq!(counts(&visits), [5, 4]);
        assert!(counts(&visits[..2]).is_empty());
        assert!(counts(&[]).is_empty());
    }
}

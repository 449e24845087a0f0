//! VeridianOS under load, and measured: crowds, races, guesses, benchmarks.
//!
//! Purpose: T20 and T21 of `specs/veridian.md` §13.4, and the adversaries of
//! §4. Rounds are few where the kernel is interpreted in software, and all of
//! them where `MAYFLY_SLOW` asks. Neighbours: `acceptance.rs` has the other
//! T-numbers.

use mayfly::prelude::*;

use crate::acceptance::accept;

/// Seeds and rounds of one kind are as good as others; these are told.
const SEED: u64 = 20_260_821;

#[mayfly::test(memory = "128M", run_timeout = "10m")]
fn t20_a_crowd_of_processes_leaves_nothing(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    let slow = std::env::var_os("MAYFLY_SLOW").is_some();
    let (count, rounds, seconds) = match slow {
        true => ("120", "20", "60"),
        false => ("101", "1", "0"),
    };
    accept(&vm, "stress", &["crowd", count, rounds, seconds])?;
    let after = vm.stats()?;
    assert_eq!(after.frames_free, before.frames_free);
    assert_eq!(after.processes, before.processes);
    assert_eq!(after.threads, before.threads);
    // Tokens, endpoints, channels, records.
    assert_eq!(after.objects, before.objects);
    Ok(())
}

/// Names of the measurements, in their order.
const MEASURED: [&str; 8] = [
    "small-ipc-8",
    "small-ipc-64",
    "large-ipc-4096",
    "memory-token-1m",
    "memory-allocation",
    "capability-validation",
    "null-call",
    "context-switch",
];

#[mayfly::test(run_timeout = "10m")]
fn t21_the_five_benchmarks_are_measured(vm: Vm) -> Result<()> {
    let count = mayfly::rounds(&vm, 100, 10_000).to_string();
    let out = vm.spawn("veridian-bench").arg(&count).trace(false).run()?;
    let text = out.stdout_text();
    assert!(out.status.success(), "{text}");
    let mut lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let clock = lines.next().unwrap_or_default();
    assert_eq!(clock[0], "ticks-per-us");
    let found: u64 = clock[1].parse().expect("a number");
    let told = u64::from(vm.ready().tsc_khz) / 1000;
    assert!(found.abs_diff(told) <= told / 10, "{found}, not {told}");
    for name in MEASURED {
        let line = lines.next().unwrap_or_default();
        let [
            found,
            "samples",
            samples,
            "min",
            min,
            "median",
            median,
            "p99",
            p99,
            "mean",
            mean,
        ] = line[..]
        else {
            panic!("{line:?}");
        };
        assert_eq!((found, samples), (name, count.as_str()));
        let numbers = [min, median, p99, mean].map(|word| word.parse::<u64>());
        let [min, median, p99, mean] = numbers.map(|number| number.expect("a number"));
        assert!(0 < min && min <= median && median <= p99, "{line:?}");
        assert!(min <= mean, "{line:?}");
    }
    assert_eq!(lines.next(), None);
    Ok(())
}

#[mayfly::test(
    run_timeout = "10m",
    covers = "veridian PROCESS_START PermissionDenied, veridian PROCESS_WAIT PermissionDenied, veridian CAPABILITY_CREATE PermissionDenied, veridian CAPABILITY_CREATE NotFound"
)]
fn an_adversary_without_tokens_reaches_nothing(vm: Vm) -> Result<()> {
    let tries = mayfly::rounds(&vm, FEW, 1_000_000);
    if vm.backend() != BackendKind::Kvm || tries == FEW {
        return attack(&vm, SEED, tries);
    }
    // All of them where KVM interprets the kernel: side by side in copies of the
    // machine, each with a seed of its own.
    let copies = (0..COPIES).map(|_| vm.fork());
    let copies = copies.collect::<Result<Vec<Vm>>>()?;
    std::thread::scope(|scope| {
        let attacks = copies.into_iter().zip(SEED..).map(|(copy, seed)| {
            // The copy goes with its thread.
            scope.spawn(move || attack(&copy, seed, tries / COPIES))
        });
        let attacks: Vec<_> = attacks.collect();
        let mut ends = attacks.into_iter().map(|attack| attack.join());
        ends.try_for_each(|end| end.expect("no panic"))
    })
}

/// Tries of an adversary where they are slow, and the copies of a machine that
/// all of them are shared out over.
const FEW: u64 = 2000;
const COPIES: u64 = 8;

fn attack(vm: &Vm, seed: u64, tries: u64) -> Result<()> {
    let before = vm.stats()?;
    let (seed, tries) = (seed.to_string(), tries.to_string());
    let out = vm
        .spawn("veridian-adversary")
        .args(["try", &seed, &tries])
        .trace(false)
        .run()?;
    let expected = format!("seed {seed}\nadversary ok\n");
    assert_eq!(out.stdout_text(), expected, "{:?}", out.cause);
    let after = vm.stats()?;
    assert_eq!(after.frames_free, before.frames_free);
    assert_eq!(after.objects, before.objects);
    Ok(())
}

#[mayfly::test(run_timeout = "10m", covers = "veridian CAPABILITY_REVOKE")]
fn a_revocation_is_one_moment_for_all_who_use_it(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    let rounds = mayfly::rounds(&vm, 10, 500).to_string();
    accept(&vm, "racing", &[&rounds, &SEED.to_string()])?;
    assert_eq!(vm.stats()?.objects, before.objects);
    Ok(())
}

#[mayfly::test(
    memory = "64M",
    run_timeout = "60s",
    covers = "veridian READ, veridian WRITE, veridian MMAP"
)]
fn calls_that_take_long_let_others_have_a_turn(vm: Vm) -> Result<()> {
    let out = vm.spawn("veridian-long").trace(false).run()?;
    assert_eq!(out.stdout_text(), "long ok\n", "{:?}", out.cause);
    Ok(())
}

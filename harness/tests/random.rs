//! Random calls of all three interfaces: the kernel goes on, and keeps nothing.
//!
//! Purpose: programs make calls with random arguments, one after the other in
//! one machine; then the kernel answers as before and has what it had before.
//! `MAYFLY_SEED` says with which seed the first begins; failures print the
//! command that makes the same calls again. Neighbours: `user/*/random.rs`.

use mayfly::Stats;
use mayfly::prelude::*;

/// Calls of one program: few enough that a namespace or a directory which
/// random calls have made unusable soon gives way to a new one.
const CALLS: u64 = 2500;
/// Seed of the first program unless `MAYFLY_SEED` says another.
const SEED: u64 = 1;

/// Most rounds.
const ROUNDS: usize = 6;
/// Programs of a round: two rounds make 100,000 calls, a first one that fills
/// what the kernel keeps (file trees, tables), and a second one like it.
const ALL: u64 = 20;
/// As many as take some ten seconds where ring 0 is emulated.
const FEW: u64 = 1;

fn first_seed() -> u64 {
    let given = std::env::var("MAYFLY_SEED").ok();
    given.map_or(SEED, |seed| seed.parse().expect("a number"))
}

/// Runs one program; what it did not expect fails the test.
fn make_calls(vm: &Vm, abi: Abi, seed: u64) -> Result<()> {
    let program = format!("{}-random", abi.name());
    let out = vm
        .spawn(&program)
        .args([seed.to_string(), CALLS.to_string()])
        .trace(false)
        .run()?;
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && said.ends_with("random ok\n"),
        "{:?}; again: mayfly run {program} -- {seed} {CALLS}\n{}",
        out.cause,
        said.lines().last().unwrap_or_default(),
    );
    assert!(out.call_count() > CALLS);
    Ok(())
}

/// Makes a round of calls and removes what files it left; what there is then.
fn round(vm: &Vm, abi: Abi, programs: u64) -> Result<Stats> {
    let first = first_seed();
    for seed in first..first.wrapping_add(programs) {
        make_calls(vm, abi, seed)?;
    }
    // Children may live on for a while.
    while vm.stats()?.processes > 0 {
        vm.ping()?;
    }
    let probe = vm.probe(Abi::Patchwork)?;
    let files = [
        "/tmp/r:dR",
        // By names relative to where a program was.
        "/tmp/a",
        "/a",
        "/file",
        "/bin/xeneva-null.exe",
        "/bin/patchwork-exit.exe",
        "/bin/none.exe",
    ];
    for path in files {
        probe.call(patchwork::REMOVE, args![text(path)])?;
    }
    // Shares that are still there expire.
    probe.call(patchwork::NANOSLEEP, args![1_000_000])?;
    probe.close()?;
    vm.stats()
}

/// Fills the kernel's log, which grows up to its size and stays so.
fn fill_log(vm: &Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let log = probe
        .call(patchwork::OPEN, args![text("/dev/klog:rw")])?
        .value;
    for _ in 0..2 {
        probe.call(patchwork::WRITE, args![log, input([0; 32 << 10]), 32 << 10])?;
    }
    probe.close()
}

/// After every round, frames and processes are as they were before any, and
/// of all rounds one leaves what the one before it left. Tables grow to what was
/// once needed, which depends on who ran when; a leak would grow each time.
fn leaves_nothing(vm: &Vm, abi: Abi) -> Result<()> {
    let programs = mayfly::rounds(vm, FEW, ALL);
    fill_log(vm)?;
    let before = vm.stats()?;
    let counts = |stats: &Stats| (stats.frames_free, stats.processes, stats.threads);
    let mut left = vec![round(vm, abi, programs)?];
    while left.len() < ROUNDS {
        let stats = round(vm, abi, programs)?;
        assert_eq!(counts(&stats), counts(&before));
        left.push(stats);
        if left[left.len() - 2] == stats {
            break;
        }
    }
    let last_two = &left[left.len() - 2..];
    assert_eq!(last_two[0], last_two[1], "{left:?}");
    assert!(
        vm.spawn(&format!("{}-hello", abi.name()))
            .run()?
            .status
            .success()
    );
    Ok(())
}

#[mayfly::test(run_timeout = "60s")]
fn patchwork(vm: Vm) -> Result<()> {
    leaves_nothing(&vm, Abi::Patchwork)
}

#[mayfly::test(run_timeout = "60s")]
fn veridian(vm: Vm) -> Result<()> {
    leaves_nothing(&vm, Abi::Veridian)
}

#[mayfly::test(run_timeout = "60s")]
fn xeneva(vm: Vm) -> Result<()> {
    leaves_nothing(&vm, Abi::Xeneva)
}

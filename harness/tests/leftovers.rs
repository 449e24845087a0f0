//! Thousands of machines in one process leave nothing behind.
//!
//! Purpose: descriptors, threads, mappings and memory are at the end what they
//! were at the beginning, by `/proc`. The only test of its binary, as others
//! would be seen. Neighbour: `fork.rs`.

use mayfly::prelude::*;
use mayfly::{BackendKind, SnapshotUse};

/// Memory that may come and go by itself, in KiB: the allocator keeps some.
const SLACK: u64 = 1024;

/// What a process has.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    mappings: usize,
    timers: usize,
}

fn holdings() -> Holdings {
    let entries = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Holdings {
        descriptors: entries("/proc/self/fd"),
        threads: entries("/proc/self/task"),
        mappings: text("/proc/self/maps").lines().count(),
        timers: text("/proc/self/timers").matches("ID:").count(),
    }
}

/// Resident memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap_or(0))
}

/// Makes machines in all ways, and drops them.
fn machines(count: u64) -> Result<()> {
    let options = || {
        let kvm = VmOptions::default().backend(BackendKind::Kvm);
        kvm.snapshot(SnapshotUse::Memory)
    };
    let kept = options().reset(true).boot()?;
    for round in 0..count {
        let vm = options().boot()?;
        let probe = vm.probe(Abi::ALL[(round % 3) as usize])?;
        probe.call(9999, args![])?;
        match round % 64 {
            0 => drop(vm.fork()?.stats()?),
            1 => drop(vm.panic_for_test(0)),
            2 => drop(vm.spawn("patchwork-hello").start()?),
            3 => drop(
                options()
                    .file("/tmp/mine", b"own".as_slice())
                    .boot()?
                    .ping()?,
            ),
            4 => {
                kept.probe(Abi::Patchwork)?.call(9999, args![])?;
                kept.reset()?;
            }
            _ => {}
        }
    }
    drop(kept);
    mayfly::settle();
    Ok(())
}

#[test]
fn machines_leave_nothing_behind() -> Result<()> {
    let vm = VmOptions::default().backend(BackendKind::Kvm).boot()?;
    let count = mayfly::rounds(&vm, 600, 10_000);
    drop(vm);
    // What a process keeps, it has after some.
    machines(200)?;
    let (before, memory) = (holdings(), resident());
    assert!(
        before.descriptors > 3 && before.mappings > 10 && memory > 0,
        "{before:?}"
    );
    machines(count)?;
    assert_eq!(holdings(), before);
    let after = resident();
    assert!(after <= memory + SLACK, "{memory} KiB, then {after} KiB");
    Ok(())
}

//! Many processes of PatchworkOS at once, and what they pass on to each other.
//!
//! Purpose: a crowd of processes, threads and pipes leaves nothing behind;
//! binds are passed on between parents and children (`specs/patchwork.md` §10).
//! Neighbours: `spawn.rs` has one child at a time.

use mayfly::prelude::*;

#[mayfly::test(
    run_timeout = "60s",
    covers = "patchwork SPAWN, patchwork THREAD_CREATE, patchwork WRITE, patchwork READ, patchwork FUTEX"
)]
fn a_hundred_processes_with_pipes_and_threads_leave_nothing(vm: Vm) -> Result<()> {
    let mut left = Vec::new();
    // The first round fills what is kept.
    for _ in 0..2 {
        let command = vm.spawn("patchwork-stress").args(["crowd", "100"]);
        let out = command.trace(false).run()?;
        assert_eq!(out.stdout_text(), "stress ok\n", "{:?}", out.cause);
        left.push(vm.stats()?);
    }
    assert_eq!((left[0].processes, left[0].threads), (0, 0));
    assert_eq!(left[0].objects, 0, "no descriptor, key or record is left");
    assert_eq!(left[1], left[0]);
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN, patchwork SHARE")]
fn what_is_open_is_counted(vm: Vm) -> Result<()> {
    assert_eq!(vm.stats()?.objects, 0);
    let probe = vm.probe(Abi::Patchwork)?;
    let objects = || Ok::<_, Error>(vm.stats()?.objects);
    assert_eq!(objects()?, 3, "the standard streams");
    probe.call(patchwork::OPEN, args![text("/dev/null")])?;
    probe.call(patchwork::DUP, args![3])?;
    assert_eq!(objects()?, 5);
    probe.call(patchwork::SHARE, args![out(16), 3, u64::MAX])?;
    assert_eq!(objects()?, 6);
    vm.spawn("patchwork-null").arg("1").run()?;
    assert_eq!(objects()?, 7, "somebody may ask how it ended");
    probe.close()?;
    assert_eq!(objects()?, 1, "a key without an end stays");
    Ok(())
}

#[mayfly::test(covers = "patchwork BIND, patchwork SPAWN")]
fn binds_are_passed_on_as_they_say(vm: Vm) -> Result<()> {
    for (way, flags, expected) in [
        ("up", "0", "unseen\n"),
        ("up", "1", "seen\n"),
        ("up", "2", "unseen\n"),
        ("up", "3", "seen\n"),
        ("down", "0", "unseen\n"),
        ("down", "1", "unseen\n"),
        ("down", "2", "seen\n"),
        ("down", "3", "seen\n"),
    ] {
        let out = vm.spawn("patchwork-propagate").args([way, flags]).run()?;
        assert_eq!(out.stdout_text(), expected, "{way} {flags}");
        assert!(out.status.success());
    }
    Ok(())
}

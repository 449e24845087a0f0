//! Notes of PatchworkOS: `/proc/PID/note` (`specs/patchwork.md` §11).
//!
//! Purpose: their form, by probes; what they end, by the program
//! `user/patchwork/notes.rs`, whose threads disturb each other. Neighbours:
//! `proc.rs` has the files beside it.

use mayfly::prelude::*;

use super::files::{open, read};
use super::proc::{pid, tell};

#[mayfly::test(
    covers = "patchwork NANOSLEEP EINTR, patchwork FUTEX EINTR, patchwork POLL EINTR, patchwork READ EINTR, patchwork WRITE EINTR"
)]
fn a_note_ends_every_call_that_waits(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-notes").trace(false).run()?;
    assert_eq!(out.stdout_text(), "notes ok\n", "{:?}", out.cause);
    assert!(out.status.success());
    Ok(())
}

#[mayfly::test(covers = "patchwork NANOSLEEP EINTR")]
fn an_end_by_a_note_is_traced(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-notes").run()?;
    // The others are of the thread that sends notes.
    let slept = out.calls("NANOSLEEP").into_iter();
    let endless: Vec<_> = slept
        .filter(|call| call.arguments()[0] == u64::MAX)
        .collect();
    assert_eq!(endless.len(), 1);
    assert_eq!(endless[0].result, Err("EINTR"));
    assert!(out.status.success());
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE")]
fn kill_ends_one_thread_only(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-notes").arg("kill").run()?;
    assert_eq!(out.stdout_text(), "alone\n");
    assert_eq!(out.status.code(), 3);
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE EINVAL")]
fn a_note_is_short(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    for path in [
        "/proc/self/note".into(),
        format!("/proc/{}/note", pid(&other)?),
    ] {
        for (length, result) in [(0, Ok(0)), (1, Ok(1)), (63, Ok(63)), (64, Err("EINVAL"))] {
            assert_eq!(tell(&one, &path, &"x".repeat(length))?, result);
        }
        assert_eq!(tell(&one, &path, &"x".repeat(5000))?, Err("EINVAL"));
    }
    let log = open(&one, "/dev/klog")?;
    let text = String::from_utf8_lossy(&read(&one, log, 1000)?).into_owned();
    assert_eq!(
        text.lines().count(),
        2,
        "those to another wait for it: {text}"
    );
    assert!(text.starts_with(&format!("note to process {}: x\n", pid(&one)?)));
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE EAGAIN")]
fn eight_notes_wait_for_a_thread(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let path = format!("/proc/{}/note", pid(&other)?);
    for _ in 0..2 {
        for _ in 0..8 {
            assert_eq!(tell(&one, &path, "ahoy")?, Ok(4));
        }
        assert_eq!(tell(&one, &path, "ahoy")?, Err("EAGAIN"));
        // It runs: they have come.
        assert!(pid(&other)? > 0);
    }
    Ok(())
}

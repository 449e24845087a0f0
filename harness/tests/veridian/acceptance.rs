//! The acceptance programs of VeridianOS that need processes (`specs/veridian.md`
//! §13.4).
//!
//! Purpose: whatever T-number is looked for, a test begins with it: T01, T02,
//! T03 and T18, T19 are in `programs.rs`, T05, T06 and T09 in `processes.rs`,
//! T07 in `threads.rs`, T08 and T10 in `capabilities.rs`, T20 and T21 in
//! `load.rs`; all others are here.

use mayfly::prelude::*;

/// Runs a program of this folder, which says that all is well.
pub(crate) fn accept(vm: &Vm, program: &str, arguments: &[&str]) -> Result<Output> {
    let out = vm
        .spawn(&format!("veridian-{program}"))
        .args(arguments.iter().copied())
        .trace(false)
        .run()?;
    let expected = format!("{program} ok\n");
    assert_eq!(out.stdout_text(), expected, "{arguments:?} {:?}", out.cause);
    assert!(out.status.success());
    Ok(out)
}

/// Runs programs, and looks that nothing stays of them.
fn accept_all(vm: &Vm, program: &str, all: &[&[&str]]) -> Result<()> {
    let before = vm.stats()?;
    for arguments in all {
        accept(vm, program, arguments)?;
        let after = vm.stats()?;
        assert_eq!(after.frames_free, before.frames_free, "{arguments:?}");
        assert_eq!(after.objects, before.objects, "{arguments:?}");
    }
    Ok(())
}

#[mayfly::test(
    run_timeout = "60s",
    covers = "veridian MMAP, veridian MUNMAP, veridian MPROTECT, veridian MMAP InvalidParameter, veridian MMAP PermissionDenied, veridian MMAP InvalidCapability, veridian MMAP InvalidAddress, veridian MMAP AlreadyExists, veridian MMAP OutOfMemory, veridian MMAP ResourceExhausted, veridian MUNMAP NotFound, veridian MPROTECT PermissionDenied, veridian MPROTECT InvalidAddress"
)]
fn t04_memory_is_mapped_changed_and_unmapped_in_every_way(vm: Vm) -> Result<()> {
    accept_all(&vm, "memory", &[&["matrix"], &["places"], &["regions"]])
}

#[mayfly::test(
    covers = "veridian IPC_SEND, veridian IPC_RECEIVE, veridian IPC_SEND InvalidParameter"
)]
fn t11_messages_of_every_size_go_to_another_process(vm: Vm) -> Result<()> {
    accept_all(&vm, "messages", &[&["sizes"]])
}

#[mayfly::test(
    covers = "veridian IPC_SEND Busy, veridian IPC_CALL Busy, veridian IPC_RECEIVE Timeout"
)]
fn t12_a_queue_of_64_is_busy_and_keeps_its_order(vm: Vm) -> Result<()> {
    accept_all(&vm, "messages", &[&["queue"]])
}

#[mayfly::test(
    covers = "veridian IPC_CALL, veridian IPC_REPLY, veridian IPC_CALL Timeout, veridian IPC_CALL BufferTooSmall, veridian IPC_REPLY NotFound, veridian IPC_REPLY InvalidCapability, veridian IPC_REPLY InvalidParameter, veridian IPC_REPLY PermissionDenied, veridian IPC_REPLY InvalidAddress"
)]
fn t13_calls_are_answered_late_twice_or_by_a_stranger(vm: Vm) -> Result<()> {
    accept_all(&vm, "messages", &[&["calls"]])
}

#[mayfly::test(
    covers = "veridian IPC_SEND PermissionDenied, veridian IPC_SEND InvalidCapability, veridian CAPABILITY_REVOKE, veridian CAPABILITY_DERIVE PermissionDenied"
)]
fn t14_a_capability_is_passed_on_narrowed_and_revoked(vm: Vm) -> Result<()> {
    accept_all(&vm, "transfer", &[&["pass"]])
}

#[mayfly::test(covers = "veridian IPC_RECEIVE BufferTooSmall")]
fn t15_a_buffer_that_is_too_small_keeps_the_message(vm: Vm) -> Result<()> {
    accept_all(&vm, "messages", &[&["small"]])
}

#[mayfly::test(
    covers = "veridian IPC_CALL Interrupted, veridian IPC_CALL NotFound, veridian IPC_RECEIVE NotFound, veridian IPC_SEND NotFound, veridian IPC_CHANNEL_CREATE NotFound"
)]
fn t16_the_death_of_a_server_is_told_to_all_who_wait(vm: Vm) -> Result<()> {
    accept_all(&vm, "death", &[&[]])
}

#[mayfly::test(
    memory = "64M",
    run_timeout = "120s",
    covers = "veridian IPC_CALL, veridian MMAP"
)]
fn t17_16_mib_go_by_their_token_and_add_up(vm: Vm) -> Result<()> {
    accept_all(&vm, "transfer", &[&["large", "16777216"]])
}

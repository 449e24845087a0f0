//! Threads and futexes of PatchworkOS (`specs/patchwork.md` §7).
//!
//! Purpose: errors by probe; whatever needs several threads by the program
//! `user/patchwork/threads.rs`. Neighbours: `memory.rs` has the memory calls.

use mayfly::prelude::*;

/// Ends of the user range (§9).
const USER_START: u64 = 0x40_0000;
const USER_END: u64 = 0x7fff_ffff_f000;

/// Operations of FUTEX.
const WAIT: u32 = 0;
const WAKE: u32 = 1;

fn threads(vm: &Vm, arguments: &[&str]) -> Result<Output> {
    vm.spawn("patchwork-threads")
        .args(arguments.iter().copied())
        .trace(false)
        .run()
}

fn succeeds(vm: &Vm, arguments: &[&str]) -> Result<()> {
    let out = threads(vm, arguments)?;
    assert_eq!(out.stdout_text(), "threads ok\n", "{:?}", out.cause);
    assert!(out.status.success());
    Ok(())
}

#[mayfly::test(covers = "patchwork THREAD_CREATE, patchwork THREAD_EXIT, patchwork FUTEX")]
fn threads_add_under_a_mutex(vm: Vm) -> Result<()> {
    succeeds(&vm, &["mutex", "8", "50"])
}

#[mayfly::test(
    run_timeout = "60s",
    covers = "patchwork THREAD_CREATE, patchwork FUTEX, patchwork FUTEX ETIMEDOUT"
)]
fn a_thousand_threads_are_alive_at_once(vm: Vm) -> Result<()> {
    succeeds(&vm, &["alive", "1023"])
}

#[mayfly::test(
    run_timeout = "60s",
    covers = "patchwork THREAD_CREATE, patchwork THREAD_EXIT"
)]
fn two_thousand_threads_are_made_one_after_the_other(vm: Vm) -> Result<()> {
    succeeds(&vm, &["waves", "1024"])
}

#[mayfly::test(covers = "patchwork FUTEX")]
fn two_threads_take_turns(vm: Vm) -> Result<()> {
    succeeds(&vm, &["turns", "500"])
}

#[mayfly::test(covers = "patchwork THREAD_CREATE")]
fn who_makes_a_thread_and_spins_has_an_end_of_its_slice(vm: Vm) -> Result<()> {
    succeeds(&vm, &["spin"])
}

#[mayfly::test(covers = "patchwork THREAD_EXIT")]
fn the_last_thread_ends_the_process_with_status_0(vm: Vm) -> Result<()> {
    let out = threads(&vm, &["last"])?;
    assert_eq!(out.stdout_text(), "last\n");
    assert_eq!((out.status.code(), out.cause), (0, Cause::Exited));
    Ok(())
}

#[mayfly::test]
fn a_fault_in_any_thread_ends_the_process_with_status_14(vm: Vm) -> Result<()> {
    assert_eq!(threads(&vm, &["fault"])?.status.code(), 14);
    Ok(())
}

#[mayfly::test]
fn an_exit_ends_all_threads_and_nothing_stays(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    for _ in 0..2 {
        assert_eq!(threads(&vm, &["exit", "100"])?.status.code(), 7);
    }
    assert_eq!(vm.stats()?.frames_free, before.frames_free);
    Ok(())
}

#[mayfly::test(covers = "patchwork THREAD_EXIT")]
fn the_only_thread_ends_its_probe(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let error = probe.call(patchwork::THREAD_EXIT, args![]).unwrap_err();
    assert!(error.to_string().contains("status 0"), "{error}");
    Ok(())
}

#[mayfly::test(
    covers = "patchwork THREAD_CREATE EINVAL, patchwork THREAD_CREATE EFAULT, patchwork THREAD_CREATE EOVERFLOW"
)]
fn a_thread_needs_an_entry_in_user_memory(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (entry, error) in [
        (0, "EINVAL"),
        (8, "EFAULT"),
        (USER_START - 1, "EFAULT"),
        (USER_END - 7, "EFAULT"),
        (USER_END, "EFAULT"),
        (0x8000_0000_0000, "EFAULT"),
        (0xffff_8000_0000_0000, "EFAULT"),
        (u64::MAX - 8, "EFAULT"),
        (u64::MAX - 7, "EOVERFLOW"),
        (u64::MAX, "EOVERFLOW"),
    ] {
        let call = probe.call(patchwork::THREAD_CREATE, args![entry, 1])?;
        assert_eq!(
            (call.value, call.result),
            (u64::MAX, Err(error)),
            "{entry:#x}"
        );
    }
    Ok(())
}

#[mayfly::test(
    covers = "patchwork FUTEX EINVAL, patchwork FUTEX EFAULT, patchwork FUTEX EAGAIN, patchwork FUTEX ETIMEDOUT"
)]
fn a_futex_that_cannot_be_waited_on_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let word = || input(5_u64.to_le_bytes());
    for (arguments, error) in [
        (args![0, 5, WAIT, 0], "EINVAL"),
        (args![0, 5, WAKE, 0], "EINVAL"),
        (args![word(), 5, 2, 0], "EINVAL"),
        (args![word(), 5, -1, 0], "EINVAL"),
        (args![8, 5, WAIT, 0], "EFAULT"),
        (args![USER_END - 7, 5, WAIT, 0], "EFAULT"),
        (args![0xffff_8000_0000_0000_u64, 5, WAIT, 0], "EFAULT"),
        (args![u64::MAX, 5, WAIT, 0], "EFAULT"),
        (args![word(), 4, WAIT, 0], "EAGAIN"),
        (args![word(), (1_u64 << 32) + 5, WAIT, u64::MAX], "EAGAIN"),
        (args![word(), 5, WAIT, 0], "ETIMEDOUT"),
        (args![word(), 5, WAIT, 2_000_000], "ETIMEDOUT"),
        // The high half of the operation does not count.
        (args![word(), 5, 1_u64 << 32, 1], "ETIMEDOUT"),
    ] {
        let call = probe.call(patchwork::FUTEX, arguments.clone())?;
        assert_eq!(
            (call.value, call.result),
            (u64::MAX, Err(error)),
            "{arguments:?}"
        );
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork FUTEX")]
fn a_wake_touches_no_memory(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (address, count) in [(8_u64, 1_u64), (0x1234_5678_9000, u64::MAX), (8, 0)] {
        let call = probe.call(patchwork::FUTEX, args![address, count, WAKE, 0])?;
        assert_eq!(call.result, Ok(0));
    }
    Ok(())
}

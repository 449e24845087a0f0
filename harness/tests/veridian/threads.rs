//! Threads of VeridianOS (`specs/veridian.md` §5, §7.7).
//!
//! Purpose: errors by probe; whatever needs threads that run by the program
//! `user/veridian/threads.rs`. Neighbours: `programs.rs` runs the others.

use mayfly::prelude::*;

/// A page of the probe's buffer, which is writable and not executable.
const STACK: u64 = BUFFER;

fn threads(vm: &Vm, arguments: &[&str]) -> Result<Output> {
    vm.spawn("veridian-threads")
        .args(arguments.iter().copied())
        .trace(false)
        .run()
}

#[mayfly::test(
    covers = "veridian THREAD_CREATE, veridian THREAD_EXIT, veridian THREAD_JOIN, veridian THREAD_JOIN InvalidParameter, veridian THREAD_JOIN NotFound, veridian THREAD_JOIN Busy, veridian THREAD_JOIN Timeout"
)]
fn t07_thirty_two_threads_add_up_and_are_joined(vm: Vm) -> Result<()> {
    let out = threads(&vm, &["sum"])?;
    assert_eq!(out.stdout_text(), "threads ok\n", "{:?}", out.cause);
    assert!(out.status.success());
    Ok(())
}

#[mayfly::test(covers = "veridian THREAD_EXIT")]
fn the_last_thread_gives_the_process_its_code(vm: Vm) -> Result<()> {
    for code in [0, 42] {
        let out = threads(&vm, &["last", &code.to_string()])?;
        assert_eq!((out.status.code(), out.cause), (code, Cause::Exited));
    }
    Ok(())
}

#[mayfly::test]
fn a_fault_or_a_return_in_any_thread_ends_the_process(vm: Vm) -> Result<()> {
    for (way, status) in [("fault", -7), ("return", -15)] {
        let out = threads(&vm, &[way])?;
        assert_eq!(out.status.code(), status, "{way}: {}", out.stdout_text());
        assert!(matches!(out.cause, Cause::Fault { .. }), "{:?}", out.cause);
    }
    Ok(())
}

#[mayfly::test(covers = "veridian EXIT")]
fn an_exit_ends_all_threads_and_nothing_stays(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    for _ in 0..2 {
        assert_eq!(threads(&vm, &["exit", "40"])?.status.code(), 7);
    }
    let after = vm.stats()?;
    assert_eq!(after.frames_free, before.frames_free);
    Ok(())
}

#[mayfly::test(covers = "veridian THREAD_CREATE ResourceExhausted")]
fn a_process_has_256_threads(vm: Vm) -> Result<()> {
    let out = threads(&vm, &["most"])?;
    assert_eq!(out.stdout_text(), "threads ok\n", "{:?}", out.cause);
    Ok(())
}

#[mayfly::test(
    covers = "veridian THREAD_CREATE InvalidParameter, veridian THREAD_CREATE InvalidAddress"
)]
fn a_thread_needs_an_entry_and_a_stack(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for (entry, base, size, error) in [
        (0, STACK, 4096, "InvalidParameter"),
        (STACK, STACK, 4095, "InvalidParameter"),
        (STACK, STACK, u64::MAX, "InvalidParameter"),
        (0, 0, 0, "InvalidParameter"),
        (8, STACK, 4096, "InvalidAddress"),
        (STACK, STACK, 4096, "InvalidAddress"),
        (0xffff_8000_0000_0000, STACK, 4096, "InvalidAddress"),
        (u64::MAX, STACK, 4096, "InvalidAddress"),
        (STACK, 0, 4096, "InvalidAddress"),
        (STACK, 0xffff_8000_0000_0000, 4096, "InvalidAddress"),
    ] {
        let call = probe.call(veridian::THREAD_CREATE, args![entry, base, size, 0])?;
        assert_eq!(call.result, Err(error), "{entry:#x} {base:#x} {size:#x}");
    }
    Ok(())
}

#[mayfly::test(covers = "veridian THREAD_JOIN InvalidParameter, veridian THREAD_JOIN NotFound")]
fn a_join_needs_another_thread(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for (thread, error) in [
        (1, "InvalidParameter"),
        (0, "NotFound"),
        (2, "NotFound"),
        (u64::MAX, "NotFound"),
    ] {
        for timeout in [0, 1, u64::MAX] {
            let call = probe.call(veridian::THREAD_JOIN, args![thread, timeout])?;
            assert_eq!(call.result, Err(error), "{thread} {timeout}");
        }
    }
    Ok(())
}

#[mayfly::test(covers = "veridian THREAD_EXIT")]
fn the_only_thread_ends_its_probe_with_its_code(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let error = probe.call(veridian::THREAD_EXIT, args![-9]).unwrap_err();
    assert!(error.to_string().contains("status -9"), "{error}");
    Ok(())
}

#[mayfly::test]
fn every_thread_has_its_own_fs_and_gs_base(vm: Vm) -> Result<()> {
    const FSGSBASE: u32 = 1 << 5;
    let out = vm.spawn("veridian-bases").trace(false).run()?;
    let expected = match vm.ready().protections & FSGSBASE {
        0 => "no FSGSBASE\n",
        _ => "bases ok\n",
    };
    assert_eq!(out.stdout_text(), expected, "{:?}", out.cause);
    Ok(())
}

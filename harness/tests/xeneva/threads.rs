//! Threads of XenevaOS (`specs/xeneva.md` §3.2, §3.5, services 32 and 35).
//!
//! Purpose: CreateUserThread, PauseThread and SendSignal with every failure;
//! most of it in `user/xeneva/threads.rs`. Neighbours: `processes.rs`.

use mayfly::prelude::*;

fn threads(vm: &Vm, arguments: &[&str]) -> Result<Output> {
    vm.spawn("xeneva-threads")
        .args(arguments.iter().copied())
        .run()
}

fn holds(vm: &Vm, arguments: &[&str]) -> Result<()> {
    let out = threads(vm, arguments)?;
    assert_eq!(out.stdout_text(), "threads ok\n", "{:?}", out.all_calls());
    Ok(())
}

#[mayfly::test(
    covers = "xeneva PauseThread, xeneva SendSignal, xeneva CreateUserThread, xeneva ProcessExit"
)]
fn a_thread_wakes_the_main_one_each_time_it_pauses(vm: Vm) -> Result<()> {
    let rounds = mayfly::rounds(&vm, 200, 1000).to_string();
    holds(&vm, &["turns", &rounds])
}

#[mayfly::test(covers = "xeneva PauseThread, xeneva SendSignal")]
fn a_signal_that_comes_early_ends_the_next_pause_and_no_other(vm: Vm) -> Result<()> {
    let early = vm.spawn("xeneva-threads").arg("early").start()?;
    early.wait_for_stdout(|said| said == b"pauses\n")?;
    // Two signals before one pause are one; the second pause lasts.
    let probe = vm.probe(Abi::Xeneva)?;
    let pid = probe.call(xeneva::GetProcessID, args![])?.value - 1;
    assert_eq!(early.stdout_so_far(), b"pauses\n");
    let sent = probe.call(xeneva::SendSignal, args![pid, 1])?;
    assert_eq!(sent.result, Ok(0));
    assert_eq!(early.wait()?.stdout_text(), "pauses\nthreads ok\n");
    Ok(())
}

#[mayfly::test(covers = "xeneva SendSignal, xeneva PauseThread")]
fn another_process_ends_a_pause(vm: Vm) -> Result<()> {
    let paused = vm.spawn("xeneva-threads").arg("paused").start()?;
    paused.wait_for_stdout(|said| said.ends_with(b"\n"))?;
    let pid = String::from_utf8(paused.stdout_so_far()).expect("digits");
    // One: it may end before a second could come.
    holds(&vm, &["signal", pid.trim()])?;
    assert_eq!(paused.wait()?.stdout_text(), format!("{pid}threads ok\n"));
    Ok(())
}

#[mayfly::test(covers = "xeneva SendSignal, xeneva SendSignal FAILED, xeneva PauseThread")]
fn signals_have_a_process_and_a_number(vm: Vm) -> Result<()> {
    let (probe, other) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Xeneva)?);
    let pid = |probe: &Probe<'_>| {
        let call = probe.call(xeneva::GetProcessID, args![])?;
        Ok::<_, Error>(call.value)
    };
    let (own, theirs) = (pid(&probe)?, pid(&other)?);
    let slot = crate::slots::create(&probe)?;
    let send = |pid: u64, number: u64| {
        let call = probe.call(xeneva::SendSignal, args![pid, number])?;
        Ok::<_, Error>(call.result)
    };
    // Nobody, the first process that is not there, who is no process yet, and an id
    // of another interface.
    for pid in [0, 1, slot, slot + 1, 1 << 31, 0xffff_ffff] {
        assert_eq!(send(pid, 1)?, Err("FAILED"), "{pid:#x}");
    }
    for number in [39, 0x7fff_ffff, 1 << 31, 0xffff_ffff] {
        assert_eq!(send(theirs, number)?, Err("FAILED"), "{number:#x}");
    }
    // None of these has come; the high halves do not count.
    for (pid, to) in [(own, &probe), (theirs, &other)] {
        assert_eq!(send(pid | 3 << 32, 38 | 5 << 32)?, Ok(0));
        let paused = to.call(xeneva::PauseThread, args![])?;
        assert_eq!(paused.result, Ok(1));
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva SendSignal")]
fn a_signal_ends_no_other_wait(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let waiter = vm.spawn("xeneva-processes").args(["wait", "2"]).start()?;
    waiter.wait_for_stdout(|said| said == b"waits\n")?;
    let sent = probe.call(xeneva::SendSignal, args![3, 1])?;
    assert_eq!(sent.result, Ok(0));
    crate::slots::turn(&probe)?;
    assert_eq!(waiter.stdout_so_far(), b"waits\n");
    probe.close()?;
    assert_eq!(waiter.wait()?.stdout_text(), "waits\nover\n");
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateUserThread, xeneva CreateUserThread FAILED")]
fn a_process_has_sixty_threads(vm: Vm) -> Result<()> {
    holds(&vm, &["full"])
}

#[mayfly::test(covers = "xeneva CreateUserThread FAILED")]
fn a_thread_needs_an_entry_and_a_name(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    for entry in [0, 0x7fff_ffff_f000, 0x8000_0000_0000, u64::MAX] {
        let made = probe.call(xeneva::CreateUserThread, args![entry, text("thread")])?;
        assert_eq!(made.result, Err("FAILED"), "{entry:#x}");
    }
    for name in [0, 8, 0x1234_5678_9000, 0x8000_0000_0000, u64::MAX] {
        let made = probe.call(xeneva::CreateUserThread, args![0x60_0000, name])?;
        assert_eq!(made.result, Err("FAILED"), "{name:#x}");
    }
    Ok(())
}

#[mayfly::test]
fn a_fault_of_a_thread_ends_its_process(vm: Vm) -> Result<()> {
    let out = threads(&vm, &["fault"])?;
    assert!(
        matches!(out.cause, Cause::Fault { vector: 14, .. }),
        "{}",
        out.cause
    );
    Ok(())
}

#[mayfly::test]
fn a_threads_stack_ends_in_a_guard_page(vm: Vm) -> Result<()> {
    let out = threads(&vm, &["overflow"])?;
    let Cause::Fault {
        vector: 14,
        address,
        ..
    } = out.cause
    else {
        panic!("{}", out.cause);
    };
    // The second thread's stack lies above the first one's and the main one's.
    let guard = 0x7000_0000_0000 + 2 * 0x8_0000;
    assert!((guard..guard + 4096).contains(&address), "{address:#x}");
    Ok(())
}

#[mayfly::test]
fn threads_leave_nothing(vm: Vm) -> Result<()> {
    let round = || {
        for way in [&["full"][..], &["exit"], &["ids", "9"], &["fault"]] {
            threads(&vm, way)?;
        }
        vm.stats()
    };
    round()?;
    let before = round()?;
    assert_eq!(round()?, before);
    Ok(())
}

//! The test ideas of `specs/xeneva.md` §8, one after the other.
//!
//! Purpose: each is a test with the words of the specification for a name.
//! Neighbours: the other files of this folder go deeper.

use mayfly::image;
use mayfly::prelude::*;

use crate::shared::{create as create_shared, load as read, obtain, store};
use crate::slots::{ARGS, create, load, wait};

/// Result of a failed service.
const FAILED: u64 = u64::MAX;

#[mayfly::test]
fn number_9999_is_minus_1(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    assert_eq!(probe.call(9999, args![])?.value, FAILED);
    Ok(())
}

#[mayfly::test(covers = "xeneva GetThreadID, xeneva GetProcessID, xeneva CreateUserThread")]
fn service_3_and_service_4_have_spaces_of_their_own(vm: Vm) -> Result<()> {
    // Each of five threads has an id of its own; all have one process id.
    let out = vm.spawn("xeneva-threads").args(["ids", "5"]).run()?;
    assert_eq!(out.stdout_text(), "threads ok\n", "{:?}", out.all_calls());
    // The next process has the next process id, and a thread id six further on.
    let probe = vm.probe(Abi::Xeneva)?;
    let pid = probe.call(xeneva::GetProcessID, args![])?.value;
    let tid = probe.call(xeneva::GetThreadID, args![])?.value;
    assert_eq!((pid, tid), (3, 7));
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessExit")]
fn service_5_from_a_sub_thread_is_1(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-threads").arg("exit").run()?;
    assert_eq!(out.stdout_text(), "threads ok\n");
    assert!(out.status.success(), "the main thread's exit ends it");
    Ok(())
}

#[test]
fn service_5_in_pid_1_is_0() -> Result<()> {
    let program = image::program("xeneva-init").expect("bundled").bytes;
    let vm = VmOptions::default().file("init.exe", program).boot()?;
    let root = vm.spawn("init.exe").arg("-about").start()?;
    let said = "process 1\nexit answers 0\n";
    root.wait_for_stdout(|out| out == said.as_bytes())?;
    // It goes on, as the one who reaps.
    let out = vm.spawn("xeneva-hello").arg("x").run()?;
    assert!(out.status.success());
    root.wait_for_stdout(|out| out.ends_with(b"reaped\n"))?;
    // There is one such process: a second one is like any other.
    let second = vm.spawn("init.exe").start()?;
    let ended = second.wait()?;
    assert!(
        ended.stdout_text().starts_with("process "),
        "{}",
        ended.stdout_text()
    );
    assert_eq!(root.kill()?.cause, Cause::Killed);
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateProcess")]
fn service_7_returns_increasing_pids(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let pids = [create(&probe)?, create(&probe)?, create(&probe)?];
    assert!(pids.is_sorted_by(|one, next| one < next), "{pids:?}");
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessLoadExec FAILED, xeneva ProcessWaitForTermination")]
fn service_8_with_x_txt_is_minus_1_and_6_of_that_pid_is_0(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let fd = probe.call(xeneva::OpenFile, args![text("/x.txt"), 4])?;
    assert!(fd.result.is_ok());
    let slot = create(&probe)?;
    assert_eq!(load(&probe, slot, "/x.txt")?, Err("FAILED"));
    assert_eq!(wait(&probe, slot)?, 0);
    assert_eq!(load(&probe, slot, ARGS)?, Err("FAILED"), "the slot is gone");
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateSharedMem")]
fn service_9_with_the_same_key_twice_is_the_same_id(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let id = create_shared(&probe, 0x1234, 4096)?;
    assert!(id.is_ok());
    assert_eq!(create_shared(&probe, 0x1234, 9999)?, id);
    assert_ne!(create_shared(&probe, 0x1235, 4096)?, id);
    Ok(())
}

#[mayfly::test(covers = "xeneva ObtainSharedMem")]
fn service_10_twice_is_two_addresses_with_the_same_data(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let id = create_shared(&probe, 4, 4096)?.expect("made");
    let one = obtain(&probe, id)?.expect("mapped");
    let two = obtain(&probe, id)?.expect("mapped");
    assert_ne!(one, two);
    store(&probe, one + 100, b"data")?;
    assert_eq!(read(&probe, two + 100, 4)?, b"data");
    Ok(())
}

#[mayfly::test(covers = "xeneva UnmapSharedMem")]
fn service_11_takes_the_key(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let id = create_shared(&probe, 40, 4096)?.expect("made");
    assert_ne!(id, 40);
    let at = obtain(&probe, id)?.expect("mapped");
    for (key, length) in [(id, 1), (40, 0)] {
        assert_eq!(probe.call(xeneva::UnmapSharedMem, args![key])?.value, 0);
        assert_eq!(read(&probe, at, 1)?.len(), length, "{key}");
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva OpenFile, xeneva OpenFile FAILED")]
fn service_12_of_what_is_missing_is_minus_1_with_2_and_creates_with_4(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let open = |mode| probe.call(xeneva::OpenFile, args![text("/tmp/missing"), mode]);
    assert_eq!(open(2)?.result, Err("FAILED"));
    assert_eq!(open(4)?.result, Ok(3));
    assert_eq!(open(2)?.result, Ok(4));
    Ok(())
}

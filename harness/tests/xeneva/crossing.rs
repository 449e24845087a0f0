//! Programs of all interfaces start each other (`specs/xeneva.md` §3.8).
//!
//! Purpose: whoever starts whom, what the child writes arrives where the
//! standard streams of its maker lead, and files are given by SetFileToProcess.
//! Neighbours: `processes.rs` has the services one by one.

use mayfly::prelude::*;

use crate::slots::{self, ARGS, create, load, wait};

fn run(vm: &Vm, program: &str, arguments: &[&str]) -> Result<Output> {
    vm.spawn(program).args(arguments.iter().copied()).run()
}

#[mayfly::test(covers = "xeneva ProcessLoadExec")]
fn xeneva_starts_all_interfaces(vm: Vm) -> Result<()> {
    for abi in Abi::ALL {
        let program = format!("/bin/{}-args.exe", abi.name());
        let out = run(&vm, "xeneva-processes", &["run", &program, "two words"])?;
        let expected = format!("{program}\ntwo words\nover\n");
        assert_eq!(out.stdout_text(), expected, "{:?}", out.all_calls());
        assert!(matches!(out.children(), [child] if child.abi == Some(abi)));
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva SetFileToProcess, xeneva ProcessLoadExec")]
fn output_of_the_others_comes_through_a_pipe(vm: Vm) -> Result<()> {
    for abi in [Abi::Patchwork, Abi::Veridian] {
        let program = format!("/bin/{}-args.exe", abi.name());
        let out = run(&vm, "xeneva-processes", &["collect", &program, "x"])?;
        let expected = format!("{program}\nx\n");
        assert_eq!(out.stdout_text(), expected, "{:?}", out.all_calls());
        // Written by the maker: the child's own output went into the pipe.
        let calls = out.calls("WriteFile");
        assert!(calls.iter().any(|call| call.pid() == out.pid()));
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN, xeneva ProcessLoadExec")]
fn patchwork_starts_xeneva_which_starts_the_others(vm: Vm) -> Result<()> {
    for abi in [Abi::Patchwork, Abi::Veridian] {
        let program = format!("/bin/{}-args.exe", abi.name());
        // The pipe is PatchworkOS's standard output; it goes on to the last.
        for way in ["run", "collect"] {
            let out = run(
                &vm,
                "patchwork-spawn",
                &["collect", "0", "/bin/xeneva-processes", way, &program, "x"],
            )?;
            let said = out.stdout_text();
            let lines: Vec<&str> = said.lines().filter(|line| *line != "over").collect();
            assert_eq!(lines, [&program[..], "x"], "{:?}", out.all_calls());
            assert_eq!(out.children().len(), 2);
        }
    }
    Ok(())
}

fn set_file(probe: &Probe<'_>, fd: u64, dest: u64, pid: u64) -> Result<slots::Answer> {
    let call = probe.call(xeneva::SetFileToProcess, args![fd, dest, pid])?;
    Ok(call.result)
}

#[mayfly::test(covers = "xeneva SetFileToProcess, xeneva SetFileToProcess FAILED")]
fn files_are_given_to_empty_descriptors_of_others(vm: Vm) -> Result<()> {
    let (probe, other) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Xeneva)?);
    let own = probe.call(xeneva::GetProcessID, args![])?.value;
    let theirs = other.call(xeneva::GetProcessID, args![])?.value;
    let fd = probe
        .call(xeneva::OpenFile, args![text("/tmp/a"), 6])?
        .value;
    let slot = create(&probe)?;
    for (fd, dest, pid) in [
        (99, 3, slot),
        (u64::MAX, 3, slot),
        (fd, 60, slot),
        (fd, u64::MAX, slot),
        (fd, 1 << 31, slot),
        (fd, 3, 0),
        (fd, 3, slot + 1),
        (fd, 3, u64::MAX),
        // Its own process is no other one; standard output is not empty.
        (fd, 5, own),
        (fd, 1, theirs),
    ] {
        let given = set_file(&probe, fd, dest, pid)?;
        assert_eq!(given, Err("FAILED"), "{fd} {dest} {pid}");
    }
    // The halves that do not count are dropped.
    let high = 7 << 32;
    for dest in [59, 0] {
        assert_eq!(
            set_file(&probe, fd | high, dest | high, slot | high)?,
            Ok(0)
        );
        assert_eq!(set_file(&probe, fd, dest, slot)?, Err("FAILED"), "taken");
    }
    // One that runs is given files too, and has their position.
    assert_eq!(set_file(&probe, fd, 9, theirs)?, Ok(0));
    let write = args![9, input("theirs"), 6];
    assert_eq!(other.call(xeneva::WriteFile, write)?.value, 6);
    let write = args![fd, input("ours"), 4];
    assert_eq!(probe.call(xeneva::WriteFile, write)?.value, 4);
    let again = probe
        .call(xeneva::OpenFile, args![text("/tmp/a"), 2])?
        .value;
    let read = probe.call(xeneva::ReadFile, args![again, out(16), 16])?;
    assert_eq!(
        (read.value, &read.buffers[0][..10]),
        (10, &b"theirsours"[..])
    );
    Ok(())
}

#[mayfly::test(covers = "xeneva SetFileToProcess")]
fn a_slot_that_was_given_a_file_has_no_other(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let null = probe
        .call(xeneva::OpenFile, args![text("/dev/null"), 4])?
        .value;
    // With a file at 5 it has no standard output; without it has its loader's.
    for (given, program, said) in [
        (Some(5), "/bin/patchwork-unknown.exe", ""),
        (Some(1), "/bin/patchwork-unknown.exe", ""),
        (None, "/bin/patchwork-unknown.exe", "unknown ok\n"),
        // SeTextOut is no file.
        (Some(1), ARGS, "/bin/xeneva-args.exe\n"),
    ] {
        let before = probe.stdout_so_far().len();
        let slot = create(&probe)?;
        if let Some(dest) = given {
            assert_eq!(set_file(&probe, null, dest, slot)?, Ok(0));
        }
        assert_eq!(load(&probe, slot, program)?, Ok(0));
        assert_eq!(wait(&probe, slot)?, 0);
        let written = &probe.stdout_so_far()[before..];
        assert_eq!(
            String::from_utf8_lossy(written),
            said,
            "{given:?} {program}"
        );
    }
    Ok(())
}

//! SPAWN of PatchworkOS (`specs/patchwork.md` §5, §6).
//!
//! Purpose: errors by probe; children by the program `user/patchwork/spawn.rs`,
//! which gives them pipes. What needs memory to run out is tested in
//! `kernel/core`. Neighbours: `pipes.rs` has pipes without another process.

use mayfly::prelude::*;

fn spawn(vm: &Vm, arguments: &[&str]) -> Result<Output> {
    vm.spawn("patchwork-spawn")
        .args(arguments.iter().copied())
        .run()
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn a_childs_output_comes_through_a_pipe(vm: Vm) -> Result<()> {
    let out = spawn(
        &vm,
        &[
            "collect",
            "0",
            "/bin/patchwork-args",
            "one",
            "",
            "two words",
        ],
    )?;
    assert_eq!(
        out.stdout_text(),
        "/bin/patchwork-args\none\n\ntwo words\n",
        "{:?}",
        out.all_calls()
    );
    assert!(out.status.success());
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn a_childs_input_comes_through_a_pipe(vm: Vm) -> Result<()> {
    let out = spawn(&vm, &["through", "hello"])?;
    assert_eq!(out.stdout_text(), "hello", "{:?}", out.all_calls());
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn children_of_all_interfaces_write_where_the_program_does(vm: Vm) -> Result<()> {
    for abi in Abi::ALL {
        let program = format!("/bin/{}-args", abi.name());
        let out = spawn(&vm, &["plain", "0", &program, "x"])?;
        assert_eq!(out.stdout_text(), format!("{program}\nx\n"));
        let [child] = out.children() else {
            panic!("{:?}", out.children());
        };
        assert_eq!((child.abi, child.parent), (Some(abi), out.pid()));
        assert_eq!(child.program, program);
        assert!(child.status.is_some_and(ExitStatus::success));
        assert!(out.all_calls().iter().any(|call| call.pid() == child.pid));
    }
    Ok(())
}

#[mayfly::test(
    covers = "patchwork SPAWN EINVAL, patchwork SPAWN EFAULT, patchwork SPAWN ENAMETOOLONG, patchwork SPAWN E2BIG"
)]
fn an_argv_that_cannot_be_is_refused(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (argv, error) in [
        (0_u64, "EINVAL"),
        (8, "EFAULT"),
        (u64::MAX - 3, "EFAULT"),
        (0xffff_8000_0000_0000, "EFAULT"),
    ] {
        let call = probe.call(patchwork::SPAWN, args![argv, 0])?;
        assert_eq!(
            (call.value, call.result),
            (u64::MAX, Err(error)),
            "{argv:#x}"
        );
    }
    let word = |word: u64| word.to_le_bytes().to_vec();
    let long = [&[b'x'; 256][..], b"\0"].concat();
    for (bytes, error) in [
        (word(0), "EINVAL"),
        ([word(8), word(0)].concat(), "EFAULT"),
        ([word(BUFFER + 16), word(0), long].concat(), "ENAMETOOLONG"),
        (word(BUFFER).repeat(512), "E2BIG"),
    ] {
        let call = probe.call(patchwork::SPAWN, args![input(bytes), 0])?;
        assert_eq!(call.result, Err(error));
    }
    Ok(())
}

/// Status of a child that a program starts, and what came out of it.
fn collected(vm: &Vm, flags: &str, program: &str) -> Result<(String, ExitStatus)> {
    let out = spawn(vm, &["collect", flags, program, "x"])?;
    assert!(out.status.success(), "{}", out.stdout_text());
    let [child] = out.children() else {
        panic!("{:?}", out.children());
    };
    let status = child.status.expect("its output ended with it");
    Ok((out.stdout_text(), status))
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn what_is_wrong_with_the_executable_is_the_childs_status(vm: Vm) -> Result<()> {
    for (path, errno) in [
        ("/bin/none", 2),
        ("/bin/patchwork-args:write", 9),
        ("/bin/patchwork-args:directory", 20),
        ("/bin", 21),
        ("/bin:directory", 21),
        ("/bin/a*b", 22),
        ("/bin/patchwork-args:unknown", 135),
        ("/dev/null", 138),
        ("/tmp/empty:create", 138),
    ] {
        let (text, status) = collected(&vm, "0", path)?;
        assert_eq!((text.as_str(), status.code()), ("", errno), "{path}");
        assert!(!status.success());
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn the_flags_say_what_a_child_has(vm: Vm) -> Result<()> {
    let program = "/bin/patchwork-args";
    let all = "/bin/patchwork-args\nx\n";
    // STDIO_FDS, EMPTY_ENV, EMPTY_CWD, and a bit that means nothing.
    for flags in ["0", "4", "16", "32", "0x10000"] {
        let (text, status) = collected(&vm, flags, program)?;
        assert_eq!((text.as_str(), status.code()), (all, 0), "{flags}");
    }
    let (text, _) = collected(&vm, "32", "bin/patchwork-args")?;
    assert_eq!(text, "bin/patchwork-args\nx\n");
    // EMPTY_NS: nothing is there, unless it is relative to the root.
    assert_eq!(collected(&vm, "8", program)?.1.code(), 2);
    assert_eq!(collected(&vm, "8", "bin/patchwork-args")?.1.code(), 0);
    // EMPTY_FDS, alone and with STDIO_FDS.
    for flags in ["2", "6"] {
        let out = spawn(&vm, &["collect", flags, program, "x"])?;
        assert_eq!(out.stdout_text(), "", "{flags}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn a_suspended_child_does_not_run_and_ends_with_its_program(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    let probe = vm.probe(Abi::Patchwork)?;
    let argv = [BUFFER + 16, 0].map(u64::to_le_bytes).concat();
    let argv = [&argv[..], b"/bin/patchwork-args\0"].concat();
    let spawn = |flags: u64| probe.call(patchwork::SPAWN, args![input(argv.clone()), flags]);
    // The high half of the flags does not count.
    let ids = [spawn(1)?.value, spawn(1 << 32 | 1)?.value];
    assert_eq!(ids[1], ids[0] + 1);
    for _ in 0..3 {
        probe.call(patchwork::YIELD, args![])?;
    }
    assert_eq!(vm.stats()?.processes, 3);
    assert!(probe.stdout_so_far().is_empty());
    let third = spawn(0)?;
    assert_eq!(third.value, ids[1] + 1);
    for _ in 0..3 {
        probe.call(patchwork::YIELD, args![])?;
    }
    assert_eq!(vm.stats()?.processes, 3);
    assert_eq!(probe.stdout_so_far(), b"/bin/patchwork-args\n");
    probe.close()?;
    let after = vm.stats()?;
    assert_eq!(
        (after.processes, after.frames_free),
        (0, before.frames_free)
    );
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn children_have_children(vm: Vm) -> Result<()> {
    let out = spawn(&vm, &["deep", "9"])?;
    assert_eq!(out.stdout_text(), "bottom\n");
    assert_eq!(out.children().len(), 4);
    Ok(())
}

/// Others have their turns while a program that starts another one runs.
fn pass_time(vm: &Vm) -> Result<()> {
    let out = spawn(vm, &["collect", "0", "/bin/patchwork-hello"])?;
    assert!(out.status.success());
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn a_child_goes_on_when_its_parent_ends(vm: Vm) -> Result<()> {
    let parent = vm
        .spawn("patchwork-spawn")
        .args(["orphan", "/bin/patchwork-args", "late"])
        .start()?;
    assert_eq!(parent.wait()?.status.code(), 3);
    pass_time(&vm)?;
    assert_eq!(vm.stats()?.processes, 0);
    let text = String::from_utf8(parent.stdout_so_far()).expect("text");
    assert_eq!(text, "/bin/patchwork-args\nlate\n");
    Ok(())
}

#[mayfly::test]
fn a_killed_program_takes_its_children_along(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    let parent = vm
        .spawn("patchwork-spawn")
        .args(["wait", "0", "/bin/patchwork-spin"])
        .start()?;
    pass_time(&vm)?;
    assert_eq!(vm.stats()?.processes, 2);
    assert_eq!(parent.kill()?.cause, Cause::Killed);
    let after = vm.stats()?;
    assert_eq!(
        (after.processes, after.frames_free),
        (0, before.frames_free)
    );
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN")]
fn an_executable_that_a_program_wrote_runs(vm: Vm) -> Result<()> {
    let out = spawn(&vm, &["written", "/bin/patchwork-args", "x"])?;
    assert_eq!(
        out.stdout_text(),
        "/tmp/written\nx\n",
        "{:?}",
        out.all_calls()
    );
    assert!(out.status.success());
    Ok(())
}

#[mayfly::test]
fn many_children_leave_nothing(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    let out = vm
        .spawn("patchwork-spawn")
        .args(["many", "100", "/bin/patchwork-exit", "7"])
        .trace(false)
        .run()?;
    assert!(out.status.success(), "{}", out.stdout_text());
    let after = vm.stats()?;
    assert_eq!(
        (after.processes, after.frames_free),
        (0, before.frames_free)
    );
    Ok(())
}

#[mayfly::test]
fn a_spawn_is_within_its_budget(vm: Vm) -> Result<()> {
    let counted = VmOptions::default()
        .backend(vm.backend())
        .meter(true)
        .boot()?;
    let probe = counted.probe(Abi::Patchwork)?;
    let argv = [BUFFER + 16, 0].map(u64::to_le_bytes).concat();
    let argv = [&argv[..], b"/bin/patchwork-exit\0"].concat();
    // The first one makes what all files share.
    probe.call(patchwork::SPAWN, args![input(argv.clone()), 1])?;
    let second = probe.call(patchwork::SPAWN, args![input(argv), 1])?;
    budget!(second, kernel_instr <= 2_000);
    Ok(())
}

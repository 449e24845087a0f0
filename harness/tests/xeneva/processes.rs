//! Processes of XenevaOS (`specs/xeneva.md` §3.5 to §3.8, service 33).
//!
//! Purpose: CreateProcess, ProcessLoadExec, ProcessWaitForTermination and
//! SetFileToProcess: errors by probe, children by `user/xeneva/processes.rs`.
//! Neighbours: `images.rs` has executables that are none, `crossing.rs` other interfaces.

use mayfly::prelude::*;

use crate::slots::{self, ARGS, create, failed, load, wait, with_array};

fn processes(vm: &Vm, arguments: &[&str]) -> Result<Output> {
    vm.spawn("xeneva-processes")
        .args(arguments.iter().copied())
        .run()
}

#[mayfly::test(
    covers = "xeneva CreateProcess, xeneva ProcessLoadExec, xeneva ProcessWaitForTermination"
)]
fn a_child_runs_with_its_arguments_and_is_waited_for(vm: Vm) -> Result<()> {
    let out = processes(&vm, &["run", ARGS, "one", "", "two words"])?;
    let expected = format!("{ARGS}\none\n\ntwo words\nover\n");
    assert_eq!(out.stdout_text(), expected, "{:?}", out.all_calls());
    let [child] = out.children() else {
        panic!("{:?}", out.children());
    };
    assert_eq!((child.abi, child.parent), (Some(Abi::Xeneva), out.pid()));
    assert_eq!(child.program, ARGS);
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateProcess, xeneva CreateProcess FAILED")]
fn ids_rise_and_names_are_cut(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let own = probe.call(xeneva::GetProcessID, args![])?.value;
    let first = create(&probe)?;
    assert!(first > own);
    // Who the parent is said to be does not count, nor how long the name is.
    let long = "x".repeat(5000);
    for (parent, name) in [(0, ""), (-1, "fifteen letters"), (77, &long)] {
        let made = probe.call(xeneva::CreateProcess, args![parent, text(name)])?;
        assert!(made.result.is_ok_and(|pid| pid > first), "{name}");
    }
    // A name of 15 letters needs no terminator within reach; a shorter one does.
    let end = 0x7000_0008_0000_u64;
    assert!(
        probe
            .call(xeneva::CreateProcess, args![0, end - 15])?
            .result
            .is_ok()
    );
    for bad in [0, 8, end, 0x1234_5678_9000, 0x8000_0000_0000, u64::MAX] {
        let made = probe.call(xeneva::CreateProcess, args![0, bad])?;
        assert_eq!(made.value, u64::MAX, "{bad:#x}");
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessWaitForTermination")]
fn nobody_is_waited_for_in_vain(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let dead = create(&probe)?;
    assert_eq!(load(&probe, dead, "/bin/none.exe")?, Err("FAILED"));
    // The id is one of 32 bits.
    let unknown = [
        0,
        dead + 1,
        1 << 31,
        0xffff_fffe,
        (1 << 32) | dead,
        0x7fff_ffff,
    ];
    for pid in unknown.into_iter().chain([dead]) {
        assert_eq!(wait(&probe, pid)?, 0, "{pid:#x}");
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessWaitForTermination, xeneva ProcessLoadExec FAILED")]
fn everyone_who_waits_for_a_process_is_woken(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let begins = |arguments: [&str; 2]| {
        let waiter = vm.spawn("xeneva-processes").args(arguments).start()?;
        waiter.wait_for_stdout(|said| said.ends_with(b"waits\n"))?;
        Ok::<_, Error>(waiter)
    };
    for (slot, path) in [(create(&probe)?, "/bin/none.exe"), (create(&probe)?, ARGS)] {
        let pid = slot.to_string();
        let waiters = [begins(["wait", &pid])?, begins(["wait", &pid])?];
        for waiter in &waiters {
            assert_eq!(waiter.stdout_so_far(), b"waits\n", "it is not over");
        }
        let loaded = load(&probe, slot, path)?;
        assert_eq!(loaded.is_ok(), path == ARGS);
        for waiter in waiters {
            assert_eq!(waiter.wait()?.stdout_text(), "waits\nover\n", "{path}");
        }
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessWaitForTermination")]
fn any_end_is_reaped_once(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let any = (-1_i32).to_string();
    // What ended before is reaped at once, however many they are; the sign is
    // that of 32 bits.
    for _ in 0..2 {
        let child = create(&probe)?;
        assert_eq!(load(&probe, child, ARGS)?, Ok(0));
        assert_eq!(wait(&probe, child)?, 0);
    }
    assert_eq!(wait(&probe, 0xffff_ffff)?, 0);
    // Then whoever asks waits for the next end, and all are told of it; what
    // never ran is no end.
    let waiter = |pid: &str| vm.spawn("xeneva-processes").args(["wait", pid]).start();
    let waiters = [waiter(&any)?, waiter(&any)?];
    for waiter in &waiters {
        waiter.wait_for_stdout(|said| said.ends_with(b"waits\n"))?;
    }
    failed(&probe, "/bin/none.exe")?;
    for waiter in &waiters {
        assert_eq!(waiter.stdout_so_far(), b"waits\n");
    }
    let child = create(&probe)?;
    assert_eq!(load(&probe, child, ARGS)?, Ok(0));
    for waiter in &waiters {
        assert_eq!(waiter.wait()?.stdout_text(), "waits\nover\n");
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessWaitForTermination")]
fn whoever_waits_for_itself_waits_for_ever(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    // Ids go up by one.
    let next = (create(&probe)? + 1).to_string();
    let process = vm.spawn("xeneva-processes").args(["wait", &next]).start()?;
    process.wait_for_stdout(|said| said.ends_with(b"waits\n"))?;
    assert_eq!(slots::turn(&probe)?, 0);
    assert_eq!(process.stdout_so_far(), b"waits\n");
    let out = process.kill()?;
    assert_eq!(
        (out.cause, out.stdout_text().as_str()),
        (Cause::Killed, "waits\n")
    );
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessLoadExec FAILED")]
fn only_an_empty_slot_is_loaded(vm: Vm) -> Result<()> {
    let (probe, other) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Xeneva)?);
    let own = probe.call(xeneva::GetProcessID, args![])?.value;
    let theirs = other.call(xeneva::GetProcessID, args![])?.value;
    let slot = create(&probe)?;
    for pid in [0, 1, own, theirs, slot + 1, 1 << 31, 0xffff_ffff] {
        assert_eq!(load(&probe, pid, ARGS)?, Err("FAILED"), "{pid:#x}");
    }
    // Both are as they were, and anybody may load any slot, once.
    assert_eq!(other.call(xeneva::null_call, args![])?.value, 0);
    assert_eq!(load(&other, slot | 7 << 32, ARGS)?, Ok(0));
    assert_eq!(load(&probe, slot, ARGS)?, Err("FAILED"));
    assert_eq!(wait(&probe, slot)?, 0);
    // It came of the one that made it, so its output is that one's.
    assert_eq!(probe.stdout_so_far(), format!("{ARGS}\n").as_bytes());
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessLoadExec, xeneva ProcessLoadExec FAILED")]
fn a_name_ends_with_exe_behind_its_first_full_stop(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let other = vm.probe(Abi::Patchwork)?;
    for path in ["/bin/a.b.exe", "/bin/exe", "/tmp/x.EXE", "/tmp/y.exe2"] {
        let old_and_new = args![text("/bin/xeneva-args"), text(path)];
        other
            .call(patchwork::LINK, old_and_new)?
            .result
            .expect("linked");
    }
    other
        .call(
            patchwork::LINK,
            args![text("/bin/xeneva-args"), text("/tmp/z.exe")],
        )?
        .result
        .expect("linked");
    let long = format!("/tmp{}/z.exe", "/".repeat(118));
    for path in [
        "/tmp/z.exe",
        "//bin//xeneva-args.exe",
        &long.replacen("//", "/", 1),
    ] {
        let slot = create(&probe)?;
        assert_eq!(load(&probe, slot, path)?, Ok(0), "{path}");
        assert_eq!(wait(&probe, slot)?, 0);
    }
    for path in [
        "",
        "tmp/z.exe",
        "/bin/xeneva-args",
        "/bin/a.b.exe",
        "/bin/exe",
        "/tmp/x.EXE",
        "/tmp/y.exe2",
        "/tmp/../tmp/z.exe",
        "/bin/none.exe",
        "/none/z.exe",
        "/tmp.exe",
        "/dev/null.exe",
        &long,
    ] {
        failed(&probe, path)?;
    }
    // Written over by itself it is no file of a bundle any more, and has no other name.
    let fd = probe
        .call(xeneva::OpenFile, args![text("/bin/xeneva-args"), 4])?
        .value;
    assert_eq!(
        probe
            .call(xeneva::WriteFile, args![fd, input("M"), 1])?
            .value,
        1
    );
    failed(&probe, ARGS)
}

#[mayfly::test(
    covers = "xeneva ProcessLoadExec, xeneva ProcessLoadExec FAILED",
    run_timeout = "60s"
)]
fn arguments_are_copied_or_refused(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    // 510 arguments, the path and the terminator fill the page of the array.
    for (count, result) in [(0, Ok(0)), (510, Ok(0)), (511, Err("FAILED"))] {
        let before = probe.stdout_so_far().len();
        let slot = create(&probe)?;
        let call = with_array(&probe, slot, &vec!["ab"; count], count as u64)?;
        assert_eq!(call, result, "{count}");
        assert_eq!(wait(&probe, slot)?, 0);
        let lines = if call.is_ok() { count + 1 } else { 0 };
        let said = &probe.stdout_so_far()[before..];
        assert_eq!(said.iter().filter(|byte| **byte == b'\n').count(), lines);
    }
    // One string of 4,095 letters, and one more letter.
    for (length, result) in [(4095, Ok(0)), (4096, Err("FAILED"))] {
        let slot = create(&probe)?;
        let call = with_array(&probe, slot, &["x".repeat(length)], 1)?;
        assert_eq!(call, result, "{length}");
    }
    // All strings and the path have 128 KiB, terminators included.
    let rest = (128 << 10) - 31 * 4096 - (ARGS.len() + 1) - 1;
    for (length, result) in [(rest, Ok(0)), (rest + 1, Err("FAILED"))] {
        let path = [ARGS.as_bytes(), b"\0"].concat();
        let array = BUFFER + path.len().next_multiple_of(16) as u64;
        let strings = array + 8 * 32;
        // All but the last are the same one.
        let mut block = [strings; 31].map(u64::to_le_bytes).concat();
        block.extend((strings + 4096).to_le_bytes());
        block.extend(["x".repeat(4095), "y".repeat(length)].join("\0").bytes());
        block.push(0);
        let slot = create(&probe)?;
        let load = args![slot, input(path), 32, input(block)];
        let call = probe.call(xeneva::ProcessLoadExec, load)?;
        assert_eq!(call.result, result, "{length}");
        assert_eq!(wait(&probe, slot)?, 0);
    }
    // The array is read as far as argc says: it needs no end, and with 0 no array.
    let slot = create(&probe)?;
    assert_eq!(with_array(&probe, slot, &["a", "b"], 1)?, Ok(0));
    assert_eq!(wait(&probe, slot)?, 0);
    for argc in [3_u64, 0xffff_ffff, 1 << 31, 0x7fff_ffff] {
        let slot = create(&probe)?;
        assert_eq!(
            with_array(&probe, slot, &["a", "b"], argc)?,
            Err("FAILED"),
            "{argc:#x}"
        );
        assert_eq!(wait(&probe, slot)?, 0);
    }
    for bad in [
        0,
        8,
        0x1234_5678_9000,
        0x8000_0000_0000,
        u64::MAX - 7,
        u64::MAX,
    ] {
        for (words, result) in [
            (args![text(ARGS), 1, bad], Err("FAILED")),
            (
                args![text(ARGS), 1, input(bad.to_le_bytes())],
                Err("FAILED"),
            ),
            (args![bad, 0, 0], Err("FAILED")),
            (args![text(ARGS), 0, bad], Ok(0)),
        ] {
            let slot = create(&probe)?;
            let words = args![slot].into_iter().chain(words).collect::<Vec<_>>();
            let call = probe.call(xeneva::ProcessLoadExec, words)?;
            assert_eq!(call.result, result, "{bad:#x}");
            assert_eq!(wait(&probe, slot)?, 0);
        }
    }
    Ok(())
}

#[mayfly::test]
fn nothing_stays_of_children(vm: Vm) -> Result<()> {
    let round = || {
        for way in [
            &["many", "20", ARGS][..],
            &["slots", "50"],
            &["none", "/bin/none.exe"],
        ] {
            assert!(processes(&vm, way)?.status.success(), "{way:?}");
        }
        let stats = vm.stats()?;
        // How large tables have become depends on who ran when.
        Ok::<_, Error>((stats.frames_free, stats.processes, stats.threads))
    };
    let before = round()?;
    assert_eq!(round()?, before);
    Ok(())
}

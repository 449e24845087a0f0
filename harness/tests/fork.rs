//! Machines that begin as copies: siblings, and copies of what this process keeps.
//!
//! Purpose: a copy is the same machine at the same instant and shares nothing
//! that either can write. Neighbours: `cache.rs` has snapshots on disk,
//! `leftovers.rs` many copies, `vmm/tests/machine/snapshot.rs` the machine alone.

use std::fmt::Debug;
use std::time::Duration;

use mayfly::prelude::*;
use mayfly::{BackendKind, SnapshotUse, VmOptions};

/// Options for a back end that can copy machines.
fn kvm() -> VmOptions {
    VmOptions::default()
        .backend(BackendKind::Kvm)
        .snapshot(SnapshotUse::Memory)
}

#[test]
fn a_copy_is_the_machine_that_booted() -> Result<()> {
    let booted = kvm().snapshot(SnapshotUse::Off).boot()?;
    assert!(!booted.is_from_snapshot());
    let cold = booted.probe(Abi::Patchwork)?;
    let pid = cold.call(patchwork::GETPID, [])?.value;
    let counts = booted.stats()?;
    for _ in 0..3 {
        let copy = kvm().boot()?;
        assert!(copy.is_from_snapshot());
        assert_eq!(copy.ready().frames_free, booted.ready().frames_free);
        let probe = copy.probe(Abi::Patchwork)?;
        assert_eq!(probe.pid(), cold.pid());
        assert_eq!(probe.call(patchwork::GETPID, [])?.value, pid);
        assert_eq!(copy.stats()?, counts);
    }
    Ok(())
}

/// What a test can see of a machine of which a probe is asked first, then a
/// call: all but times.
fn first_call(vm: &Vm, abi: Abi, call: (u64, Vec<Arg>)) -> Result<impl PartialEq + Debug + use<>> {
    let probe = vm.probe(abi)?;
    let first = probe.call(call.0, call.1.clone());
    let first = first.map(|first| (first.value, first.result, first.buffers));
    let second = probe.call(call.0, call.1);
    let second = second.map(|second| (second.value, second.result, second.buffers));
    let told = |error: mayfly::Error| error.to_string();
    let calls = (first.map_err(told), second.map_err(told));
    let other = vm.probe(abi)?;
    let hello = vm.spawn("patchwork-hello").run()?;
    let writes = hello.calls("WRITE").len();
    let hello = (hello.stdout, hello.status, writes);
    Ok((probe.pid(), calls, other.pid(), hello, vm.stats()?))
}

#[test]
fn a_call_that_waits_in_its_mailbox_is_the_same_call() -> Result<()> {
    let unknown = 9999;
    for (abi, number, arguments) in [
        (Abi::Patchwork, patchwork::GETPID, args![]),
        (Abi::Patchwork, patchwork::CLOSE, args![77]),
        (Abi::Patchwork, patchwork::OPEN, args![text("/tmp")]),
        (Abi::Patchwork, patchwork::PROCESS_EXIT, args![3]),
        (Abi::Patchwork, unknown, args![1, 2, 3, 4, 5, 6]),
        (Abi::Patchwork, unknown, args![1, 2, 3, 4, 5, 6, 7]),
        (Abi::Xeneva, unknown, args![1, 2, 3, 4, 5, 6]),
        (Abi::Xeneva, unknown, args![1, 2, 3]),
        (Abi::Veridian, unknown, args![1, 2, 3, 4, 5, 6, 7, 8]),
        (Abi::Veridian, unknown, args![]),
    ] {
        let cold = kvm().snapshot(SnapshotUse::Off).boot()?;
        let cold = first_call(&cold, abi, (number, arguments.clone()))?;
        for reset in [false, true] {
            let vm = kvm().reset(reset).boot()?;
            for round in 0..2 {
                let copy = first_call(&vm, abi, (number, arguments.clone()))?;
                assert_eq!(copy, cold, "{abi:?} {number}, round {round}");
                if !reset {
                    break;
                }
                vm.reset()?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_probe_that_is_open_at_once_can_be_left_alone() -> Result<()> {
    let cold = kvm().snapshot(SnapshotUse::Off).boot()?;
    let vm = kvm().boot()?;
    for vm in [&cold, &vm] {
        let probe = vm.probe(Abi::Veridian)?;
        vm.ping()?;
        assert_eq!(vm.stats()?.processes, 1);
        probe.close()?;
        assert_eq!(vm.stats()?.processes, 0);
        assert!(vm.spawn("patchwork-hello").run()?.status.success());
    }
    // The callers' own files come with a message.
    let vm = kvm().file("/tmp/mine", b"own".as_slice()).boot()?;
    let probe = vm.probe(Abi::Patchwork)?;
    let stat = probe.call(patchwork::STAT, args![text("/tmp/mine"), out(168)])?;
    assert_eq!(stat.word(0, 2), Some(3), "size");
    // Nothing else stands for a call.
    let reset = kvm().reset(true).boot()?;
    reset.probe(Abi::Patchwork)?;
    reset.reset()?;
    assert_eq!(reset.stats()?.processes, 0);
    Ok(())
}

#[test]
fn siblings_go_on_from_the_same_instant() -> Result<()> {
    let vm = kvm().boot()?;
    let probe = vm.probe(Abi::Patchwork)?;
    let open = |probe: &Probe<'_>, path: &str| {
        let call = probe.call(patchwork::OPEN, args![text(path)])?;
        Ok::<_, mayfly::Error>(call.result)
    };
    let write = |probe: &Probe<'_>, fd: u64, bytes: &[u8]| {
        let call = probe.call(patchwork::WRITE, args![fd, input(bytes), bytes.len()])?;
        Ok::<_, mayfly::Error>(call.result)
    };
    let fd = open(&probe, "/tmp/before:create")?.unwrap();
    write(&probe, fd, b"both")?.unwrap();

    let sibling = vm.fork()?;
    let other = probe.in_vm(&sibling);
    // What was is in both; what comes is not.
    for (mine, theirs) in [(&probe, &other), (&other, &probe)] {
        assert_eq!(open(mine, "/tmp/before")?, Ok(fd + 1));
        let name = format!("/tmp/of-{}", u8::from(std::ptr::eq(mine, &other)));
        open(mine, &format!("{name}:create"))?.unwrap();
        assert_eq!(open(theirs, &name)?, Err("ENOENT"));
        assert_eq!(write(mine, fd, b"!")?, Ok(1));
        let stat = mine.call(patchwork::STAT, args![text("/tmp/before"), out(168)])?;
        assert_eq!(stat.word(0, 2), Some(5), "size");
    }
    Ok(())
}

#[test]
fn a_running_program_goes_on_in_both() -> Result<()> {
    let vm = kvm().boot()?;
    let program = vm.spawn("patchwork-preempt").start()?;
    let sibling = vm.fork()?;
    let twin = program.in_vm(&sibling);
    let third = sibling.fork()?;
    let [a, b, c] = [program.wait()?, twin.wait()?, program.in_vm(&third).wait()?];
    assert!(a.status.success(), "{a:?}");
    for other in [&b, &c] {
        assert_eq!((&a.stdout, &a.status), (&other.stdout, &other.status));
    }
    Ok(())
}

#[test]
fn the_clock_does_not_see_the_copy() -> Result<()> {
    let second = 1_000_000_000;
    let uptime = |probe: &Probe<'_>| probe.call(patchwork::UPTIME, []).map(|call| call.value);
    let vm = kvm().boot()?;
    let probe = vm.probe(Abi::Patchwork)?;
    let before = uptime(&probe)?;
    let sibling = vm.fork()?;
    // A second that passes in one machine is none in its sibling, nor in a
    // copy of the machine that was booted before it.
    probe.call(patchwork::NANOSLEEP, args![second])?;
    let after = uptime(&probe)?;
    assert!(after >= before + second);
    let of_sibling = uptime(&probe.in_vm(&sibling))?;
    assert!(of_sibling > before && of_sibling < after);
    let copy = kvm().boot()?;
    assert!(uptime(&copy.probe(Abi::Patchwork)?)? < after);
    Ok(())
}

#[test]
fn copies_have_the_time_of_day() -> Result<()> {
    let epoch = || {
        let vm = kvm().boot()?;
        let probe = vm.probe(Abi::Patchwork)?;
        let call = probe.call(patchwork::UNIX_EPOCH, args![0])?;
        Ok::<_, mayfly::Error>(call.value)
    };
    let (first, second) = (epoch()?, epoch()?);
    let now = std::time::UNIX_EPOCH.elapsed();
    let now = now.map_or(0, |now| now.as_secs());
    assert!(first.abs_diff(now) < 3600 && first.abs_diff(second) <= 1);
    Ok(())
}

#[test]
fn copies_have_the_same_keys_until_they_are_seeded() -> Result<()> {
    let key = |vm: &Vm| {
        let probe = vm.probe(Abi::Patchwork)?;
        let call = probe.call(patchwork::SHARE, args![out(16), 1, u64::MAX])?;
        assert_eq!(call.result, Ok(0));
        Ok::<_, mayfly::Error>(call.buffers[0].clone())
    };
    let [first, second, third] = [kvm().boot()?, kvm().boot()?, kvm().boot()?];
    third.reseed(7)?;
    let same = key(&first)?;
    assert_eq!(key(&second)?, same);
    assert_ne!(key(&third)?, same);
    // A key that was made is not forgotten; the next one differs.
    assert_ne!(key(&first)?, same);
    Ok(())
}

#[test]
fn a_machine_is_reset_to_its_beginning() -> Result<()> {
    let vm = kvm()
        .reset(true)
        .file("/tmp/mine", b"own".as_slice())
        .boot()?;
    let counts = vm.stats()?;
    vm.reset()?;
    for round in 0..20 {
        assert_eq!(vm.stats()?, counts, "round {round}");
        let probe = vm.probe(Abi::Patchwork)?;
        // What an earlier round wrote is not there.
        let call = probe.call(patchwork::OPEN, args![text("/tmp/mine:create:exclusive")])?;
        assert_eq!(call.result, Err("EEXIST"));
        let call = probe.call(patchwork::OPEN, args![text("/tmp/new:create:exclusive")])?;
        assert!(call.result.is_ok(), "round {round}: {:?}", call.result);
        let hello = vm.spawn("patchwork-hello").run()?;
        assert!(hello.status.success());
        vm.reset()?;
    }
    // An end is undone as well.
    vm.panic_for_test(0)?;
    assert!(vm.ping().is_err());
    vm.reset()?;
    assert_eq!(vm.stats()?, counts);
    Ok(())
}

#[test]
fn a_machine_that_cannot_be_reset_says_why_and_what_can() -> Result<()> {
    let booted = kvm().snapshot(SnapshotUse::Off);
    let others = [
        (kvm().boot()?, "was not made for that"),
        (booted.boot()?, "was not made for that"),
        (kvm().reset(true).boot()?.fork()?, "is a sibling"),
    ];
    for (vm, why) in others {
        let error = vm.reset().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("try: "), "{error}");
        // And nothing has happened to it.
        vm.ping()?;
    }
    Ok(())
}

#[test]
fn a_reset_forgets_what_was_counted() -> Result<()> {
    let vm = kvm().reset(true).boot()?;
    let count = || {
        let out = vm.spawn("patchwork-null").arg("5").meter(true).run()?;
        Ok::<_, Error>((out.kernel_instr(), out.machine_instr(), out.visits().len()))
    };
    let first = count()?;
    assert!(first.0.is_some());
    vm.reset()?;
    // One that is never waited for to its end leaves its counts.
    let spins = vm.spawn("patchwork-preempt").meter(true).start()?;
    assert!(spins.wait_for(Duration::ZERO).is_err());
    vm.reset()?;
    assert_eq!(count()?, first);
    // Without a reset as well.
    let spins = vm.spawn("patchwork-spin").meter(true).start()?;
    assert!(spins.wait_for(Duration::from_millis(20)).is_err());
    assert_eq!(spins.kill()?.cause, Cause::Killed);
    vm.reset()?;
    assert_eq!(count()?, first);
    Ok(())
}

#[test]
fn a_probe_and_a_reset_keep_what_is_known_of_the_callers_programs() -> Result<()> {
    let spin = mayfly::image::program("patchwork-spin").expect("bundled");
    let vm = kvm().reset(true).file("mine", spin.bytes).boot()?;
    let where_it_was = || {
        let error = vm
            .spawn("mine")
            .start()?
            .wait_for(Duration::from_millis(20));
        let report = error.expect_err("it never ends").to_string();
        let lines = report.lines().filter(|line| line.contains(".rs:"));
        Ok::<_, Error>(lines.collect::<String>())
    };
    let first = where_it_was()?;
    assert!(first.contains("spin"), "{first}");
    vm.reset()?;
    assert_eq!(where_it_was()?, first);
    vm.reset()?;
    vm.probe(Abi::Patchwork)?.close()?;
    assert_eq!(where_it_was()?, first);
    Ok(())
}

#[test]
fn a_copy_has_the_callers_own_files() -> Result<()> {
    let vm = kvm()
        .file("/tmp/mine", b"own".as_slice())
        .file("patchwork-hello", b"no program".as_slice())
        .boot()?;
    assert!(vm.is_from_snapshot());
    let probe = vm.probe(Abi::Patchwork)?;
    let stat = probe.call(patchwork::STAT, args![text("/tmp/mine"), out(168)])?;
    assert_eq!(stat.word(0, 2), Some(3), "size");
    // A bundled program of the same name is hidden.
    let refused = vm.spawn("patchwork-hello").run().unwrap_err();
    assert!(
        refused.to_string().contains("neither ELF64 nor PE32+"),
        "{refused}"
    );
    let cold = kvm()
        .snapshot(SnapshotUse::Off)
        .file("patchwork-hello", b"no program".as_slice())
        .boot()?;
    assert!(cold.spawn("patchwork-hello").run().is_err());
    Ok(())
}

#[test]
fn a_resume_needs_a_stop() -> Result<()> {
    use mayfly_wire::message::{Request, Resume};
    let vm = kvm().boot()?;
    let mut bytes = [0; 64];
    let used = mayfly_wire::frame::encode(&Request::Resume(Resume::default()), &mut bytes)
        .expect("a resume is short");
    vm.send_raw(&bytes[..used])?;
    vm.ping()?;
    assert_eq!(vm.bad_requests(), ["nothing stands still"]);
    Ok(())
}

//! What one process or one request does harms no other.
//!
//! Purpose: faults, floods, endless loops, garbage on the wire and a panic of
//! the kernel itself end what caused them, are told, and nothing else.
//! Neighbours: `boot.rs` tests machines that are well.

use std::time::Duration;

use mayfly::prelude::*;

/// An address of the kernel's half.
const KERNEL: &str = "0xffff800000000000";

#[mayfly::test]
fn kernel_memory_cannot_be_touched_from_ring_3(vm: Vm) -> Result<()> {
    for abi in Abi::ALL {
        for way in ["read", "write", "jump"] {
            let out = fault(&vm, abi, &[way, KERNEL])?;
            let Cause::Fault {
                vector, address, ..
            } = out.cause
            else {
                panic!("{} {way}: {}", abi.name(), out.cause);
            };
            assert_eq!(
                (vector, address),
                (14, 0xffff_8000_0000_0000),
                "{} {way}",
                abi.name()
            );
            assert!(
                out.stdout_text().ends_with("about to fault\n"),
                "{}",
                out.stdout_text()
            );
        }
    }
    Ok(())
}

#[mayfly::test]
fn a_page_fault_says_what_was_tried(vm: Vm) -> Result<()> {
    for (way, words) in [
        ("read", "page fault: read of 0x1000"),
        ("write", "page fault: write to 0x1000"),
        ("jump", "page fault: execute of 0x1000 at rip 0x1000"),
    ] {
        let out = fault(&vm, Abi::Patchwork, &[way, "0x1000"])?;
        let text = out.status.to_string();
        // Without NX in the page tables' way, a fetch looks like a read.
        assert!(text.starts_with(words), "{text}");
    }
    Ok(())
}

#[mayfly::test]
fn exceptions_have_their_vectors(vm: Vm) -> Result<()> {
    for abi in Abi::ALL {
        for (way, wanted) in [("ud", 6), ("div", 0), ("gp", 13)] {
            let out = fault(&vm, abi, &[way])?;
            let Cause::Fault { vector, .. } = out.cause else {
                panic!("{} {way}: {}", abi.name(), out.cause);
            };
            assert_eq!(vector, wanted, "{} {way}", abi.name());
        }
    }
    Ok(())
}

fn fault(vm: &Vm, abi: Abi, arguments: &[&str]) -> Result<Output> {
    let program = format!("{}-fault", abi.name());
    vm.spawn(&program).args(arguments.iter().copied()).run()
}

#[mayfly::test]
fn others_go_on_when_one_faults(vm: Vm) -> Result<()> {
    let first = vm.spawn("patchwork-preempt").start()?;
    let second = vm.spawn("veridian-preempt").start()?;
    let faulty = vm.spawn("xeneva-fault").args(["read", KERNEL]).start()?;
    assert!(matches!(faulty.wait()?.cause, Cause::Fault { .. }));
    assert_eq!(first.wait()?.stdout_text(), "preempt ok\n");
    assert_eq!(second.wait()?.stdout_text(), "preempt ok\n");
    Ok(())
}

#[mayfly::test]
fn a_stack_ends_in_a_guard_page(vm: Vm) -> Result<()> {
    for abi in Abi::ALL {
        let out = vm.spawn(&format!("{}-overflow", abi.name())).run()?;
        assert_eq!(out.stdout_text(), "about to overflow\n");
        assert!(
            matches!(out.cause, Cause::Fault { vector: 14, .. }),
            "{}",
            out.cause
        );
    }
    Ok(())
}

#[mayfly::test(run_timeout = "200ms")]
fn an_endless_loop_in_ring_3_is_found_there(vm: Vm) -> Result<()> {
    let spinning = vm.spawn("patchwork-spin").start()?;
    let error = spinning.wait().unwrap_err();
    let death = error.death().expect("a timeout");
    assert_eq!((death.kind(), death.phase), ("timeout", Phase::Running));
    assert_eq!(death.ring(), Some(3), "{error}");
    assert!(error.to_string().contains("ring 3"), "{error}");
    Ok(())
}

#[mayfly::test]
fn a_machine_lives_on_after_a_timeout(vm: Vm) -> Result<()> {
    let spinning = vm.spawn("patchwork-spin").start()?;
    assert!(spinning.wait_for(Duration::from_millis(50)).is_err());
    assert!(vm.spawn("veridian-hello").run()?.status.success());
    let out = spinning.kill()?;
    assert_eq!(out.cause, Cause::Killed);
    Ok(())
}

#[mayfly::test]
fn a_spinning_process_starves_nobody(vm: Vm) -> Result<()> {
    let spinning = vm.spawn("xeneva-spin").start()?;
    for abi in Abi::ALL {
        assert!(
            vm.spawn(&format!("{}-hello", abi.name()))
                .run()?
                .status
                .success()
        );
    }
    assert_eq!(spinning.kill()?.cause, Cause::Killed);
    Ok(())
}

#[mayfly::test]
fn preempted_processes_keep_their_registers(vm: Vm) -> Result<()> {
    let running = ["patchwork-preempt", "veridian-preempt", "xeneva-preempt"]
        .map(|program| vm.spawn(program).start());
    for process in running {
        assert_eq!(process?.wait()?.stdout_text(), "preempt ok\n");
    }
    Ok(())
}

#[mayfly::test]
fn fifty_processes_leave_nothing_behind(vm: Vm) -> Result<()> {
    let programs = [
        ("xeneva-hello", "x"),
        ("patchwork-null", "1"),
        ("veridian-null", "1"),
        ("patchwork-fault", "ud"),
    ];
    let run = |turn: usize| {
        let (program, argument) = programs[turn % programs.len()];
        vm.spawn(program).arg(argument).run()
    };
    // The first of each kind may fill caches that stay.
    for turn in 0..programs.len() {
        run(turn)?;
    }
    let before = vm.stats()?;
    for turn in 0..50 {
        run(turn)?;
    }
    assert_eq!(vm.stats()?, before);
    Ok(())
}

#[mayfly::test]
fn a_process_that_waits_can_be_killed(vm: Vm) -> Result<()> {
    let waits = vm.probe(Abi::Patchwork)?;
    // Nothing else runs that would have the kernel look.
    waits.close()?;
    vm.ping().map(drop)
}

#[mayfly::test]
fn killing_what_is_not_there_is_refused(vm: Vm) -> Result<()> {
    let error = vm.kill(4711).unwrap_err();
    assert_eq!(error.kind(), "refused", "{error}");
    vm.ping().map(drop)
}

#[mayfly::test]
fn a_program_that_is_not_there_is_refused(vm: Vm) -> Result<()> {
    let error = vm.spawn("no-such-program").start().err().expect("refused");
    assert!(error.to_string().contains("no-such-program"), "{error}");
    vm.ping().map(drop)
}

#[test]
fn files_that_are_no_programs_are_refused() -> Result<()> {
    let whole = mayfly::image::program("patchwork-hello")
        .expect("bundled")
        .bytes;
    let vm = VmOptions::default()
        .file("empty", b"")
        .file("text", b"#!/bin/sh\n")
        .file("cut", &whole[..100])
        .boot()?;
    for name in ["empty", "text", "cut"] {
        let command = vm.spawn(name).abi(Abi::Patchwork);
        let ended = command.run();
        let refused = match &ended {
            Err(error) => error.kind() == "refused",
            Ok(out) => out.cause == Cause::LoadFailed,
        };
        assert!(refused, "{name}: {ended:?}");
    }
    vm.ping().map(drop)
}

#[test]
fn images_of_sixty_thousand_segments_are_refused() -> Result<()> {
    const COUNT: u16 = 60_000;
    let program = |name| mayfly::image::program(name).expect("bundled").bytes;
    let place = |index: u16| 0x100_0000 + u32::from(index) * 4096;
    // An ELF file whose program headers follow its header: each loads a page.
    let mut elf = program("patchwork-hello")[..64].to_vec();
    elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
    elf[56..58].copy_from_slice(&COUNT.to_le_bytes());
    for index in 0..COUNT {
        elf.extend([1_u32, 6].map(u32::to_le_bytes).concat());
        let address = u64::from(place(index));
        let words = [0, address, address, 0, 4096, 4096];
        elf.extend(words.map(u64::to_le_bytes).concat());
    }
    // A PE file with as many sections behind its headers.
    let whole = program("xeneva-args");
    let header = u32::from_le_bytes(*whole[0x3c..].first_chunk().expect("a header")) as usize;
    let sections = header + 24 + usize::from(whole[header + 20]);
    let mut pe = whole[..sections].to_vec();
    pe[header + 6..header + 8].copy_from_slice(&COUNT.to_le_bytes());
    for index in 0..COUNT {
        let words = [0, 0, 4096, place(index), 0, 0, 0, 0, 0, 0xc000_0040];
        pe.extend(words.map(u32::to_le_bytes).concat());
    }
    let vm = VmOptions::default()
        .file("many", elf)
        .file("many.exe", pe)
        .boot()?;
    let before = vm.stats()?;
    for name in ["many", "many.exe"] {
        let refused = vm.spawn(name).run();
        let ended = refused.map(|out| out.cause).map_err(|error| error.kind());
        let known = [Ok(Cause::LoadFailed), Err("refused")];
        assert!(known.contains(&ended), "{name}: {ended:?}");
    }
    let probe = vm.probe(Abi::Xeneva)?;
    let slot = probe
        .call(xeneva::CreateProcess, args![0, text("many")])?
        .value;
    let load = args![slot, text("/bin/many.exe"), 0, 0];
    assert_eq!(
        probe.call(xeneva::ProcessLoadExec, load)?.result,
        Err("FAILED")
    );
    probe.close()?;
    assert_eq!(vm.stats()?.frames_free, before.frames_free);
    Ok(())
}

#[test]
fn a_callers_file_runs_like_a_bundled_one() -> Result<()> {
    let whole = mayfly::image::program("patchwork-args")
        .expect("bundled")
        .bytes;
    let vm = VmOptions::default().file("mine", whole).boot()?;
    let out = vm.spawn("mine").arg("x").run()?;
    assert_eq!(out.stdout_text(), "mine\nx\n");
    Ok(())
}

#[mayfly::test]
fn garbage_on_the_wire_is_answered_and_survived(vm: Vm) -> Result<()> {
    // A frame of one byte that is no request; then an empty one.
    vm.send_raw(&[1, 0, 0, 0, 0xee, 0, 0, 0, 0])?;
    vm.ping()?;
    assert_eq!(vm.bad_requests().len(), 2, "{:?}", vm.bad_requests());
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    Ok(())
}

#[mayfly::test]
fn a_frame_in_pieces_is_one_request(vm: Vm) -> Result<()> {
    // A ping with id 77: variant 8 of the requests, then the id.
    let frame = [2, 0, 0, 0, 8, 77];
    for byte in frame {
        vm.send_raw(&[byte])?;
    }
    vm.ping()?;
    assert!(vm.bad_requests().is_empty(), "{:?}", vm.bad_requests());
    Ok(())
}

#[mayfly::test]
fn a_panic_of_the_kernel_is_told(vm: Vm) -> Result<()> {
    vm.panic_for_test(0)?;
    let error = vm.ping().unwrap_err();
    let death = error.death().expect("the machine is over");
    let panicked = death.panicked().expect("a panic");
    assert!(panicked.message.contains("asked for a panic"), "{error}");
    assert!(panicked.location.contains("agent.rs:"), "{error}");
    assert!(!panicked.backtrace.is_empty(), "{error}");
    assert!(error.to_string().lines().count() <= 25, "{error}");
    Ok(())
}

#[mayfly::test]
fn a_panic_names_the_call_in_flight(vm: Vm) -> Result<()> {
    let running = vm.spawn("patchwork-null").arg("1000000").start()?;
    vm.panic_for_test(running.pid())?;
    let error = running.wait().unwrap_err();
    let panicked = error
        .death()
        .and_then(|death| death.panicked())
        .expect("a panic");
    let call = panicked.call.as_deref().expect("a call was in flight");
    assert!(call.starts_with("patchwork "), "{call}");
    assert_eq!(panicked.pid, running.pid());
    assert!(error.to_string().contains("during  patchwork"), "{error}");
    Ok(())
}

#[mayfly::test]
fn a_machine_that_is_over_takes_no_requests(vm: Vm) -> Result<()> {
    vm.panic_for_test(0)?;
    assert!(vm.ping().is_err());
    assert_eq!(vm.ping().unwrap_err().kind(), "ended");
    assert_eq!(
        vm.spawn("patchwork-hello")
            .start()
            .err()
            .expect("over")
            .kind(),
        "ended"
    );
    Ok(())
}

#[mayfly::test]
fn a_process_that_uses_too_much_memory_ends_alone(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-overflow").frames_max(24).run()?;
    // Its frames end long before its stack does.
    assert_eq!(out.cause, Cause::OutOfMemory);
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    Ok(())
}

//! What one interface's programs do harms none of the other two.
//!
//! Purpose: a program of each that faults, spins, or takes all handles, memory,
//! threads or processes leaves the others, in the same machine, finishing with
//! right results. Neighbours: `../isolation.rs` has single processes.

use mayfly::prelude::*;

/// Most frames of a greedy program: memory is taken up to there.
const FRAMES: u32 = 1200;

/// The two that are not `abi`.
fn others(abi: Abi) -> impl Iterator<Item = Abi> {
    Abi::ALL.into_iter().filter(move |other| *other != abi)
}

/// Runs programs of the other two while `harm` is done, then makes calls in
/// processes that were there before.
fn unharmed(vm: &Vm, abi: Abi, harm: impl FnOnce() -> Result<()>) -> Result<()> {
    let probes = others(abi).map(|other| vm.probe(other));
    let probes = probes.collect::<Result<Vec<_>>>()?;
    let programs = others(abi).flat_map(|other| {
        ["preempt", "registers"].map(|name| (name, format!("{}-{name}", other.name())))
    });
    let running = programs.map(|(name, program)| Ok((name, vm.spawn(&program).start()?)));
    let running = running.collect::<Result<Vec<_>>>()?;
    harm()?;
    for (name, process) in running {
        let out = process.wait()?;
        assert_eq!(out.stdout_text(), format!("{name} ok\n"), "{abi:?}");
    }
    for probe in &probes {
        works(probe)?;
    }
    for probe in probes {
        probe.close()?;
    }
    Ok(())
}

/// Calls of each kind have their right results.
fn works(probe: &Probe<'_>) -> Result<()> {
    match probe.abi() {
        Abi::Xeneva => {
            let page = probe.call(xeneva::CreateMemMapping, args![0, 4096, 2, 0, -1, 0])?;
            assert_eq!(page.result, Ok(0xc000_0000));
            let paused = probe.call(xeneva::ProcessSleep, args![1])?;
            assert_eq!(paused.result, Ok(1));
        }
        Abi::Patchwork => {
            let zeros = probe.call(patchwork::OPEN, args![text("/dev/zero")])?;
            let fd = zeros.result.expect("a descriptor");
            let read = probe.call(patchwork::READ, args![fd, inout([7; 16]), 16])?;
            assert_eq!((read.value, &read.buffers[0][..]), (16, &[0; 16][..]));
            let mapped = probe.call(patchwork::MMAP, args![fd, 0, 4096, 3])?;
            assert!(mapped.result.is_ok(), "{mapped:?}");
        }
        Abi::Veridian => {
            let mapped = probe.call(veridian::MMAP, args![0, 4096, 3, 5, 0, 0])?;
            assert_eq!(mapped.result, Ok(0x1000_0000));
            let yielded = probe.call(veridian::YIELD, args![])?;
            assert_eq!(yielded.result, Ok(0));
        }
    }
    Ok(())
}

#[mayfly::test]
fn faults(vm: Vm) -> Result<()> {
    for abi in Abi::ALL {
        unharmed(&vm, abi, || {
            for way in [
                &["ud"][..],
                &["div"],
                &["gp"],
                &["read", "0xffff800000000000"],
            ] {
                let program = format!("{}-fault", abi.name());
                let out = vm.spawn(&program).args(way.iter().copied()).run()?;
                assert!(matches!(out.cause, Cause::Fault { .. }), "{}", out.cause);
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[mayfly::test]
fn endless_loops(vm: Vm) -> Result<()> {
    for abi in Abi::ALL {
        let program = format!("{}-spin", abi.name());
        let spinning = [vm.spawn(&program).start()?, vm.spawn(&program).start()?];
        unharmed(&vm, abi, || Ok(()))?;
        for process in spinning {
            assert_eq!(process.kill()?.cause, Cause::Killed);
        }
    }
    Ok(())
}

#[mayfly::test]
fn an_end_is_told_while_a_program_spins_alone(vm: Vm) -> Result<()> {
    for abi in Abi::ALL {
        let spinning = vm.spawn(&format!("{}-spin", abi.name())).start()?;
        for other in others(abi) {
            // Nothing but the request itself disturbs the one that spins.
            vm.probe(other)?.close()?;
        }
        spinning.kill()?;
    }
    Ok(())
}

/// A program takes all of something, and keeps it while the others go on.
fn takes_all(vm: &Vm, what: &str) -> Result<()> {
    for abi in Abi::ALL {
        let round = || {
            let mut greedy = None;
            unharmed(vm, abi, || {
                let program = format!("{}-exhaust", abi.name());
                let command = vm.spawn(&program).arg(what).trace(false);
                let process = command.frames_max(FRAMES).start()?;
                // Whoever touches more memory than it may have is ended.
                let said = process.wait_for_stdout(|said| said.ends_with(b"\n"));
                if said.is_ok() && !process.stdout_so_far().is_empty() {
                    let said = String::from_utf8_lossy(&process.stdout_so_far()).into_owned();
                    assert!(said.starts_with("full ") && said != "full 0\n", "{said}");
                    greedy = Some(process);
                } else {
                    assert_eq!(process.wait()?.cause, Cause::OutOfMemory);
                }
                Ok(())
            })?;
            if let Some(process) = greedy {
                process.kill()?;
            }
            let stats = vm.stats()?;
            Ok::<_, Error>((stats.frames_free, stats.processes, stats.threads))
        };
        let before = round()?;
        assert_eq!(round()?, before, "{abi:?} {what}");
        for other in Abi::ALL {
            let hello = vm
                .spawn(&format!("{}-hello", other.name()))
                .arg("x")
                .run()?;
            assert!(hello.status.success(), "{abi:?} {what}: {other:?}");
        }
    }
    Ok(())
}

#[mayfly::test(run_timeout = "300s", memory = "16M")]
fn all_handles(vm: Vm) -> Result<()> {
    takes_all(&vm, "handles")
}

#[mayfly::test(run_timeout = "300s", memory = "16M")]
fn all_memory(vm: Vm) -> Result<()> {
    takes_all(&vm, "memory")
}

#[mayfly::test(run_timeout = "300s", memory = "16M")]
fn all_threads(vm: Vm) -> Result<()> {
    takes_all(&vm, "threads")
}

#[mayfly::test(run_timeout = "300s", memory = "16M")]
fn all_processes(vm: Vm) -> Result<()> {
    takes_all(&vm, "processes")
}

#[mayfly::test(run_timeout = "300s", memory = "16M")]
fn all_processes_laden_with_all(vm: Vm) -> Result<()> {
    takes_all(&vm, "laden")
}

//! Booting: from nothing to ready, in every way that there is.
//!
//! Purpose: what a machine says of itself, how long it may take, how it ends in
//! order, and that machines do not see each other. Neighbours: `isolation.rs`
//! tests how they end otherwise.

use std::time::Duration;

use mayfly::prelude::*;
use mayfly::{Entry, SnapshotUse, image};

#[mayfly::test]
fn a_ready_kernel_says_what_it_is(vm: Vm) {
    let ready = vm.ready();
    assert!(!ready.kernel.is_empty());
    assert!(ready.ready_tsc > ready.entered_tsc);
    assert!(ready.tsc_khz > 100_000, "{} kHz", ready.tsc_khz);
    assert!(ready.frames_free > 0);
}

#[mayfly::test]
fn memory_is_protected(vm: Vm) {
    let (nx, wp) = (1, 2);
    assert_eq!(vm.ready().protections & (nx | wp), nx | wp);
}

#[mayfly::test]
fn tcg_offers_every_protection_and_the_kernel_takes_it(vm: Vm) {
    if vm.backend() != BackendKind::Qemu {
        return eprintln!("n/a: the host decides what its processors offer");
    }
    // NX, WP, SMEP, SMAP, UMIP, FSGSBASE.
    assert_eq!(vm.ready().protections & 0b11_1111, 0b11_1111);
}

#[mayfly::test]
fn a_ping_is_answered(vm: Vm) -> Result<()> {
    for _ in 0..10 {
        vm.ping()?;
    }
    Ok(())
}

#[test]
fn no_macro_is_needed() {
    assert!(mayfly::vm().ping().is_ok());
}

#[mayfly::test]
fn a_machine_ends_in_order(vm: Vm) -> Result<()> {
    vm.shutdown()
}

#[mayfly::test]
fn a_machine_that_is_asked_by_what_it_calls_back_says_so_and_goes_on(vm: Vm) -> Result<()> {
    let hello = vm.spawn("patchwork-hello").start()?;
    let patience = vm.options().run_timeout;
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        hello.wait_with_output(patience, |_, _| drop(vm.ping()))
    }));
    let said = asked.expect_err("it is being waited on");
    let said = said.downcast_ref::<&str>().expect("a text");
    assert!(said.contains("by what it calls back"), "{said}");
    vm.ping()?;
    assert!(hello.wait()?.status.success());
    Ok(())
}

#[mayfly::test(memory = "8M")]
fn small_memory_is_enough(vm: Vm) -> Result<()> {
    assert!(vm.stats()?.frames <= 2048 + bundle_frames(&vm));
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    Ok(())
}

#[mayfly::test(memory = "1G")]
fn large_memory_is_used(vm: Vm) -> Result<()> {
    assert!(vm.stats()?.frames > 240_000);
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    Ok(())
}

/// QEMU puts the bundle into RAM, which is made larger by that.
fn bundle_frames(vm: &Vm) -> u64 {
    match vm.backend() {
        BackendKind::Qemu => (image::bundle().len() as u64).div_ceil(1 << 20) << 8,
        BackendKind::Kvm => 0,
    }
}

#[test]
fn both_ways_into_the_kernel_work() -> Result<()> {
    for (entry, direct) in [(Entry::Direct, true), (Entry::Pvh, false)] {
        let vm = VmOptions::default()
            .backend(BackendKind::Kvm)
            .entry(entry)
            .boot()?;
        assert_eq!(vm.ready().direct, direct, "{entry:?}");
        assert!(
            vm.spawn("xeneva-hello").run()?.status.success(),
            "{entry:?}"
        );
    }
    Ok(())
}

#[test]
fn two_machines_at_once_do_not_see_each_other() -> Result<()> {
    let (first, second) = (Vm::boot()?, Vm::boot()?);
    first.spawn("patchwork-null").run()?;
    let before = second.stats()?;
    let running = first.spawn("patchwork-hello").start()?;
    assert_eq!(second.stats()?.processes, before.processes);
    assert!(second.spawn("veridian-hello").run()?.status.success());
    assert!(running.wait()?.status.success());
    Ok(())
}

#[test]
fn machines_run_on_many_threads() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let vm = Vm::boot().unwrap();
                assert!(vm.spawn("patchwork-hello").run().unwrap().status.success());
            });
        }
    });
}

#[test]
fn a_machine_can_move_to_another_thread() {
    let vm = Vm::boot().unwrap();
    let done = std::thread::spawn(move || vm.ping().is_ok()).join();
    assert!(done.unwrap());
}

#[test]
fn a_set_up_that_takes_too_long_is_told() {
    let options = VmOptions {
        setup_timeout: Duration::ZERO,
        snapshot: SnapshotUse::Off,
        ..Default::default()
    };
    let error = options.boot().err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("in time") || error.kind() == "timeout",
        "{text}"
    );
}

#[test]
fn memory_that_cannot_be_is_refused() {
    let options = VmOptions::default().backend(BackendKind::Kvm);
    let error = options.memory_bytes(4097).boot().err().unwrap();
    assert_eq!(error.kind(), "broken");
    assert!(error.to_string().contains("4097 bytes"), "{error}");
}

#[test]
fn a_boot_takes_the_same_instructions_each_time() -> Result<()> {
    let counts = [counted_boot()?, counted_boot()?];
    assert_eq!(counts[0], counts[1]);
    assert!(counts[0].is_some_and(|count| count > 100));
    Ok(())
}

fn counted_boot() -> Result<Option<u64>> {
    let options = VmOptions {
        backend: Some(BackendKind::Kvm),
        meter_boot: true,
        ..Default::default()
    };
    Ok(options.boot()?.boot_kernel_instr())
}

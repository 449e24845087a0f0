//! What the programs in `src/bin` do, each test in a microVM of its own.

use mayfly::prelude::*;

#[mayfly::test]
fn everybody_is_greeted(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-greet").args(["Ada", "Grace"]).run()?;
    assert!(out.status.success(), "{out:?}");
    assert_eq!(out.stdout_text(), "Hello, Ada!\nHello, Grace!\n");
    assert_eq!(out.calls("WRITE").len(), 2, "a call for each line");
    Ok(())
}

#[mayfly::test]
fn nobody_is_status_2(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-greet").run()?;
    assert_eq!(out.status.code(), 2);
    assert_eq!(out.stdout_text(), "nobody to greet\n");
    Ok(())
}

#[mayfly::test]
fn sums_are_right(vm: Vm) -> Result<()> {
    let out = vm.spawn("veridian-sum").args(["19", "23"]).run()?;
    assert_eq!(out.stdout_text(), "42\n");
    let out = vm.spawn("veridian-sum").args(["19", "many"]).run()?;
    assert_eq!(out.status.code(), 1);
    Ok(())
}

#[mayfly::test]
fn xeneva_greets_too(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-greet").run()?;
    assert_eq!(out.stdout_text(), "Hello from a process with a number!\n");
    Ok(())
}

/// The same number on every run and every host.
#[mayfly::test]
fn asking_for_the_pid_is_cheap(vm: Vm) -> Result<()> {
    let call = vm.probe(Abi::Patchwork)?.call(patchwork::GETPID, args![])?;
    budget!(call, kernel_instr <= 80);
    Ok(())
}

/// Without the attribute: the options of the machine are the test's to choose.
#[test]
fn a_machine_of_ones_own() -> Result<()> {
    let vm = VmOptions::default()
        .programs(env!("MAYFLY_PROGRAMS"))
        .memory_bytes(16 << 20)
        .boot()?;
    let out = vm.spawn("patchwork-greet").arg("you").run()?;
    assert_eq!(out.stdout_text(), "Hello, you!\n");
    Ok(())
}

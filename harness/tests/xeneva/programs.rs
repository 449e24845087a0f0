//! Programs of XenevaOS: what they print, call and end with.
//!
//! Purpose: the programs of `user/xeneva`, run whole. Neighbours: `calls.rs`
//! makes single calls.

use mayfly::prelude::*;

#[mayfly::test(
    covers = "xeneva SeTextOut, xeneva null_call, xeneva GetThreadID, xeneva GetProcessID"
)]
fn hello_prints_and_makes_its_calls(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-hello").arg("x").run()?;
    assert!(out.status.success(), "{}", out.stdout_text());
    let expected = "Hello from XenevaOS!\nargv[0] = xeneva-hello\nargv[1] = x\n";
    assert_eq!(out.stdout_text(), expected);
    assert_eq!(out.abi(), Some(Abi::Xeneva));
    assert_eq!(transcript(&out), include_str!("../golden/xeneva/hello.txt"));
    Ok(())
}

/// Names and errors of the calls: what is the same in every run.
fn transcript(out: &Output) -> String {
    out.all_calls()
        .iter()
        .map(|call| match call.result {
            Ok(_) => format!("{}\n", call.name()),
            Err(error) => format!("{} {error}\n", call.name()),
        })
        .collect()
}

#[mayfly::test]
fn arguments_arrive(vm: Vm) -> Result<()> {
    let out = vm
        .spawn("xeneva-args")
        .args(["one", "two words", "100%"])
        .run()?;
    assert_eq!(out.stdout_text(), "xeneva-args\none\ntwo words\n100%\n");
    Ok(())
}

#[mayfly::test]
fn every_call_of_many_is_traced(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-null").arg("500").run()?;
    assert_eq!(out.calls("null_call").len(), 500);
    assert!(out.all_calls().iter().all(|call| call.result.is_ok()));
    Ok(())
}

#[mayfly::test]
fn a_fault_is_not_told_as_status_0(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-fault").arg("ud").run()?;
    assert_eq!(out.status.code(), 14);
    assert!(!out.status.success());
    Ok(())
}

#[mayfly::test]
fn unknown_numbers_are_answered_as_published(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-unknown").run()?;
    assert_eq!(out.stdout_text(), "unknown ok\n");
    Ok(())
}

#[mayfly::test]
fn bad_pointers_are_refused(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-badptr").run()?;
    assert_eq!(out.stdout_text(), "badptr ok\n");
    // A service whose words on the stack are out of reach has failed, in traces too.
    let mapped = out.calls("CreateMemMapping");
    assert_eq!(mapped.len(), 3);
    for call in mapped {
        assert_eq!(call.result, Err("FAILED"), "{call}");
    }
    Ok(())
}

#[mayfly::test]
fn calls_keep_every_register(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-registers").run()?;
    assert_eq!(out.stdout_text(), "registers ok\n");
    Ok(())
}

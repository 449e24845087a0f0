//! Programs of VeridianOS: what they print, call and end with.
//!
//! Purpose: the programs of `user/veridian`, run whole. Neighbours: `calls.rs`
//! makes single calls.

use mayfly::prelude::*;

#[mayfly::test(covers = "veridian WRITE, veridian WRITE InvalidCapability, veridian CLOCK_GET")]
fn t01_hello_prints_and_makes_its_calls(vm: Vm) -> Result<()> {
    let out = vm.spawn("veridian-hello").arg("x").run()?;
    assert!(out.status.success(), "{}", out.stdout_text());
    let expected = "Hello from VeridianOS!\nargv[0] = veridian-hello\nargv[1] = x\n";
    assert_eq!(out.stdout_text(), expected);
    assert_eq!(out.abi(), Some(Abi::Veridian));
    assert_eq!(
        transcript(&out),
        include_str!("../golden/veridian/hello.txt")
    );
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
        .spawn("veridian-args")
        .args(["one", "two words", ""])
        .run()?;
    assert_eq!(out.stdout_text(), "veridian-args\none\ntwo words\n\n");
    Ok(())
}

#[mayfly::test(covers = "veridian EXIT")]
fn a_status_is_a_whole_i32(vm: Vm) -> Result<()> {
    for status in [0, 1, 42, 255, 256, -1, i32::MAX, i32::MIN] {
        let out = vm.spawn("veridian-exit").arg(status.to_string()).run()?;
        assert_eq!(out.status.code(), i64::from(status));
        assert_eq!(out.cause, Cause::Exited);
    }
    Ok(())
}

#[mayfly::test]
fn a_fault_has_its_vector_in_the_status(vm: Vm) -> Result<()> {
    for (way, status) in [("ud", -7), ("div", -1), ("gp", -14)] {
        let out = vm.spawn("veridian-fault").arg(way).run()?;
        assert_eq!(out.status.code(), status);
    }
    Ok(())
}

#[mayfly::test]
fn t02_unknown_numbers_are_invalid_syscalls(vm: Vm) -> Result<()> {
    let out = vm.spawn("veridian-unknown").run()?;
    assert_eq!(out.stdout_text(), "unknown ok\n");
    assert_eq!(out.calls("call 0")[0].result, Err("InvalidSyscall"));
    Ok(())
}

#[mayfly::test]
fn t18_bad_pointers_are_refused(vm: Vm) -> Result<()> {
    let out = vm.spawn("veridian-badptr").run()?;
    assert_eq!(out.stdout_text(), "badptr ok\n");
    Ok(())
}

#[mayfly::test]
fn t03_calls_keep_every_register(vm: Vm) -> Result<()> {
    let out = vm.spawn("veridian-registers").run()?;
    assert_eq!(out.stdout_text(), "registers ok\n");
    Ok(())
}

#[mayfly::test(covers = "veridian WRITE")]
fn a_long_line_is_one_write(vm: Vm) -> Result<()> {
    let long = "x".repeat(1000);
    let out = vm.spawn("veridian-args").arg(long.clone()).run()?;
    assert_eq!(out.stdout_text().lines().last(), Some(long.as_str()));
    Ok(())
}

#[mayfly::test(covers = "veridian CLOCK_GET, veridian NANOSLEEP")]
fn t19_time_goes_on_and_sleeps_are_long_enough(vm: Vm) -> Result<()> {
    let out = vm.spawn("veridian-clocks").trace(false).run()?;
    assert_eq!(out.stdout_text(), "clocks ok\n");
    Ok(())
}

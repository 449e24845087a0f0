//! Programs of PatchworkOS: what they print, call and end with.
//!
//! Purpose: the programs of `user/patchwork`, run whole. Neighbours: `calls.rs`
//! makes single calls.

use mayfly::prelude::*;

#[mayfly::test(covers = "patchwork WRITE, patchwork GETPID, patchwork GETTID, patchwork UPTIME")]
fn hello_prints_and_makes_its_calls(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-hello").arg("x").run()?;
    assert!(out.status.success(), "{}", out.stdout_text());
    let expected = "Hello from PatchworkOS!\nargv[0] = patchwork-hello\nargv[1] = x\n";
    assert_eq!(out.stdout_text(), expected);
    assert_eq!(out.abi(), Some(Abi::Patchwork));
    assert_eq!(
        transcript(&out),
        include_str!("../golden/patchwork/hello.txt")
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
fn a_trace_line_reads_as_strace_does(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-hello").run()?;
    let write = out.calls("WRITE")[0].to_string();
    let expected = format!(
        r#"[{} 0] patchwork WRITE(1, "Hello from PatchworkOS!\n", 24) = 24  <"#,
        out.pid()
    );
    assert!(write.starts_with(&expected), "{write}");
    assert_eq!(out.calls("WRITE").last().unwrap().result, Err("EBADF"));
    Ok(())
}

#[mayfly::test]
fn what_is_not_traced_is_counted(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-null").arg("100").trace(false).run()?;
    assert!(out.all_calls().is_empty());
    // The calls, and the exit.
    assert_eq!(out.call_count(), 101);
    Ok(())
}

#[mayfly::test(run_timeout = "60s")]
fn every_call_of_many_is_traced(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-null").arg("3000").run()?;
    assert_eq!(out.all_calls().len(), 3001);
    assert!(out.all_calls().iter().all(|call| call.result.is_ok()));
    Ok(())
}

#[mayfly::test]
fn arguments_arrive(vm: Vm) -> Result<()> {
    let out = vm
        .spawn("patchwork-args")
        .args(["one", "two words", "", "ünï"])
        .run()?;
    assert_eq!(out.stdout_text(), "patchwork-args\none\ntwo words\n\nünï\n");
    Ok(())
}

#[mayfly::test]
fn many_arguments_arrive(vm: Vm) -> Result<()> {
    let many: Vec<String> = (0..200).map(|n| format!("argument-{n}")).collect();
    let out = vm.spawn("patchwork-args").args(many.clone()).run()?;
    assert_eq!(out.stdout_text().lines().skip(1).collect::<Vec<_>>(), many);
    Ok(())
}

#[mayfly::test(covers = "patchwork PROCESS_EXIT")]
fn a_status_is_a_whole_i32(vm: Vm) -> Result<()> {
    for status in [0, 1, 42, 255, 256, -1, i32::MAX, i32::MIN] {
        let out = vm.spawn("patchwork-exit").arg(status.to_string()).run()?;
        assert_eq!(out.status.code(), i64::from(status));
        assert_eq!(out.cause, Cause::Exited);
    }
    Ok(())
}

#[mayfly::test]
fn a_fault_has_status_14(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-fault").arg("ud").run()?;
    assert_eq!(out.status.code(), 14);
    assert!(!out.status.success());
    Ok(())
}

#[mayfly::test]
fn unknown_numbers_are_enosys(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-unknown").run()?;
    assert_eq!(out.stdout_text(), "unknown ok\n");
    assert_eq!(out.calls("call 34")[0].result, Err("ENOSYS"));
    Ok(())
}

#[mayfly::test]
fn bad_pointers_are_refused(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-badptr").run()?;
    assert_eq!(out.stdout_text(), "badptr ok\n");
    Ok(())
}

#[mayfly::test]
fn calls_keep_every_register(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-registers").run()?;
    assert_eq!(out.stdout_text(), "registers ok\n");
    Ok(())
}

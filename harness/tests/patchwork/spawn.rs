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
    // The probe's buffer: where an array in it begins, its strings' addresses follow.
    let buffer = 0x10_0001_0000_u64;
    let word = |word: u64| word.to_le_bytes().to_vec();
    let long = [&[b'x'; 256][..], b"\0"].concat();
    for (bytes, error) in [
        (word(0), "EINVAL"),
        ([word(8), word(0)].concat(), "EFAULT"),
        ([word(buffer + 16), word(0), long].concat(), "ENAMETOOLONG"),
        (word(buffer).repeat(512), "E2BIG"),
    ] {
        let call = probe.call(patchwork::SPAWN, args![input(bytes), 0])?;
        assert_eq!(call.result, Err(error));
    }
    Ok(())
}

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

#[mayfly::test]
fn figures(vm: Vm) -> Result<()> {
    let mut counts = Vec::new();
    for program in ["patchwork-hello", "patchwork-hello", "patchwork-exit"] {
        let out = vm.spawn(program).trace(false).meter(true).run()?;
        eprintln!(
            "{program}: {:?} {:?}",
            out.machine_instr(),
            out.kernel_instr()
        );
    }
    for n in ["1", "2", "12"] {
        let out = vm
            .spawn("patchwork-spawn")
            .args(["many", n, "/bin/patchwork-exit", "0"])
            .trace(false)
            .meter(true)
            .run()?;
        counts.push(out.machine_instr());
        eprintln!("{n}: {:?} {}", out.machine_instr(), out.stdout_text());
    }
    Ok(())
}

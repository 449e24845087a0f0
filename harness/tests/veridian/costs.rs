//! What IPC of VeridianOS costs between two processes (`specs/veridian.md` §11.5).
//!
//! Purpose: budgets of messages, turns and tokens that go from one address
//! space to another, in kernel instructions. Neighbours: `ipc.rs` and
//! `passing.rs` have what the calls answer, `capabilities.rs` the costs within
//! one process.

use mayfly::prelude::*;

/// Kernel instructions of a part of `pingpong`.
struct Cost {
    kernel_instr: Option<u64>,
    /// None: these are parts of a run, whose functions are not kept.
    spent: Option<mayfly::Spent>,
}

/// The sum of what the calls took: of each, what most of them took. That leaves
/// out the first one and those that the end of a slice is in. A reply begins a
/// slice here, because counting is slow; elsewhere few do.
fn cost(vm: &Vm, arguments: &[&str], calls: &[u64]) -> Result<Cost> {
    let out = vm
        .spawn("veridian-pingpong")
        .args(arguments.iter().copied())
        .trace(false)
        .meter(true)
        .run()?;
    assert_eq!(out.stdout_text(), "pingpong ok\n", "{:?}", out.cause);
    let parts = calls.iter().map(|number| {
        let visits = out.visits().iter();
        let visits = visits.filter(|visit| visit.is_call && visit.number(Abi::Veridian) == *number);
        let mut stays: Vec<u64> = visits.map(|visit| visit.instructions).collect();
        stays.sort_unstable();
        stays.get(stays.len() / 2).copied()
    });
    let kernel_instr: Option<u64> = parts.sum();
    assert_eq!(kernel_instr.is_some(), vm.backend() == BackendKind::Kvm);
    Ok(Cost {
        kernel_instr,
        spent: None,
    })
}

#[mayfly::test]
fn a_call_and_its_reply_are_within_their_budget(vm: Vm) -> Result<()> {
    // Time stands nearly still for the guest: no reply begins a slice.
    let vm = VmOptions::default().meter_path().backend(vm.backend());
    let vm = vm.boot()?;
    let calls = [
        veridian::IPC_CALL,
        veridian::IPC_REPLY,
        veridian::IPC_RECEIVE,
    ];
    for (length, most) in [("8", 800), ("64", 800), ("4096", 1400)] {
        let round = cost(&vm, &["call", length, "16"], &calls)?;
        budget!(round, kernel_instr <= most);
    }
    Ok(())
}

#[mayfly::test]
fn a_message_to_a_thread_that_waits_is_within_its_budget(vm: Vm) -> Result<()> {
    for (length, most) in [("8", 800), ("64", 800), ("4096", 1000)] {
        let calls = [veridian::IPC_SEND, veridian::IPC_RECEIVE];
        let message = cost(&vm, &["send", length, "16"], &calls)?;
        budget!(message, kernel_instr <= most);
    }
    Ok(())
}

#[mayfly::test]
fn a_turn_to_another_process_and_back_is_within_its_budget(vm: Vm) -> Result<()> {
    let turn = cost(&vm, &["yield", "8", "16"], &[veridian::YIELD])?;
    budget!(turn, kernel_instr <= 250);
    Ok(())
}

#[mayfly::test(memory = "2G")]
fn memory_of_any_size_is_handed_over_at_the_same_cost(vm: Vm) -> Result<()> {
    let calls = [
        veridian::IPC_CALL,
        veridian::IPC_REPLY,
        veridian::IPC_RECEIVE,
    ];
    let [small, large] = ["1048576", "1073741824"].map(|bytes| {
        let round = cost(&vm, &["memory", bytes, "12"], &calls);
        round.map(|round| round.kernel_instr)
    });
    assert_eq!(small?, large?);
    Ok(())
}

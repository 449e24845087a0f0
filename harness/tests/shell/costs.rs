//! What a key costs at the prompt, in kernel instructions.
//!
//! Neighbour: `tests/costs.rs` has what commands tell of calls.

use std::time::Duration;

use mayfly::prelude::*;
use mayfly::terminal::{Line, Terminal};

/// A machine that is busy needs it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the shell says when the line is on the screen, and it reads again.
const DRAWN: &[u8] = b"drawn;\x07";
/// Keys that are counted.
const KEYS: u64 = 16;

/// Kernel instructions of a key.
struct Key {
    kernel_instr: Option<u64>,
    /// None: the functions are not kept.
    spent: Option<mayfly::Spent>,
}

fn until_drawn(terminal: &mut Terminal) -> Result<()> {
    let mut shown = Vec::new();
    while !shown.ends_with(DRAWN) {
        shown.extend(terminal.turn(PATIENCE)?.shown);
    }
    Ok(())
}

/// A shell at its prompt whose kernel instructions are counted; none on QEMU, where
/// nothing counts them.
fn counted_shell(backend: BackendKind) -> Result<Option<(Vm, Terminal)>> {
    // Time stands nearly still for the guest: its timer does not fire.
    let vm = VmOptions::default().meter_path().backend(backend).boot()?;
    let mut terminal = vm.terminal(Line::Console, "shell")?;
    until_drawn(&mut terminal)?;
    let counts = terminal.count()?;
    assert_eq!(counts, backend == BackendKind::Kvm);
    if !counts {
        eprintln!("n/a: {backend} does not count kernel instructions");
    }
    Ok(counts.then_some((vm, terminal)))
}

#[mayfly::test]
fn a_key_is_within_its_budget(vm: Vm) -> Result<()> {
    let Some((_vm, mut terminal)) = counted_shell(vm.backend())? else {
        return Ok(());
    };
    let mut counted = Vec::new();
    for _ in 0..=KEYS {
        terminal.types(b"a")?;
        until_drawn(&mut terminal)?;
        counted.push(terminal.instructions());
    }
    let [first, .., last] = counted[..] else {
        unreachable!("there are as many as keys");
    };
    // From the interrupt to the end of the READ, the WRITE of the echo, and the
    // next READ until it waits.
    let key = Key {
        kernel_instr: Some((last - first) / KEYS),
        spent: None,
    };
    budget!(key, kernel_instr <= 1_320);
    Ok(())
}

#[mayfly::test]
fn a_byte_of_a_long_paste_costs_what_one_of_a_short_one_does(vm: Vm) -> Result<()> {
    let Some((_vm, mut terminal)) = counted_shell(vm.backend())? else {
        return Ok(());
    };
    let mut costs = Vec::new();
    for length in [1000, 8000] {
        let before = terminal.instructions();
        let text = "a".repeat(length);
        terminal.types(format!("\x1b[200~{text}Z\x1b[201~").as_bytes())?;
        let mut shown = Vec::new();
        while !(shown.contains(&b'Z') && shown.ends_with(DRAWN)) {
            shown.extend(terminal.turn(PATIENCE)?.shown);
        }
        costs.push(terminal.instructions() - before);
        terminal.types(b"\x15")?;
        until_drawn(&mut terminal)?;
    }
    assert!(costs[1] <= 12 * costs[0], "{costs:?}");
    Ok(())
}

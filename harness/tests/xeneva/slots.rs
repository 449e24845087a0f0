//! Slots of a probe: made, loaded and waited for in a line each.
//!
//! Purpose: what tests of processes have in common. Neighbours:
//! `processes.rs`, `images.rs` and `crossing.rs` use it.

use mayfly::prelude::*;

/// A program that prints its arguments.
pub(crate) const ARGS: &str = "/bin/xeneva-args.exe";

/// Result of a service.
pub(crate) type Answer = core::result::Result<u64, &'static str>;

/// Makes a slot; its id.
pub(crate) fn create(probe: &Probe<'_>) -> Result<u64> {
    let made = probe.call(xeneva::CreateProcess, args![0, text("slot")])?;
    Ok(made.result.expect("a slot"))
}

/// Loads a program without arguments.
pub(crate) fn load(probe: &Probe<'_>, pid: u64, path: &str) -> Result<Answer> {
    let arguments = args![pid, text(path), 0, 0];
    Ok(probe.call(xeneva::ProcessLoadExec, arguments)?.result)
}

/// Waits for the end of a process.
pub(crate) fn wait(probe: &Probe<'_>, pid: u64) -> Result<u64> {
    Ok(probe
        .call(xeneva::ProcessWaitForTermination, args![pid])?
        .value)
}

/// Loads [`ARGS`] with these strings and that argc.
pub(crate) fn with_array<S: AsRef<str>>(
    probe: &Probe<'_>,
    pid: u64,
    strings: &[S],
    argc: u64,
) -> Result<Answer> {
    let path = [ARGS.as_bytes(), b"\0"].concat();
    let array = BUFFER + path.len().next_multiple_of(16) as u64;
    // A bad pointer ends the array.
    let mut at = array + 8 * (strings.len() as u64 + 1);
    let (mut pointers, mut letters) = (Vec::new(), Vec::new());
    for string in strings {
        pointers.extend(at.to_le_bytes());
        letters.extend(string.as_ref().bytes().chain([0]));
        at += string.as_ref().len() as u64 + 1;
    }
    let array = [pointers, 8_u64.to_le_bytes().to_vec(), letters].concat();
    let arguments = args![pid, input(path), argc, input(array)];
    Ok(probe.call(xeneva::ProcessLoadExec, arguments)?.result)
}

/// Loads what cannot be loaded: the slot is over.
pub(crate) fn failed(probe: &Probe<'_>, path: &str) -> Result<()> {
    let slot = create(probe)?;
    assert_eq!(load(probe, slot, path)?, Err("FAILED"), "{path}");
    assert_eq!(wait(probe, slot)?, 0, "{path}");
    assert_eq!(load(probe, slot, ARGS)?, Err("FAILED"), "{path}");
    Ok(())
}

/// Lets everyone who can have a turn.
pub(crate) fn turn(probe: &Probe<'_>) -> Result<u64> {
    let child = create(probe)?;
    load(probe, child, ARGS)?.expect("it starts");
    wait(probe, child)
}

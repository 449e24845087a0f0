//! Files that one interface writes and the others read.
//!
//! Purpose: one file tree for all; VeridianOS, which has no file calls, reads
//! and writes what it was given for standard streams. Neighbours: `start.rs`.

use mayfly::prelude::*;

#[mayfly::test(
    covers = "xeneva OpenFile, xeneva ReadFile, xeneva WriteFile, patchwork OPEN, patchwork READ, patchwork WRITE"
)]
fn what_one_writes_the_other_reads(vm: Vm) -> Result<()> {
    let (xeneva, patchwork) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Patchwork)?);
    let fd = xeneva
        .call(xeneva::OpenFile, args![text("/tmp/x"), 6])?
        .value;
    xeneva.call(xeneva::WriteFile, args![fd, input("by XenevaOS"), 11])?;
    let other = patchwork
        .call(patchwork::OPEN, args![text("/tmp/x")])?
        .value;
    let read = patchwork.call(patchwork::READ, args![other, out(64), 64])?;
    assert_eq!(
        (read.value, &read.buffers[0][..11]),
        (11, &b"by XenevaOS"[..])
    );
    // Both write, each at its own position, and both see it at once.
    patchwork.call(
        patchwork::WRITE,
        args![other, input(", then PatchworkOS"), 18],
    )?;
    let read = xeneva.call(xeneva::ReadFile, args![fd, out(64), 64])?;
    assert_eq!(
        (read.value, &read.buffers[0][..18]),
        (18, &b", then PatchworkOS"[..])
    );
    // A directory of one is a directory of the other.
    patchwork.call(patchwork::OPEN, args![text("/tmp/d:dc")])?;
    let inside = xeneva.call(xeneva::OpenFile, args![text("/tmp/d/in"), 4])?;
    assert!(inside.result.is_ok());
    let found = patchwork.call(patchwork::OPEN, args![text("/tmp/d/in")])?;
    assert!(found.result.is_ok());
    Ok(())
}

#[mayfly::test(covers = "veridian WRITE, patchwork SPAWN, xeneva ProcessLoadExec")]
fn veridian_output_becomes_a_file_that_both_read(vm: Vm) -> Result<()> {
    let (xeneva, patchwork) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Patchwork)?);
    let fd = xeneva
        .call(xeneva::OpenFile, args![text("/tmp/v"), 6])?
        .value;
    let slot = xeneva
        .call(xeneva::CreateProcess, args![0, text("v")])?
        .value;
    xeneva.call(xeneva::SetFileToProcess, args![fd, 1, slot])?;
    let load = args![slot, text("/bin/veridian-args.exe"), 0, 0];
    assert_eq!(xeneva.call(xeneva::ProcessLoadExec, load)?.result, Ok(0));
    xeneva.call(xeneva::ProcessWaitForTermination, args![slot])?;
    let said = b"/bin/veridian-args.exe\n";
    let again = xeneva
        .call(xeneva::OpenFile, args![text("/tmp/v"), 2])?
        .value;
    let read = xeneva.call(xeneva::ReadFile, args![again, out(64), 64])?;
    assert_eq!(read.buffers[0][..said.len()], said[..]);
    let other = patchwork
        .call(patchwork::OPEN, args![text("/tmp/v")])?
        .value;
    let read = patchwork.call(patchwork::READ, args![other, out(64), 64])?;
    assert_eq!(
        (read.value, &read.buffers[0][..said.len()]),
        (23, &said[..])
    );
    Ok(())
}

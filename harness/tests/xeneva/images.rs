//! Executables that ProcessLoadExec refuses (`specs/xeneva.md` §3.8, §6).
//!
//! Purpose: a program of the bundle, written to a file with a word of it changed.
//! Neighbours: `processes.rs` has the other failures; `kernel/core/src/loader`
//! has every field.

use mayfly::image;
use mayfly::prelude::*;

use crate::slots::{create, failed, load, wait};

/// Where the PE header's address lies.
const HEADER_AT: usize = 0x3c;

/// The program, and where its PE header begins.
fn program() -> (Vec<u8>, usize) {
    let bytes = image::program("xeneva-args").expect("bundled").bytes;
    let header = u32::from_le_bytes(*bytes[HEADER_AT..].first_chunk().expect("a header"));
    (bytes.to_vec(), header as usize)
}

/// Writes a file in pieces.
fn write(probe: &Probe<'_>, path: &str, bytes: &[u8]) -> Result<()> {
    let fd = probe.call(xeneva::OpenFile, args![text(path), 4])?;
    let fd = fd.result.expect("made");
    for part in bytes.chunks(32 << 10) {
        let call = probe.call(xeneva::WriteFile, args![fd, input(part), part.len()])?;
        assert_eq!(call.value, part.len() as u64);
    }
    assert_eq!(probe.call(xeneva::CloseFile, args![fd])?.value, 0);
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessLoadExec")]
fn a_program_that_was_written_runs(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    write(&probe, "/tmp/copy.exe", &program().0)?;
    let slot = create(&probe)?;
    assert_eq!(load(&probe, slot, "/tmp/copy.exe")?, Ok(0));
    assert_eq!(wait(&probe, slot)?, 0);
    assert_eq!(probe.stdout_so_far(), b"/tmp/copy.exe\n");
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessLoadExec FAILED")]
fn what_is_no_program_is_refused(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let (whole, header) = program();
    let optional = header + 24;
    let sections = optional + usize::from(whole[header + 20]);
    // The second section's address becomes the first one's.
    let first_address = u32::from_le_bytes(*whole[sections + 12..].first_chunk().expect("4"));
    let changes = [
        ("no MZ", 0, 0),
        ("no PE", header, 0),
        ("another machine", header + 4, 0x1c0),
        ("PE32", optional, 0x10b),
        ("a base at 0", optional + 24, 0),
        ("sections overlap", sections + 40 + 12, first_address),
        ("a base beyond the user half", optional + 28, 0x8000),
        ("contents beyond the file", sections + 20, 0x00ff_f000),
        ("a section over the next one", sections + 8, 0x7fff_f000),
        ("code that can be written", sections + 36, 0xe000_0020),
    ];
    for (index, (what, at, value)) in changes.into_iter().enumerate() {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let path = format!("/tmp/bad{index}.exe");
        write(&probe, &path, &bytes)?;
        eprintln!("{what}");
        failed(&probe, &path)?;
    }
    for (path, length) in [("/tmp/none.exe", 0), ("/tmp/short.exe", header + 8)] {
        write(&probe, path, &whole[..length])?;
        failed(&probe, path)?;
    }
    Ok(())
}

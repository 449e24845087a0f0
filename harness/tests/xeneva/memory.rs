//! Memory of a XenevaOS process's own (`specs/xeneva.md` §4, services 13 to 15).
//!
//! Purpose: mappings of nothing and of files, and the heap, with every failure.
//! Neighbours: `shared.rs` has memory that processes share.

use mayfly::prelude::*;

use crate::shared::{create, load, obtain, store};
use crate::slots::Answer;

const PAGE: u64 = 4096;
/// Where mappings and the heap begin.
const MAPPINGS: u64 = 0xc000_0000;
const HEAP: u64 = 0x3_0000_0000;
/// No file.
const NONE: u64 = u64::MAX;
/// An address where nothing is.
const FREE: u64 = 0x20_0000_0000;

fn map(
    probe: &Probe<'_>,
    address: u64,
    length: u64,
    (prot, flags): (u64, u64),
    (fd, offset): (u64, u64),
) -> Result<Answer> {
    let arguments = args![address, length, prot, flags, fd, offset];
    Ok(probe.call(xeneva::CreateMemMapping, arguments)?.result)
}

fn unmap(probe: &Probe<'_>, address: u64, length: u64) -> Result<()> {
    let call = probe.call(xeneva::UnmapMemMapping, args![address, length])?;
    assert_eq!(call.value, 0);
    Ok(())
}

fn open(probe: &Probe<'_>, path: &str, mode: u64) -> Result<u64> {
    let call = probe.call(xeneva::OpenFile, args![text(path), mode])?;
    Ok(call.result.expect("open"))
}

#[mayfly::test(
    covers = "xeneva CreateMemMapping, xeneva UnmapMemMapping, xeneva GetProcessHeapMem, xeneva GetProcessHeapMem FAILED"
)]
fn a_program_maps_and_grows_its_heap(vm: Vm) -> Result<()> {
    let out = vm.spawn("xeneva-memory").arg("own").run()?;
    assert_eq!(out.stdout_text(), "memory ok\n", "{:?}", out.all_calls());
    // A trace shows the words on the stack too: no file is -1.
    let mapped = out.calls("CreateMemMapping");
    let line = mapped.first().expect("it maps").to_string();
    assert!(
        line.contains("(NULL, 4097, 0x0, 0x0, -1, 0) = 0xc0000000"),
        "{line}"
    );
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateMemMapping, xeneva UnmapMemMapping")]
fn mappings_are_whole_pages_where_there_is_room(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let none = (NONE, 0);
    assert_eq!(map(&probe, 0, 1, (0, 0), none)?, Ok(MAPPINGS));
    assert_eq!(map(&probe, 0, PAGE + 1, (0, 0), none)?, Ok(MAPPINGS + PAGE));
    assert_eq!(load(&probe, MAPPINGS, 3 * PAGE)?, [0; 12288]);
    assert!(load(&probe, MAPPINGS + 3 * PAGE, 1)?.is_empty());
    // An address that is given is meant, in whole pages.
    let place = FREE + 5;
    assert_eq!(map(&probe, place, PAGE, (0, 0), none)?, Ok(FREE));
    assert_eq!(store(&probe, FREE + 2 * PAGE - 1, b"x")?, 1);
    // A part goes, in whole pages; what is not there may go too.
    unmap(&probe, MAPPINGS + PAGE + 7, 1)?;
    for (page, length) in [(0, 1), (1, 0), (2, 1)] {
        assert_eq!(
            load(&probe, MAPPINGS + page * PAGE, 1)?.len(),
            length,
            "{page}"
        );
    }
    unmap(&probe, MAPPINGS, 100 * PAGE)?;
    assert_eq!(map(&probe, 0, PAGE, (0, 0), none)?, Ok(MAPPINGS));
    // These mean nothing, and nothing happens.
    for (address, length) in [
        (MAPPINGS, 0),
        (MAPPINGS, u64::MAX),
        (u64::MAX, 1),
        (1 << 47, PAGE),
    ] {
        unmap(&probe, address, length)?;
    }
    assert_eq!(load(&probe, MAPPINGS, 1)?, [0]);
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateMemMapping, xeneva CreateMemMapping FAILED")]
fn what_cannot_be_mapped_is_null(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let none = (NONE, 0);
    map(&probe, FREE, PAGE, (0, 0), none)?.expect("free");
    let free = vm.stats()?.frames_free;
    for (address, length) in [
        (0, 0),
        (FREE + PAGE, 0),
        (0, u64::MAX),
        (0, 1 << 47),
        (0, (free + 1) * PAGE),
        // Not in the user half, or below what a program may have.
        (0x8000_0000_0000, PAGE),
        (0x7fff_ffff_f000, PAGE),
        (u64::MAX - 4095, PAGE),
        (0x1000, PAGE),
        (1, PAGE),
        // Taken: what is there is not mapped over.
        (FREE, PAGE),
        (FREE - PAGE, 2 * PAGE),
        (0x7000_0000_0000, PAGE),
    ] {
        let mapped = map(&probe, address, length, (0, 0), none)?;
        assert_eq!(mapped, Err("FAILED"), "{address:#x} {length:#x}");
    }
    // The fifth and sixth words lie on the stack; the fifth has 32 bits.
    assert!(map(&probe, 0, PAGE, (0, 0), (0xffff_ffff, 0))?.is_ok());
    for fd in [99, 0x7fff_ffff, 0xffff_fffe] {
        let mapped = map(&probe, 0, PAGE, (0, 0), (fd, 0))?;
        assert_eq!(mapped, Err("FAILED"), "{fd:#x}");
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateMemMapping")]
fn protections_hold(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    // Read-only 1, write 2, not executable 4, not cached 8.
    for (prot, writable) in [
        (0, true),
        (1, false),
        (2, true),
        (3, true),
        (5, false),
        (14, true),
    ] {
        let at = map(&probe, 0, PAGE, (prot, 0), (NONE, 0))?.expect("mapped");
        let stored = store(&probe, at, b"x")?;
        assert_eq!(stored, u64::from(writable), "{prot}");
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateMemMapping")]
fn memory_is_executed_unless_it_is_said_to_be_data(vm: Vm) -> Result<()> {
    for prot in ["0", "2", "6", "4"] {
        let out = vm.spawn("xeneva-memory").args(["execute", prot]).run()?;
        let data = prot == "6" || prot == "4";
        let said = if data {
            "calls\n"
        } else {
            "calls\n42\nmemory ok\n"
        };
        assert_eq!(out.stdout_text(), said, "{prot}");
        let faulted = matches!(
            out.cause,
            Cause::Fault {
                vector: 14,
                address: MAPPINGS,
                rip: MAPPINGS,
                ..
            }
        );
        assert_eq!(faulted, data, "{prot}: {}", out.cause);
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateMemMapping, xeneva CreateMemMapping FAILED")]
fn a_mapped_file_is_a_copy_of_that_moment(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let fd = open(&probe, "/tmp/file", 2 | 4)?;
    let bytes: Vec<u8> = (0..6000_u32).map(|n| n.to_le_bytes()[0] | 1).collect();
    probe.call(xeneva::WriteFile, args![fd, input(&bytes[..]), 6000])?;
    for (offset, flags) in [(0, 4), (0, 1), (5, 2), (4096, 0), (6000, 0), (u64::MAX, 0)] {
        let at = map(&probe, 0, 2 * PAGE, (2, flags), (fd, offset))?.expect("mapped");
        let from = usize::try_from(offset).expect("64 bits").min(6000);
        let mut wanted = bytes[from..].to_vec();
        wanted.resize(8192, 0);
        assert_eq!(load(&probe, at, 2 * PAGE)?, wanted, "{offset}");
        // What is stored there is not in the file.
        assert_eq!(store(&probe, at, b"\0")?, 1);
    }
    // Its contents are not asked for.
    let at = map(&probe, 0, PAGE, (2, 8), (fd, 0))?.expect("mapped");
    assert_eq!(load(&probe, at, PAGE)?, [0; 4096]);
    // One of the bundle, whose pages are mapped, in part and whole.
    let out = vm
        .spawn("xeneva-memory")
        .args(["file", "/bin/xeneva-args"])
        .run()?;
    assert!(out.stdout_text().starts_with("MZ"), "{}", out.stdout_text());
    let fd = open(&probe, "/bin/xeneva-args", 2)?;
    let whole = mayfly::image::program("xeneva-args")
        .expect("bundled")
        .bytes;
    for offset in [0, 4096, 70] {
        let at = map(&probe, 0, PAGE, (2, 4), (fd, offset as u64))?.expect("mapped");
        assert_eq!(load(&probe, at, PAGE)?, whole[offset..offset + 4096]);
        assert_eq!(store(&probe, at, b"x")?, 1, "the copy is the process's own");
    }
    let again = map(&probe, 0, PAGE, (1, 4), (fd, 0))?.expect("mapped");
    assert_eq!(load(&probe, again, PAGE)?, whole[..4096]);
    // Nobody maps what is no memory, or what may not be read.
    for (path, mode) in [
        ("/dev/null", 2),
        ("/tmp", 2),
        ("/tmp/file", 4),
        ("/dev/pipe/new", 6),
    ] {
        let fd = open(&probe, path, mode)?;
        let mapped = map(&probe, 0, PAGE, (0, 4), (fd, 0))?;
        assert_eq!(mapped, Err("FAILED"), "{path}");
    }
    Ok(())
}

#[mayfly::test(
    covers = "xeneva CreateMemMapping, xeneva CreateMemMapping FAILED, xeneva UnmapMemMapping"
)]
fn memory_that_is_a_file_is_mapped_shared_or_private(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let id = create(&probe, 300, 2 * PAGE)?.expect("made");
    let segment = obtain(&probe, id)?.expect("mapped");
    let fd = open(&probe, "/dev/shmem/300", 2 | 4)?;
    let shared = map(&probe, 0, PAGE, (2, 1), (fd, PAGE))?.expect("mapped");
    let private = map(&probe, 0, 2 * PAGE, (2, 4), (fd, 0))?.expect("mapped");
    store(&probe, segment + PAGE, b"seen")?;
    assert_eq!(load(&probe, shared, 4)?, b"seen");
    assert_eq!(load(&probe, private + PAGE, 4)?, b"seen");
    store(&probe, private + PAGE, b"own!")?;
    assert_eq!(load(&probe, segment + PAGE, 4)?, b"seen");
    // Not beyond its end, between pages, or written to through one that only reads.
    for (length, offset) in [
        (3 * PAGE, 0),
        (PAGE, 2 * PAGE),
        (PAGE, 1),
        (PAGE, u64::MAX - 4095),
    ] {
        let mapped = map(&probe, 0, length, (2, 1), (fd, offset))?;
        assert_eq!(mapped, Err("FAILED"), "{length:#x} {offset:#x}");
    }
    let read_only = open(&probe, "/dev/shmem/300", 2)?;
    assert_eq!(map(&probe, 0, PAGE, (2, 1), (read_only, 0))?, Err("FAILED"));
    assert!(map(&probe, 0, PAGE, (1, 1), (read_only, 0))?.is_ok());
    // New memory has the size of its first mapping.
    let new = open(&probe, "/dev/shmem/new", 2 | 4)?;
    assert!(map(&probe, 0, PAGE, (2, 1), (new, 0))?.is_ok());
    assert_eq!(map(&probe, 0, 2 * PAGE, (2, 1), (new, 0))?, Err("FAILED"));
    // Whoever unmaps the segment's last mapping by its address ends it too.
    unmap(&probe, 0x8000_0000, 1 << 32)?;
    assert_eq!(create(&probe, 300, 0)?, Err("FAILED"));
    Ok(())
}

#[mayfly::test(covers = "xeneva GetProcessHeapMem, xeneva GetProcessHeapMem FAILED")]
fn a_heap_grows_by_whole_pages(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let grow = |size: u64| {
        let call = probe.call(xeneva::GetProcessHeapMem, args![size])?;
        Ok::<_, Error>(call.value)
    };
    let free = vm.stats()?.frames_free;
    for size in [
        1,
        4095,
        4097,
        u64::MAX,
        u64::MAX - 4095,
        1 << 47,
        (free + 1) * PAGE,
    ] {
        assert_eq!(grow(size)?, u64::MAX, "{size:#x}");
    }
    assert_eq!(grow(2 * PAGE)?, HEAP);
    assert_eq!(grow(PAGE)?, HEAP + 2 * PAGE);
    assert_eq!(grow(0)?, HEAP + 3 * PAGE);
    assert_eq!(store(&probe, HEAP + 3 * PAGE - 1, b"x")?, 1);
    assert!(load(&probe, HEAP + 3 * PAGE, 1)?.is_empty());
    // What lies in its way stays.
    map(&probe, HEAP + 4 * PAGE, PAGE, (0, 0), (NONE, 0))?.expect("free");
    assert_eq!(grow(2 * PAGE)?, u64::MAX);
    assert_eq!(grow(PAGE)?, HEAP + 3 * PAGE);
    Ok(())
}

#[mayfly::test]
fn whoever_uses_all_memory_ends_alone(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let round = || {
        let command = vm.spawn("xeneva-memory").arg("full");
        assert_eq!(command.frames_max(2000).run()?.cause, Cause::OutOfMemory);
        Ok::<_, Error>(vm.stats()?.frames_free)
    };
    let free = round()?;
    assert_eq!(round()?, free);
    probe.call(xeneva::null_call, args![]).map(drop)
}

//! One piece of memory, mapped by all three interfaces through their own calls.
//!
//! Purpose: they hand a token around in it. Neighbours: the `ring.rs` of the
//! guest programs; `start.rs` has who starts whom.

use mayfly::prelude::*;

#[mayfly::test(
    run_timeout = "600s",
    covers = "xeneva CreateSharedMem, xeneva ObtainSharedMem, patchwork MMAP, veridian MMAP"
)]
fn a_token_goes_round_in_shared_memory(vm: Vm) -> Result<()> {
    let rounds = mayfly::rounds(&vm, 300, 10_000).to_string();
    let before = vm.stats()?;
    let ring = vm.spawn("xeneva-ring").args(["start", &rounds]);
    let out = ring.trace(false).run()?;
    assert_eq!(out.stdout_text(), "ring ok\nring ok\nring ok\nover\n");
    let after = vm.stats()?;
    assert_eq!(
        (after.frames_free, after.processes, after.threads),
        (before.frames_free, before.processes, before.threads)
    );
    Ok(())
}

/// Opens, for PatchworkOS.
fn open(probe: &Probe<'_>, path: &str) -> Result<std::result::Result<u64, &'static str>> {
    Ok(probe.call(patchwork::OPEN, args![text(path)])?.result)
}

#[mayfly::test(covers = "xeneva CreateSharedMem, patchwork OPEN, patchwork MMAP, patchwork MUNMAP")]
fn a_segment_is_a_file_as_long_as_it_is_mapped(vm: Vm) -> Result<()> {
    let (maker, other) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Patchwork)?);
    for path in [
        "/dev/shmem/300",
        "/dev/shmem/0300",
        "/dev/shmem/65836",
        "/dev/shmem/x",
    ] {
        assert_eq!(open(&other, path)?, Err("ENOENT"), "{path}");
    }
    let made = maker.call(xeneva::CreateSharedMem, args![300, 8192, 0])?;
    let file = open(&other, "/dev/shmem/300")?.expect("there");
    assert_eq!(open(&other, "/dev/shmem/0300")?, Err("ENOENT"));
    // A longer mapping has its size, and the first one settles nothing.
    let mapped = other.call(patchwork::MMAP, args![file, 0, 1 << 20, 3])?;
    let place = mapped.result.expect("mapped");
    let here = maker.call(xeneva::ObtainSharedMem, args![made.value, 0, 0])?;
    let here = here.result.expect("mapped");
    // Through a file that one writes and the other reads into the memory.
    let text_file = open(&other, "/tmp/a:create")?.expect("made");
    other.call(patchwork::WRITE, args![text_file, input("crossed"), 7])?;
    other.call(patchwork::SEEK, args![text_file, 0, 0])?;
    other.call(patchwork::READ, args![text_file, place + 4093, 7])?;
    maker.call(xeneva::WriteFile, args![1, here + 4093, 7])?;
    assert_eq!(maker.stdout_so_far(), b"crossed");
    // The maker's mapping goes; the other's keeps the key.
    maker.call(xeneva::UnmapSharedMem, args![300])?;
    let again = maker.call(xeneva::CreateSharedMem, args![300, 0, 0])?;
    assert_eq!(again.result, Ok(made.value));
    let listed = other
        .call(patchwork::OPEN, args![text("/dev/shmem:d")])?
        .value;
    let listing = other.call(patchwork::GETDENTS, args![listed, out(4096), 4096])?;
    let names = String::from_utf8_lossy(&listing.buffers[0]).into_owned();
    assert!(names.contains("new") && names.contains("300"), "{names:?}");
    other.call(patchwork::MUNMAP, args![place, 8192])?;
    assert_eq!(open(&other, "/dev/shmem/300")?, Err("ENOENT"));
    let again = maker.call(xeneva::CreateSharedMem, args![300, 0, 0])?;
    assert_eq!(again.result, Err("FAILED"));
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateSharedMem")]
fn segments_that_do_not_fit_together_are_refused(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let create = |key: u16, pages: u64| {
        let made = probe.call(xeneva::CreateSharedMem, args![key, pages * 4096, 0])?;
        Ok::<_, Error>(made.result.is_ok())
    };
    let half = vm.stats()?.frames_free * 5 / 8;
    assert!(create(1, half)?);
    assert!(!create(2, half)?, "nobody has touched the first one yet");
    // With its mapping the first one goes, and there is room.
    let id = probe.call(xeneva::CreateSharedMem, args![1, 0, 0])?.value;
    probe.call(xeneva::ObtainSharedMem, args![id, 0, 0])?;
    probe.call(xeneva::UnmapSharedMem, args![1])?;
    assert!(create(2, half)?);
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateSharedMem, patchwork MUNMAP")]
fn a_segments_frames_are_free_when_another_interface_unmaps_it_last(vm: Vm) -> Result<()> {
    const PAGES: u64 = 64;
    let (maker, other) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Patchwork)?);
    maker.call(xeneva::CreateSharedMem, args![301, PAGES * 4096, 0])?;
    let file = open(&other, "/dev/shmem/301")?.expect("there");
    let ones = open(&other, "/dev/one")?.expect("there");
    let mapped = other.call(patchwork::MMAP, args![file, 0, PAGES * 4096, 3])?;
    let place = mapped.result.expect("mapped");
    let read = other.call(patchwork::READ, args![ones, place, PAGES * 4096])?;
    assert_eq!(read.result, Ok(PAGES * 4096));
    other.call(patchwork::CLOSE, args![file])?;
    let full = vm.stats()?.frames_free;
    other.call(patchwork::MUNMAP, args![place, PAGES * 4096])?;
    assert!(vm.stats()?.frames_free >= full + PAGES);
    Ok(())
}

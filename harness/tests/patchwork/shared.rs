//! Memory that processes of PatchworkOS share (`specs/patchwork.md` §8, §12).
//!
//! Purpose: `/dev/shmem/new` from making to the last reference's end.
//! Neighbours: `memory.rs` has memory of a process's own, `binds.rs` keys.

use mayfly::prelude::*;

use super::devices::poll;
use super::files::{close, open, write};

const PAGE: u64 = 4096;
/// An address where nothing is.
const FREE: u64 = 0x20_0000_0000;

/// Maps; the address or the error.
fn map(
    probe: &Probe<'_>,
    fd: u64,
    address: u64,
    length: u64,
    prot: u32,
) -> Result<std::result::Result<u64, &'static str>> {
    let call = probe.call(patchwork::MMAP, args![fd, address, length, prot])?;
    Ok(call.result)
}

/// Stores bytes, through a file that another read brings into memory.
fn store(probe: &Probe<'_>, address: u64, bytes: &[u8]) -> Result<Option<&'static str>> {
    let file = open(probe, "/tmp/store:create")?;
    write(probe, file, bytes)?;
    probe.call(patchwork::SEEK, args![file, 0, 0])?;
    let call = probe.call(patchwork::READ, args![file, address, bytes.len()])?;
    close(probe, file)?;
    Ok(call.result.err())
}

/// Loads bytes.
fn load(probe: &Probe<'_>, address: u64, length: u64) -> Result<Vec<u8>> {
    let before = probe.stdout_so_far().len();
    let written = probe.call(patchwork::WRITE, args![1, address, length])?;
    assert_eq!(written.result, Ok(length));
    Ok(probe.stdout_so_far()[before..].to_vec())
}

/// Passes a descriptor to another process.
fn pass(from: &Probe<'_>, fd: u64, to: &Probe<'_>) -> Result<u64> {
    let call = from.call(patchwork::SHARE, args![out(16), fd, u64::MAX])?;
    assert_eq!(call.result, Ok(0));
    let key = call.buffers[0].clone();
    let call = to.call(patchwork::CLAIM, args![input(key)])?;
    assert!(call.result.is_ok(), "{call:?}");
    Ok(call.value)
}

#[mayfly::test(covers = "patchwork OPEN, patchwork MMAP, patchwork SHARE, patchwork CLAIM")]
fn what_one_process_stores_another_loads(vm: Vm) -> Result<()> {
    let (giver, taker) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let given = open(&giver, "/dev/shmem/new")?;
    let here = map(&giver, given, 0, 3 * PAGE, 3)?.unwrap();
    assert_eq!(store(&giver, here + PAGE - 3, b"hello")?, None);
    let taken = pass(&giver, given, &taker)?;
    let there = map(&taker, taken, FREE, 3 * PAGE, 3)?.unwrap();
    assert_eq!(there, FREE);
    assert_eq!(load(&taker, there + PAGE - 3, 6)?, b"hello\0");
    assert_eq!(store(&taker, there + 2 * PAGE, b"back")?, None);
    assert_eq!(load(&giver, here + 2 * PAGE, 4)?, b"back");
    assert_eq!(load(&giver, here, 100)?, [0; 100]);
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN, patchwork OPEN2, patchwork DUP, patchwork MMAP")]
fn every_opening_makes_memory_of_its_own_and_a_copy_does_not(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let call = probe.call(patchwork::OPEN2, args![text("/dev/shmem/new"), out(16)])?;
    assert_eq!(call.result, Ok(0));
    let third = open(&probe, "/dev/shmem/new")?;
    let copy = probe.call(patchwork::DUP, args![third])?.value;
    let places: Vec<u64> = [3, 4, third, copy]
        .into_iter()
        .map(|fd| Ok(map(&probe, fd, 0, PAGE, 3)?.unwrap()))
        .collect::<Result<_>>()?;
    for (place, word) in places.iter().zip([b"one", b"two", b"six"]) {
        assert_eq!(store(&probe, *place, word)?, None);
    }
    for (place, word) in places.iter().zip([b"one", b"two", b"six", b"six"]) {
        assert_eq!(load(&probe, *place, 3)?, word);
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork MMAP, patchwork MUNMAP, patchwork MPROTECT")]
fn the_first_mapping_settles_the_size(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let file = open(&probe, "/dev/shmem/new")?;
    // With its place in the first page, three pages.
    let first = map(&probe, file, FREE + 5, 2 * PAGE, 3)?.unwrap();
    assert_eq!(first, FREE);
    assert_eq!(store(&probe, FREE + 3 * PAGE - 1, b"x")?, None);
    assert_eq!(store(&probe, FREE + 3 * PAGE, b"x")?, Some("EFAULT"));
    // A longer one has no more pages, a shorter one the first of them.
    let longer = map(&probe, file, 0, 9 * PAGE, 1)?.unwrap();
    assert_eq!(load(&probe, longer + 3 * PAGE - 1, 1)?, b"x");
    let beyond = probe.call(patchwork::WRITE, args![1, longer + 3 * PAGE, 1])?;
    assert_eq!(beyond.result, Err("EFAULT"));
    assert_eq!(store(&probe, longer, b"x")?, Some("EFAULT"), "read only");
    // Unmapping and protecting a part leaves the rest, and what it holds.
    let call = probe.call(patchwork::MUNMAP, args![FREE + PAGE, PAGE])?;
    assert_eq!(call.result, Ok(FREE + PAGE));
    let call = probe.call(patchwork::MPROTECT, args![FREE + 2 * PAGE, PAGE, 1])?;
    assert_eq!(call.result, Ok(FREE + 2 * PAGE));
    assert_eq!(store(&probe, FREE + 2 * PAGE, b"x")?, Some("EFAULT"));
    assert_eq!(store(&probe, FREE + PAGE, b"x")?, Some("EFAULT"));
    assert_eq!(store(&probe, FREE, b"still")?, None);
    assert_eq!(load(&probe, longer, 5)?, b"still");
    Ok(())
}

#[mayfly::test(
    covers = "patchwork MMAP EFAULT, patchwork MMAP EOVERFLOW, patchwork MMAP EINVAL, patchwork MMAP EACCES, patchwork MMAP ENOMEM, patchwork READ ENOSYS, patchwork WRITE ENOSYS, patchwork SEEK ESPIPE, patchwork POLL ENOSYS"
)]
fn shared_memory_that_cannot_be_says_why_in_order(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let file = open(&probe, "/dev/shmem/new")?;
    let read_only = open(&probe, "/dev/shmem/new:r")?;
    for (fd, address, length, prot, error) in [
        (file, 8, 0, 9, "EFAULT"),
        (file, FREE, u64::MAX, 9, "EOVERFLOW"),
        (file, 0, 0, 2, "EINVAL"),
        (read_only, 0, 0, 3, "EACCES"),
        (file, 0, 0, 3, "EINVAL"),
        (file, 0, u64::MAX, 3, "ENOMEM"),
        (file, 0, 1 << 40, 3, "ENOMEM"),
    ] {
        assert_eq!(
            map(&probe, fd, address, length, prot)?,
            Err(error),
            "{length:#x}"
        );
    }
    let errors = [
        probe.call(patchwork::READ, args![file, out(8), 8])?,
        probe.call(patchwork::WRITE, args![file, input("x"), 1])?,
        probe.call(patchwork::SEEK, args![file, 0, 0])?,
        probe.call(patchwork::POLL, args![input(poll(file)), 1, 0])?,
    ];
    assert_eq!(
        errors.map(|call| call.result),
        [Err("ENOSYS"), Err("ENOSYS"), Err("ESPIPE"), Err("ENOSYS")]
    );
    // What failed has settled nothing.
    assert_eq!(map(&probe, file, FREE, PAGE, 3)?, Ok(FREE));
    assert_eq!(map(&probe, read_only, 0, PAGE, 1)?.err(), None);
    Ok(())
}

#[mayfly::test(covers = "patchwork MPROTECT, patchwork MPROTECT EACCES")]
fn what_is_mapped_to_be_read_only_is_not_protected_into_more(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let read_only = open(&probe, "/dev/shmem/new:r")?;
    let both = open(&probe, "/dev/shmem/new")?;
    for (file, answer) in [(read_only, Err("EACCES")), (both, Ok(()))] {
        let place = map(&probe, file, 0, PAGE, 1)?.unwrap();
        let protect = |prot: u32| -> Result<_> {
            let call = probe.call(patchwork::MPROTECT, args![place, PAGE, prot])?;
            Ok(call.result)
        };
        assert_eq!(protect(3)?, answer.map(|()| place));
        let stored = store(&probe, place, b"x")?;
        assert_eq!(stored, answer.err().and(Some("EFAULT")));
        assert_eq!(protect(1)?, Ok(place));
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork MMAP, patchwork MUNMAP, patchwork CLOSE")]
fn memory_goes_with_the_last_that_refers_to_it(vm: Vm) -> Result<()> {
    const PAGES: u64 = 50;
    let (giver, taker) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    // What the first use of anything costs is no leak.
    let file = open(&giver, "/dev/shmem/new")?;
    let taken = pass(&giver, file, &taker)?;
    close(&giver, file)?;
    close(&taker, taken)?;
    let fill = |probe: &Probe<'_>, address: u64| -> Result<()> {
        let zero = open(probe, "/dev/one")?;
        probe.call(patchwork::READ, args![zero, address, PAGES * PAGE])?;
        close(probe, zero)
    };
    fill(&giver, FREE)?;
    let before = vm.stats()?.frames_free;
    let used = || Ok::<_, Error>(before - vm.stats()?.frames_free);
    let file = open(&giver, "/dev/shmem/new")?;
    map(&giver, file, FREE, PAGES * PAGE, 3)?.unwrap();
    fill(&giver, FREE)?;
    assert!(used()? >= PAGES);
    // The descriptor, the mapping, another descriptor, another mapping.
    let taken = pass(&giver, file, &taker)?;
    close(&giver, file)?;
    giver.call(patchwork::MUNMAP, args![FREE, PAGES * PAGE])?;
    assert!(used()? >= PAGES);
    map(&taker, taken, FREE, PAGES * PAGE, 1)?.unwrap();
    close(&taker, taken)?;
    assert_eq!(load(&taker, FREE + (PAGES - 1) * PAGE, 8)?, [0xff; 8]);
    assert!(used()? >= PAGES);
    taker.call(patchwork::MUNMAP, args![FREE, PAGES * PAGE])?;
    // Each of them keeps its last page tables for what it maps next.
    assert!(used()? <= 2 * 3);
    Ok(())
}

#[mayfly::test]
fn memory_of_a_process_that_ends_goes_with_it(vm: Vm) -> Result<()> {
    let before = vm.stats()?.frames_free;
    for _ in 0..3 {
        let probe = vm.probe(Abi::Patchwork)?;
        let (mapped, only_open) = (
            open(&probe, "/dev/shmem/new")?,
            open(&probe, "/dev/shmem/new")?,
        );
        for (file, address) in [(mapped, FREE), (only_open, 2 * FREE)] {
            map(&probe, file, address, 20 * PAGE, 3)?.unwrap();
            let one = open(&probe, "/dev/one")?;
            probe.call(patchwork::READ, args![one, address, 20 * PAGE])?;
        }
        probe.call(patchwork::MUNMAP, args![2 * FREE, 20 * PAGE])?;
        assert!(vm.stats()?.frames_free + 40 <= before);
        probe.close()?;
    }
    assert_eq!(vm.stats()?.frames_free, before);
    Ok(())
}

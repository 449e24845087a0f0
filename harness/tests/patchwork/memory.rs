//! Memory calls of PatchworkOS (`specs/patchwork.md` §8).
//!
//! Purpose: results and errors of MMAP, MUNMAP and MPROTECT by probe.
//! Neighbours: `threads.rs` has the threads.

use mayfly::prelude::*;

const PAGE: u64 = 4096;
/// Ends of the user range (§9).
const USER_START: u64 = 0x40_0000;
const USER_END: u64 = 0x7fff_ffff_f000;
/// An address where nothing is.
const FREE: u64 = 0x20_0000_0000;

#[mayfly::test(
    covers = "patchwork MMAP EFAULT, patchwork MMAP EOVERFLOW, patchwork MMAP EINVAL, patchwork MMAP EBADF, patchwork MMAP ENOSYS"
)]
fn a_mapping_that_cannot_be_says_why_in_order(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (arguments, error) in [
        // First the range, if an address is given.
        (args![99, 8, 0, 9], "EFAULT"),
        (args![99, USER_START - 1, 1, 9], "EFAULT"),
        (args![99, USER_END, 1, 9], "EFAULT"),
        (args![99, USER_END - 1, 2, 9], "EFAULT"),
        (args![99, 0xffff_8000_0000_0000_u64, 1, 9], "EFAULT"),
        (args![99, u64::MAX, 1, 9], "EOVERFLOW"),
        (args![99, FREE, u64::MAX, 9], "EOVERFLOW"),
        // Then the protection.
        (args![99, 0, 0, 0], "EINVAL"),
        (args![99, 0, 0, 2], "EINVAL"),
        (args![99, 0, 0, 4], "EINVAL"),
        (args![99, 0, 0, 7], "EINVAL"),
        (args![99, FREE, 1, 9], "EINVAL"),
        // Then the descriptor, and what it leads to.
        (args![99, 0, 0, 1], "EBADF"),
        (args![-1, 0, 0, 3], "EBADF"),
        (args![1, 0, 0, 3], "ENOSYS"),
    ] {
        let call = probe.call(patchwork::MMAP, arguments.clone())?;
        assert_eq!((call.value, call.result), (0, Err(error)), "{arguments:?}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork MUNMAP, patchwork MUNMAP EFAULT, patchwork MUNMAP EINVAL")]
fn what_is_not_mapped_can_be_unmapped(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (address, length) in [(FREE, 1), (FREE + 5, PAGE), (USER_END - 1, 1)] {
        let call = probe.call(patchwork::MUNMAP, args![address, length])?;
        assert_eq!(call.result, Ok(address & !(PAGE - 1)));
    }
    for (address, length, error) in [
        (0, 0, "EFAULT"),
        (0, 1, "EFAULT"),
        (8, 0, "EFAULT"),
        (USER_START - 1, 1, "EFAULT"),
        (USER_END, 1, "EFAULT"),
        (USER_START, u64::MAX, "EFAULT"),
        (u64::MAX, 1, "EFAULT"),
        (FREE, 0, "EINVAL"),
    ] {
        let call = probe.call(patchwork::MUNMAP, args![address, length])?;
        assert_eq!(
            (call.value, call.result),
            (0, Err(error)),
            "{address:#x} {length:#x}"
        );
    }
    Ok(())
}

#[mayfly::test(
    covers = "patchwork MPROTECT EINVAL, patchwork MPROTECT EOVERFLOW, patchwork MPROTECT EFAULT, patchwork MPROTECT ENOENT"
)]
fn a_protection_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (address, length, error) in [
        (0, 0, "EINVAL"),
        (0, 1, "EINVAL"),
        (8, 0, "EINVAL"),
        (u64::MAX, 1, "EOVERFLOW"),
        (FREE, u64::MAX, "EOVERFLOW"),
        (8, 1, "EFAULT"),
        (USER_START - 1, 1, "EFAULT"),
        (USER_END, 1, "EFAULT"),
        (FREE, 1, "ENOENT"),
    ] {
        let call = probe.call(patchwork::MPROTECT, args![address, length, 1])?;
        assert_eq!(
            (call.value, call.result),
            (0, Err(error)),
            "{address:#x} {length:#x}"
        );
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork MPROTECT, patchwork MUNMAP, patchwork MPROTECT EINVAL")]
fn memory_of_the_probe_is_protected_and_unmapped(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let time = |error: Option<&str>| -> Result<()> {
        let call = probe.call(patchwork::UNIX_EPOCH, args![BUFFER_PAGE])?;
        assert_eq!(call.result.err(), error);
        Ok(())
    };
    let protect = |pages: u64, prot: u32| {
        probe.call(
            patchwork::MPROTECT,
            args![BUFFER_PAGE + 5, pages * PAGE - 5, prot],
        )
    };
    time(None)?;
    assert_eq!(protect(1, 1)?.result, Ok(BUFFER_PAGE));
    time(Some("EFAULT"))?;
    assert_eq!(protect(1, 3)?.result, Ok(BUFFER_PAGE));
    time(None)?;
    // A protection that means nothing unmaps.
    assert_eq!(protect(1, 7)?.result, Ok(BUFFER_PAGE));
    time(Some("EFAULT"))?;
    assert_eq!(protect(1, 3)?.result, Err("ENOENT"));
    assert_eq!(protect(2, 3)?.result, Err("EINVAL"));
    let next = BUFFER_PAGE + PAGE;
    assert_eq!(
        probe.call(patchwork::MUNMAP, args![next, 1])?.result,
        Ok(next)
    );
    assert_eq!(protect(2, 3)?.result, Err("ENOENT"));
    Ok(())
}

/// A page of a probe's own memory that this file's calls do not use otherwise
/// (`kernel/core/src/kernel/probe.rs`, the buffer).
const BUFFER_PAGE: u64 = 0x10_0008_0000;

/// A descriptor of `/dev/zero`, or of the same with flags.
fn open(probe: &Probe<'_>, path: &str) -> Result<u64> {
    let call = probe.call(patchwork::OPEN, args![text(path)])?;
    assert!(call.result.is_ok(), "{path}: {call:?}");
    Ok(call.value)
}

#[mayfly::test(
    covers = "patchwork MMAP, patchwork MMAP EACCES, patchwork MMAP EINVAL, patchwork MMAP EISDIR, patchwork MMAP ENOMEM, patchwork MMAP ENOSYS"
)]
fn memory_comes_from_files_that_are_memory(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let (zero, one) = (open(&probe, "/dev/zero")?, open(&probe, "/dev/one")?);
    let read_only = open(&probe, "/dev/zero:r")?;
    let (folder, null) = (open(&probe, "/dev:directory")?, open(&probe, "/dev/null")?);
    let map = |fd: u64, address: u64, length: u64, prot: u32| {
        let call = probe.call(patchwork::MMAP, args![fd, address, length, prot])?;
        Ok::<_, Error>(call.result)
    };
    let first = map(zero, 0, 1, 3)?.unwrap();
    assert!(first >= USER_START && first.is_multiple_of(PAGE));
    let second = map(one, 0, 2 * PAGE + 1, 1)?.unwrap();
    assert!(second > first);
    let contents = |address: u64, length: u64| -> Result<Vec<u8>> {
        let before = probe.stdout_so_far().len();
        let written = probe.call(patchwork::WRITE, args![1, address, length])?;
        assert_eq!(written.result, Ok(length));
        Ok(probe.stdout_so_far()[before..].to_vec())
    };
    assert_eq!(contents(first, PAGE)?, [0; 4096]);
    assert_eq!(contents(second, 3 * PAGE)?, [0xff; 3 * 4096]);
    // A given address is rounded down, and replaces what is there.
    assert_eq!(map(one, first + 7, 1, 3)?, Ok(first));
    assert_eq!(contents(first, PAGE)?, [0xff; 4096]);
    for (fd, address, length, prot, error) in [
        (read_only, 0, 0, 3, "EACCES"),
        (folder, 0, 0, 1, "EISDIR"),
        (null, 0, 0, 1, "ENOSYS"),
        (zero, 0, 0, 1, "EINVAL"),
        (zero, FREE, 0, 1, "EINVAL"),
        (zero, 0, 1 << 47, 1, "ENOMEM"),
        (zero, 0, u64::MAX, 1, "ENOMEM"),
    ] {
        assert_eq!(map(fd, address, length, prot)?, Err(error), "{length:#x}");
    }
    assert!(map(read_only, 0, 1, 1)?.is_ok());
    Ok(())
}

#[mayfly::test(run_timeout = "10m", covers = "patchwork MMAP, patchwork MUNMAP")]
fn thousands_of_pairs_leave_nothing(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    // Of each size; where ring 0 is emulated, a pair takes a millisecond.
    let pairs = mayfly::rounds(&vm, 500, 10_000);
    let command = vm.spawn("patchwork-memory").arg(pairs.to_string());
    let out = command.trace(false).run()?;
    assert_eq!(out.stdout_text(), "memory ok\n");
    assert_eq!(vm.stats()?.frames_free, before.frames_free);
    Ok(())
}

#[mayfly::test]
fn a_pair_is_within_its_budget(vm: Vm) -> Result<()> {
    let counted = VmOptions::default()
        .backend(vm.backend())
        .meter(true)
        .boot()?;
    let probe = counted.probe(Abi::Patchwork)?;
    let zero = open(&probe, "/dev/zero")?;
    let mut most = 0;
    for _ in 0..3 {
        let map = probe.call(patchwork::MMAP, args![zero, 0, PAGE, 3])?;
        let unmap = probe.call(patchwork::MUNMAP, args![map.value, PAGE])?;
        assert_eq!(unmap.result, Ok(map.value));
        if let (Some(map), Some(unmap)) = (map.kernel_instr, unmap.kernel_instr) {
            most = most.max(map + unmap);
        }
    }
    assert!(most <= 900, "{most} instructions");
    assert_eq!(most > 0, vm.backend() == BackendKind::Kvm);
    Ok(())
}

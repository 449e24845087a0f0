//! Memory calls of VeridianOS (`specs/veridian.md` §5, §8, §9).
//!
//! Purpose: MMAP, MUNMAP and MPROTECT by probe: what they do, and every error
//! in the order of §2.5. Neighbours: `objects.rs` has memory that tokens name,
//! `tokens.rs` finds the tokens.

use mayfly::prelude::*;

use crate::tokens::{self, kind, right};

pub(crate) const PAGE: u64 = 4096;
pub(crate) const USER_END: u64 = 0x7fff_ffff_f000;
/// An address where nothing is.
pub(crate) const FREE: u64 = 0x20_0000_0000;
/// Protections and flags (§3).
pub(crate) const READ: u64 = 1;
pub(crate) const WRITE: u64 = 2;
pub(crate) const EXEC: u64 = 4;
pub(crate) const PRIVATE: u64 = 1;
pub(crate) const SHARED: u64 = 2;
pub(crate) const ANONYMOUS: u64 = 4;
pub(crate) const FIXED: u64 = 8;
pub(crate) const POPULATE: u64 = 16;
/// Every right to memory.
pub(crate) const ALL: u64 = 0x7f;

pub(crate) type Answer = std::result::Result<u64, &'static str>;

/// MMAP.
pub(crate) fn map(probe: &Probe<'_>, arguments: [u64; 6]) -> Result<Answer> {
    let arguments: Vec<Arg> = arguments.into_iter().map(Arg::from).collect();
    Ok(probe.call(veridian::MMAP, arguments)?.result)
}

pub(crate) fn unmap(probe: &Probe<'_>, address: u64, length: u64) -> Result<Answer> {
    Ok(probe.call(veridian::MUNMAP, args![address, length])?.result)
}

pub(crate) fn protect(probe: &Probe<'_>, address: u64, length: u64, prot: u64) -> Result<Answer> {
    let call = probe.call(veridian::MPROTECT, args![address, length, prot])?;
    Ok(call.result)
}

/// New memory of so many pages.
pub(crate) fn memory(probe: &Probe<'_>, pages: u64, rights: u64) -> Result<u64> {
    let space = tokens::space(probe)?;
    let made = args![kind::MEMORY, pages * PAGE, rights, space];
    let call = probe.call(veridian::CAPABILITY_CREATE, made)?;
    Ok(call.result.expect("memory is made"))
}

/// Stores bytes in memory, by way of an object.
pub(crate) fn store(probe: &Probe<'_>, address: u64, bytes: &[u8]) -> Result<Answer> {
    let staging = memory(probe, 1, right::READ | right::WRITE | right::REVOKE)?;
    let written = args![staging, input(bytes), bytes.len(), 0];
    probe.call(veridian::WRITE, written)?;
    let call = probe.call(veridian::READ, args![staging, address, bytes.len(), 0])?;
    probe.call(veridian::CAPABILITY_REVOKE, args![staging])?;
    Ok(call.result)
}

/// Loads bytes.
pub(crate) fn load(probe: &Probe<'_>, address: u64, length: u64) -> Result<Vec<u8>> {
    let console = tokens::console(probe)?;
    let before = probe.stdout_so_far().len();
    let written = probe.call(veridian::WRITE, args![console, address, length, 0])?;
    assert_eq!(written.result, Ok(length));
    Ok(probe.stdout_so_far()[before..].to_vec())
}

#[mayfly::test(
    covers = "veridian MMAP InvalidParameter, veridian MMAP InvalidCapability, veridian MMAP PermissionDenied, veridian MMAP InvalidAddress, veridian MMAP AlreadyExists, veridian MMAP OutOfMemory"
)]
fn a_mapping_that_cannot_be_says_why_in_order(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let console = tokens::console(&probe)?;
    let object = memory(&probe, 2, ALL)?;
    let unmappable = memory(&probe, 2, right::READ | right::WRITE)?;
    let readable = memory(&probe, 2, right::READ | right::MODIFY)?;
    let (any, bad) = (PRIVATE | ANONYMOUS, 0x7777);
    assert_eq!(
        map(&probe, [FREE, PAGE, READ, any | FIXED, 0, 0])?,
        Ok(FREE)
    );
    for (arguments, error) in [
        // Numbers.
        ([8, 0, 7, any, bad, 0], "InvalidParameter"),
        ([8, u64::MAX, 7, any, bad, 0], "InvalidParameter"),
        (
            [u64::MAX - PAGE, 2 * PAGE, 7, any, bad, 0],
            "InvalidParameter",
        ),
        ([8, 1, 8, any, bad, 0], "InvalidParameter"),
        ([8, 1, 1 << 32, any, bad, 0], "InvalidParameter"),
        ([8, 1, 7, any | 32, bad, 0], "InvalidParameter"),
        ([8, 1, 7, ANONYMOUS, bad, 0], "InvalidParameter"),
        ([8, 1, 7, PRIVATE | SHARED, bad, 0], "InvalidParameter"),
        ([8, 1, 7, SHARED, bad, 1], "InvalidParameter"),
        (
            [8, 1, 7, SHARED, bad, 0u64.wrapping_sub(PAGE)],
            "InvalidParameter",
        ),
        ([8, 1, 7, any, bad, PAGE], "InvalidParameter"),
        ([0, 1, 7, any | FIXED, bad, 0], "InvalidParameter"),
        ([8, 1, 7, any | FIXED, bad, 0], "InvalidParameter"),
        // The token.
        ([8, 1, 7, any, bad, 0], "InvalidCapability"),
        ([8, 1, 7, any, console, 0], "InvalidCapability"),
        ([8, 1, 7, PRIVATE, 0, 0], "InvalidCapability"),
        ([8, 1, 7, SHARED, console, 0], "InvalidCapability"),
        // Rights.
        ([8, 1, 7, any, 0, 0], "PermissionDenied"),
        ([8, 1, WRITE | EXEC, any, 0, 0], "PermissionDenied"),
        ([8, 1, WRITE | EXEC, SHARED, object, 0], "PermissionDenied"),
        ([8, 1, READ, SHARED, unmappable, 0], "PermissionDenied"),
        (
            [8, 1, READ | WRITE, SHARED, readable, 0],
            "PermissionDenied",
        ),
        ([8, 1, READ | EXEC, SHARED, readable, 0], "PermissionDenied"),
        ([8, 1, EXEC, PRIVATE, readable, 0], "PermissionDenied"),
        // Beyond the object.
        ([8, 3 * PAGE, READ, SHARED, object, 0], "InvalidParameter"),
        (
            [8, PAGE, READ, SHARED, object, 2 * PAGE],
            "InvalidParameter",
        ),
        // Addresses.
        ([8, 1, READ, any, 0, 0], "InvalidAddress"),
        ([USER_END, 1, READ, any, 0, 0], "InvalidAddress"),
        (
            [USER_END - PAGE, 2 * PAGE, READ, SHARED, object, 0],
            "InvalidAddress",
        ),
        (
            [0xffff_8000_0000_0000, 1, READ, any, 0, 0],
            "InvalidAddress",
        ),
        // What is there, and what is left.
        ([FREE, 1, READ, any | FIXED, 0, 0], "AlreadyExists"),
        (
            [FREE - PAGE, 2 * PAGE, READ, any | FIXED, 0, 0],
            "AlreadyExists",
        ),
        ([0, 1 << 47, READ, any, 0, 0], "OutOfMemory"),
        ([0, 1 << 40, READ, any | POPULATE, 0, 0], "OutOfMemory"),
    ] {
        assert_eq!(map(&probe, arguments)?, Err(error), "{arguments:x?}");
    }
    // What failed has left nothing.
    assert_eq!(unmap(&probe, FREE - PAGE, PAGE)?, Err("NotFound"));
    assert_eq!(load(&probe, FREE, 8)?, [0; 8]);
    Ok(())
}

#[mayfly::test(covers = "veridian MMAP, veridian MUNMAP")]
fn an_address_is_chosen_taken_as_a_hint_or_demanded(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let any = PRIVATE | ANONYMOUS;
    let first = map(&probe, [0, 1, READ | WRITE, any, 0, 0])?.unwrap();
    assert!(first >= 0x1000_0000 && first.is_multiple_of(PAGE));
    assert_eq!(load(&probe, first, PAGE)?, [0; 4096]);
    assert_eq!(store(&probe, first, b"mine")?, Ok(4));
    let hinted = map(&probe, [FREE + 9, PAGE + 1, READ, any, 0, 0])?;
    assert_eq!(hinted, Ok(FREE));
    assert_eq!(load(&probe, FREE, 2 * PAGE)?, [0; 8192]);
    // A hint that is occupied is none; what was there stays.
    let other = map(&probe, [first, PAGE, READ, any, 0, 0])?.unwrap();
    assert_ne!(other, first);
    assert_eq!(load(&probe, first, 4)?, b"mine");
    let fixed = map(&probe, [FREE + 2 * PAGE, 1, READ, any | FIXED, 0, 0])?;
    assert_eq!(fixed, Ok(FREE + 2 * PAGE));
    // SHARED without a token is as PRIVATE; with a token it is only charged.
    let object = memory(&probe, 1, right::READ)?;
    for token in [0, object] {
        let mapped = map(
            &probe,
            [0, PAGE, READ | WRITE, SHARED | ANONYMOUS, token, 0],
        )?
        .unwrap();
        assert_eq!(store(&probe, mapped, b"zero")?, Ok(4));
    }
    let call = probe.call(veridian::READ, args![object, out(4), 4, 0])?;
    assert_eq!(call.buffers[0], [0; 4]);
    Ok(())
}

#[mayfly::test(
    covers = "veridian MUNMAP, veridian MUNMAP InvalidParameter, veridian MUNMAP InvalidAddress, veridian MUNMAP NotFound"
)]
fn an_unmapping_ends_what_is_there(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for (address, length, error) in [
        (0, 1, "InvalidParameter"),
        (FREE + 8, 1, "InvalidParameter"),
        (FREE, 0, "InvalidParameter"),
        (FREE, u64::MAX, "InvalidParameter"),
        (0u64.wrapping_sub(PAGE), 2 * PAGE, "InvalidParameter"),
        (USER_END, 1, "InvalidAddress"),
        (0xffff_8000_0000_0000, PAGE, "InvalidAddress"),
        (FREE, 1, "NotFound"),
        (PAGE, 1, "NotFound"),
    ] {
        assert_eq!(
            unmap(&probe, address, length)?,
            Err(error),
            "{address:#x} {length:#x}"
        );
    }
    let any = PRIVATE | ANONYMOUS | FIXED;
    map(&probe, [FREE, 4 * PAGE, READ | WRITE, any, 0, 0])?.unwrap();
    store(&probe, FREE, b"below")?.unwrap();
    store(&probe, FREE + 3 * PAGE, b"above")?.unwrap();
    // The middle goes; then a range that is partly mapped.
    assert_eq!(unmap(&probe, FREE + PAGE, 2 * PAGE)?, Ok(0));
    assert_eq!(store(&probe, FREE + PAGE, b"x")?, Err("InvalidAddress"));
    assert_eq!(load(&probe, FREE, 5)?, b"below");
    assert_eq!(load(&probe, FREE + 3 * PAGE, 5)?, b"above");
    assert_eq!(unmap(&probe, FREE + 2 * PAGE, 100 * PAGE)?, Ok(0));
    assert_eq!(unmap(&probe, FREE + 2 * PAGE, 100 * PAGE)?, Err("NotFound"));
    assert_eq!(unmap(&probe, FREE, 1)?, Ok(0));
    Ok(())
}

#[mayfly::test(
    covers = "veridian MPROTECT, veridian MPROTECT InvalidParameter, veridian MPROTECT PermissionDenied, veridian MPROTECT InvalidAddress"
)]
fn a_protection_holds_for_all_of_a_range_or_nothing(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let any = PRIVATE | ANONYMOUS | FIXED;
    map(&probe, [FREE, 4 * PAGE, READ | WRITE, any, 0, 0])?.unwrap();
    unmap(&probe, FREE + 3 * PAGE, PAGE)?.unwrap();
    let readable = memory(&probe, 1, right::READ | right::MODIFY)?;
    let shared = map(&probe, [0, PAGE, READ, SHARED, readable, 0])?.unwrap();
    for (address, length, prot, error) in [
        (0, 1, READ, "InvalidParameter"),
        (FREE + 1, 1, READ, "InvalidParameter"),
        (FREE, 0, 7, "InvalidParameter"),
        (FREE, u64::MAX, 7, "InvalidParameter"),
        (FREE, 1, 8, "InvalidParameter"),
        (USER_END, 1, WRITE | EXEC, "PermissionDenied"),
        (FREE, 9 * PAGE, WRITE | EXEC, "PermissionDenied"),
        (shared, PAGE, READ | WRITE, "PermissionDenied"),
        (shared, 9 * PAGE, READ | EXEC, "PermissionDenied"),
        (USER_END, 1, READ, "InvalidAddress"),
        (FREE, 4 * PAGE, 0, "InvalidAddress"),
        (FREE + 3 * PAGE, PAGE, READ, "InvalidAddress"),
    ] {
        let changed = protect(&probe, address, length, prot)?;
        assert_eq!(changed, Err(error), "{address:#x} {length:#x} {prot}");
    }
    store(&probe, FREE + PAGE, b"kept")?.unwrap();
    // Nothing, reading, executing, and back: what is there stays.
    assert_eq!(protect(&probe, FREE + PAGE, PAGE, 0)?, Ok(0));
    let console = tokens::console(&probe)?;
    let read = probe.call(veridian::WRITE, args![console, FREE + PAGE, 4, 0])?;
    assert_eq!(read.result, Err("InvalidAddress"));
    for prot in [READ, EXEC, READ | EXEC] {
        assert_eq!(protect(&probe, FREE, 2 * PAGE, prot)?, Ok(0));
        assert_eq!(load(&probe, FREE + PAGE, 4)?, b"kept");
        assert_eq!(store(&probe, FREE + PAGE, b"x")?, Err("InvalidAddress"));
    }
    assert_eq!(protect(&probe, FREE, 3 * PAGE, WRITE)?, Ok(0));
    assert_eq!(store(&probe, FREE + PAGE, b"K")?, Ok(1));
    assert_eq!(load(&probe, FREE + PAGE, 4)?, b"Kept");
    Ok(())
}

#[mayfly::test]
fn a_page_mapped_and_unmapped_is_within_its_budget(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let any = PRIVATE | ANONYMOUS | POPULATE;
    let turn = || -> Result<(CallResult, CallResult)> {
        let mapped = probe.call(veridian::MMAP, args![0, PAGE, READ | WRITE, any, 0, 0])?;
        assert!(mapped.result.is_ok());
        let unmapped = probe.call(veridian::MUNMAP, args![mapped.value, PAGE])?;
        assert_eq!(unmapped.result, Ok(0));
        Ok((mapped, unmapped))
    };
    // The first one makes page tables.
    turn()?;
    for _ in 0..3 {
        let (mapped, unmapped) = turn()?;
        // 400 an operation (specs/veridian.md §11.5 halves them).
        budget!(mapped, kernel_instr <= 440);
        budget!(unmapped, kernel_instr <= 360);
        let protected = map(&probe, [0, PAGE, READ | WRITE, any, 0, 0])?.unwrap();
        let call = probe.call(veridian::MPROTECT, args![protected, PAGE, READ])?;
        assert_eq!(call.result, Ok(0));
        budget!(call, kernel_instr <= 400);
        assert_eq!(unmap(&probe, protected, PAGE)?, Ok(0));
    }
    Ok(())
}

#[mayfly::test]
fn page_tables_that_nothing_is_in_are_given_back(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let free = || -> Result<u64> { Ok(vm.stats()?.frames_free) };
    let before = free()?;
    for gigabyte in 1..40 {
        let place = FREE + (gigabyte << 30);
        let flags = PRIVATE | ANONYMOUS | POPULATE | FIXED;
        let mapped = map(&probe, [place, PAGE, READ | WRITE, flags, 0, 0])?;
        assert_eq!(mapped, Ok(place));
        assert_eq!(unmap(&probe, place, PAGE)?, Ok(0));
        // Those of the page that was unmapped last may be used again.
        assert!(free()? + 3 >= before, "{gigabyte}");
    }
    Ok(())
}

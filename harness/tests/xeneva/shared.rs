//! Shared memory of XenevaOS (`specs/xeneva.md` §3.9 to §3.11).
//!
//! Purpose: made by key, mapped by id, unmapped by key, and its lifetime by
//! mappings. Neighbours: `memory.rs` has memory of a process's own,
//! `harness/tests/crossing` what the other interfaces do with a segment.

use mayfly::prelude::*;

use crate::slots::Answer;

const PAGE: u64 = 4096;
/// Where segments are mapped.
const START: u64 = 0x8000_0000;

pub(crate) fn create(probe: &Probe<'_>, key: u64, size: u64) -> Result<Answer> {
    let call = probe.call(xeneva::CreateSharedMem, args![key, size, 0])?;
    Ok(call.result)
}

pub(crate) fn obtain(probe: &Probe<'_>, id: u64) -> Result<Answer> {
    let call = probe.call(xeneva::ObtainSharedMem, args![id, 0, 0])?;
    Ok(call.result)
}

fn unmap(probe: &Probe<'_>, key: u64) -> Result<()> {
    let call = probe.call(xeneva::UnmapSharedMem, args![key])?;
    assert_eq!(call.value, 0);
    Ok(())
}

/// Stores bytes, through a file.
pub(crate) fn store(probe: &Probe<'_>, address: u64, bytes: &[u8]) -> Result<u64> {
    let file = |mode| {
        let call = probe.call(xeneva::OpenFile, args![text("/tmp/store"), mode])?;
        Ok::<_, Error>(call.value)
    };
    let fd = file(4)?;
    probe.call(xeneva::WriteFile, args![fd, input(bytes), bytes.len()])?;
    probe.call(xeneva::CloseFile, args![fd])?;
    let fd = file(2)?;
    let read = probe.call(xeneva::ReadFile, args![fd, address, bytes.len()])?;
    probe.call(xeneva::CloseFile, args![fd])?;
    Ok(read.value)
}

/// Loads bytes; nothing where they cannot be read.
pub(crate) fn load(probe: &Probe<'_>, address: u64, length: u64) -> Result<Vec<u8>> {
    let before = probe.stdout_so_far().len();
    probe.call(xeneva::WriteFile, args![1, address, length])?;
    Ok(probe.stdout_so_far()[before..].to_vec())
}

#[mayfly::test(covers = "xeneva CreateSharedMem, xeneva ObtainSharedMem, xeneva UnmapSharedMem")]
fn a_segment_is_made_by_key_mapped_by_id_and_unmapped_by_key(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    // The first id is not the key.
    assert_eq!(create(&probe, 7, PAGE + 1)?, Ok(1));
    // Of one that is there size and flags do not count; a key has 16 bits.
    for (key, size) in [(7, 0), (7, PAGE), (7, u64::MAX), (7 | 5 << 16, 0)] {
        assert_eq!(create(&probe, key, size)?, Ok(1), "{key:#x} {size:#x}");
    }
    // Each call maps all of it once more; an id has 16 bits, the address is no matter.
    assert_eq!(obtain(&probe, 1)?, Ok(START));
    let call = probe.call(xeneva::ObtainSharedMem, args![1 | 3 << 16, 0x1234, -1])?;
    assert_eq!(call.result, Ok(START + 2 * PAGE));
    assert_eq!(load(&probe, START, 2 * PAGE)?, [0; 8192]);
    assert_eq!(store(&probe, START + PAGE - 2, b"both")?, 4);
    assert_eq!(load(&probe, START + 3 * PAGE - 2, 4)?, b"both");
    // 1 is an id, and no key: nothing happens.
    unmap(&probe, 1)?;
    assert_eq!(load(&probe, START + PAGE, 2)?, b"th");
    unmap(&probe, 7 | 9 << 16)?;
    assert!(load(&probe, START, 1)?.is_empty(), "the first one is gone");
    assert_eq!(load(&probe, START + 3 * PAGE, 2)?, b"th");
    Ok(())
}

#[mayfly::test(
    covers = "xeneva CreateSharedMem FAILED, xeneva ObtainSharedMem FAILED, xeneva UnmapSharedMem"
)]
fn a_segment_lives_as_long_as_its_mappings(vm: Vm) -> Result<()> {
    let (probe, other) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Xeneva)?);
    let id = create(&probe, 7, PAGE)?.expect("made");
    let here = obtain(&probe, id)?.expect("mapped");
    let there = obtain(&other, id)?.expect("mapped");
    store(&probe, here, b"shared")?;
    assert_eq!(load(&other, there, 6)?, b"shared");
    // Who has no mapping of it ends none.
    unmap(&probe, 7)?;
    unmap(&probe, 7)?;
    assert_eq!(create(&probe, 7, 0)?, Ok(id));
    assert_eq!(load(&other, there, 6)?, b"shared");
    // The last mapping's end is the end of key and id.
    unmap(&other, 7)?;
    assert_eq!(create(&probe, 7, 0)?, Err("FAILED"));
    assert_eq!(obtain(&probe, id)?, Err("FAILED"));
    unmap(&probe, 7)?;
    let next = create(&probe, 7, PAGE)?.expect("made anew");
    assert!(next > id);
    let here = obtain(&probe, next)?.expect("mapped");
    assert_eq!(load(&probe, here, 6)?, [0; 6], "its pages are zero");
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateSharedMem, xeneva ObtainSharedMem")]
fn what_nobody_has_mapped_outlives_its_maker(vm: Vm) -> Result<()> {
    let (probe, other) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Xeneva)?);
    let unmapped = create(&probe, 1, PAGE)?.expect("made");
    let mapped = create(&probe, 2, PAGE)?.expect("made");
    obtain(&probe, mapped)?.expect("mapped");
    obtain(&probe, mapped)?.expect("mapped twice");
    let kept = create(&probe, 3, PAGE)?.expect("made");
    obtain(&probe, kept)?.expect("mapped");
    let there = obtain(&other, kept)?.expect("mapped by another");
    store(&other, there, b"kept")?;
    probe.close()?;
    assert_eq!(create(&other, 1, 0)?, Ok(unmapped));
    assert_eq!(create(&other, 2, 0)?, Err("FAILED"), "its mappings went");
    assert_eq!(create(&other, 3, 0)?, Ok(kept));
    assert_eq!(load(&other, there, 4)?, b"kept");
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateSharedMem, xeneva CreateSharedMem FAILED")]
fn sizes_are_at_least_a_byte_and_at_most_what_is_free(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    // Key 0 is one like any other.
    for key in [0, 9, 0xffff] {
        for size in [0, (vm.stats()?.frames_free + 1) * PAGE, 1 << 40, u64::MAX] {
            assert_eq!(create(&probe, key, size)?, Err("FAILED"), "{size:#x}");
        }
        assert!(create(&probe, key, 1)?.is_ok());
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva CreateSharedMem FAILED")]
fn there_are_so_many_segments_and_no_more(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let made = (0..2000).take_while(|key| {
        let made = create(&probe, *key, PAGE).expect("it answers");
        made.is_ok()
    });
    assert_eq!(made.count(), 1024);
    // Whose mappings are over makes room.
    let id = create(&probe, 5, 0)?.expect("there");
    obtain(&probe, id)?.expect("mapped");
    unmap(&probe, 5)?;
    assert!(create(&probe, 3000, PAGE)?.is_ok());
    assert_eq!(create(&probe, 5, PAGE)?, Err("FAILED"));
    Ok(())
}

#[mayfly::test(covers = "xeneva ObtainSharedMem, xeneva ObtainSharedMem FAILED")]
fn mappings_take_the_first_gap(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let ids: Vec<u64> = [(1, 1), (2, 2), (3, 1)]
        .into_iter()
        .map(|(key, pages)| {
            let made = create(&probe, key, pages * PAGE).expect("it answers");
            made.expect("made")
        })
        .collect();
    let mut at = START;
    for (id, pages) in ids.iter().zip([1, 2, 1]) {
        assert_eq!(obtain(&probe, *id)?, Ok(at));
        at += pages * PAGE;
    }
    // Two pages do not fit where one was; one does where two were.
    unmap(&probe, 1)?;
    assert_eq!(obtain(&probe, ids[1])?, Ok(at));
    assert_eq!(obtain(&probe, ids[2])?, Ok(START));
    for id in [0, ids[0], ids[2] + 1, 0xffff] {
        assert_eq!(obtain(&probe, id)?, Err("FAILED"), "{id}");
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva ObtainSharedMem, xeneva UnmapSharedMem")]
fn mapping_and_unmapping_a_page_has_a_budget(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let id = create(&probe, 7, PAGE)?.expect("made");
    // With another mapping of it, whose page is there, and as the only one.
    let first = obtain(&probe, id)?.expect("mapped");
    store(&probe, first, b"x")?;
    obtain(&probe, id)?.expect("mapped");
    for only in [false, true] {
        if only {
            unmap(&probe, 7)?;
        }
        let mapped = probe.call(xeneva::ObtainSharedMem, args![id, 0, 0])?;
        let unmapped = probe.call(xeneva::UnmapSharedMem, args![7])?;
        let both = mapped.with_costs_of(&unmapped);
        budget!(both, kernel_instr <= 900);
    }
    Ok(())
}

#[mayfly::test(
    covers = "xeneva CreateSharedMem, xeneva ObtainSharedMem, xeneva PauseThread, xeneva SendSignal"
)]
fn programs_share_memory(vm: Vm) -> Result<()> {
    let giver = vm
        .spawn("xeneva-memory")
        .args(["store", "77", "4711"])
        .start()?;
    giver.wait_for_stdout(|said| said.ends_with(b"stored\n"))?;
    let taken = vm.spawn("xeneva-memory").args(["load", "77"]).run()?;
    assert_eq!(taken.stdout_text(), "4711\nmemory ok\n");
    assert_eq!(giver.kill()?.stdout_text(), "stored\n");
    let gone = vm.spawn("xeneva-memory").args(["load", "77"]).run()?;
    assert!(
        gone.stdout_text().ends_with("1 differ\n"),
        "its maker took it along"
    );
    Ok(())
}

#[mayfly::test]
fn segments_leave_nothing(vm: Vm) -> Result<()> {
    let round = || {
        let out = vm.spawn("xeneva-memory").args(["hold", "9"]).run()?;
        assert_eq!(out.stdout_text(), "memory ok\n");
        vm.stats()
    };
    round()?;
    let before = round()?;
    assert_eq!(round()?, before);
    Ok(())
}

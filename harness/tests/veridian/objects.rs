//! Memory that tokens of VeridianOS name (`specs/veridian.md` §4, §8, §9).
//!
//! Purpose: what mappings of one object share, what a revocation ends, and
//! READ and WRITE without a mapping. Neighbours: `memory.rs` has the calls.

use mayfly::prelude::*;

use crate::memory::{
    ALL, Answer, PAGE, POPULATE, PRIVATE, READ, SHARED, WRITE, load, map, memory, store, unmap,
};
use crate::tokens::{self, kind, right};

#[mayfly::test(
    covers = "veridian MMAP, veridian CAPABILITY_CREATE, veridian CAPABILITY_CREATE InvalidParameter, veridian CAPABILITY_CREATE OutOfMemory"
)]
fn shared_mappings_are_one_memory_and_private_ones_copy(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let space = tokens::space(&probe)?;
    for (size, error) in [
        (0, "InvalidParameter"),
        (PAGE + 1, "InvalidParameter"),
        (1 << 50, "OutOfMemory"),
    ] {
        let made = args![kind::MEMORY, size, ALL, space];
        let call = probe.call(veridian::CAPABILITY_CREATE, made)?;
        assert_eq!(call.result, Err(error), "{size:#x}");
    }
    let object = memory(&probe, 3, ALL)?;
    let both = READ | WRITE;
    let first = map(&probe, [0, 3 * PAGE, both, SHARED, object, 0])?.unwrap();
    let second = map(&probe, [0, PAGE, both, SHARED | POPULATE, object, 2 * PAGE])?.unwrap();
    let private = map(&probe, [0, 3 * PAGE, both, PRIVATE, object, 0])?.unwrap();
    store(&probe, first + 2 * PAGE, b"one")?.unwrap();
    assert_eq!(load(&probe, second, 3)?, b"one");
    assert_eq!(load(&probe, private + 2 * PAGE, 3)?, b"one");
    store(&probe, private + 2 * PAGE, b"own")?.unwrap();
    store(&probe, second + 1, b"NE!")?.unwrap();
    assert_eq!(load(&probe, private + 2 * PAGE, 4)?, b"own\0");
    assert_eq!(load(&probe, first + 2 * PAGE, 4)?, b"oNE!");
    // A copy needs no right to write.
    let readable = args![object, right::READ | right::MODIFY];
    let readable = probe.call(veridian::CAPABILITY_DERIVE, readable)?.value;
    let copy = map(&probe, [0, PAGE, both, PRIVATE, readable, 2 * PAGE])?.unwrap();
    store(&probe, copy, b"new")?.unwrap();
    assert_eq!(load(&probe, first + 2 * PAGE, 4)?, b"oNE!");
    Ok(())
}

#[mayfly::test(covers = "veridian CAPABILITY_REVOKE")]
fn a_revocation_ends_the_mappings_of_the_token_and_of_what_derives_from_it(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let object = memory(&probe, 2, ALL)?;
    let derive = |token: u64| -> Result<u64> {
        Ok(probe
            .call(veridian::CAPABILITY_DERIVE, args![token, ALL])?
            .value)
    };
    let (child, sibling) = (derive(object)?, derive(object)?);
    let grandchild = derive(child)?;
    let mut places = Vec::new();
    for token in [object, child, grandchild, sibling] {
        for kind in [SHARED, PRIVATE] {
            places.push(map(&probe, [0, PAGE, READ | WRITE, kind, token, PAGE])?.unwrap());
        }
    }
    for place in &places {
        store(&probe, *place, b"x")?.unwrap();
    }
    let revoked = probe.call(veridian::CAPABILITY_REVOKE, args![child])?;
    assert_eq!(revoked.result, Ok(0));
    for (place, lives) in places
        .iter()
        .zip([true, true, false, false, false, false, true, true])
    {
        let stored = store(&probe, *place, b"y")?;
        assert_eq!(stored.is_ok(), lives, "{place:#x} {stored:?}");
    }
    // The last token and mapping: the memory is the machine's again.
    let before = vm.stats()?.frames_free;
    probe.call(veridian::CAPABILITY_REVOKE, args![object])?;
    assert!(vm.stats()?.frames_free > before);
    assert_eq!(
        map(&probe, [0, PAGE, READ, SHARED, object, 0])?,
        Err("InvalidCapability")
    );
    Ok(())
}

#[mayfly::test(
    covers = "veridian READ, veridian READ InvalidParameter, veridian READ InvalidCapability, veridian READ PermissionDenied, veridian READ InvalidAddress, veridian WRITE, veridian WRITE InvalidParameter, veridian WRITE InvalidCapability, veridian WRITE PermissionDenied, veridian WRITE InvalidAddress, veridian WRITE ResourceExhausted"
)]
fn memory_is_read_and_written_at_an_offset_without_a_mapping(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let object = memory(&probe, 2, ALL)?;
    let (console, space) = (tokens::console(&probe)?, tokens::space(&probe)?);
    let bytes: Vec<u8> = (0..=250).cycle().take(5000).collect();
    let write = |offset: u64| -> Result<Answer> {
        let written = args![object, input(bytes.clone()), bytes.len(), offset];
        Ok(probe.call(veridian::WRITE, written)?.result)
    };
    assert_eq!(write(3000)?, Ok(5000));
    let read = |offset: u64| probe.call(veridian::READ, args![object, out(6000), 6000, offset]);
    let call = read(2999)?;
    assert_eq!(call.result, Ok(2 * PAGE - 2999));
    assert_eq!(call.buffers[0][0], 0);
    assert_eq!(call.buffers[0][1..5001], bytes);
    // Up to the end and no further; past it reads nothing and takes nothing.
    assert_eq!(write(2 * PAGE - 7)?, Ok(7));
    assert_eq!(write(2 * PAGE)?, Err("ResourceExhausted"));
    assert_eq!(read(2 * PAGE)?.result, Ok(0));
    assert_eq!(read(u64::MAX - 6000)?.result, Ok(0));
    let mapped = map(&probe, [0, PAGE, READ, SHARED, object, 0])?.unwrap();
    assert_eq!(load(&probe, mapped + 3000, 4)?, bytes[..4]);
    let read_only = args![object, right::READ];
    let read_only = probe.call(veridian::CAPABILITY_DERIVE, read_only)?.value;
    let neither = args![object, right::MODIFY];
    let neither = probe.call(veridian::CAPABILITY_DERIVE, neither)?.value;
    for (number, denied) in [(veridian::READ, neither), (veridian::WRITE, read_only)] {
        for (token, address, count, offset, expected) in [
            (0, 8, (256 << 20) + 1, 0, Err("InvalidParameter")),
            (0, 8, 8, u64::MAX - 6, Err("InvalidParameter")),
            (0, 8, 8, 0, Err("InvalidCapability")),
            (space, 8, 0, 0, Err("InvalidCapability")),
            (denied, 8, 0, 0, Err("PermissionDenied")),
            (object, 8, 0, 0, Ok(0)),
            (console, u64::MAX, 0, 0, Ok(0)),
            (object, 8, 8, 0, Err("InvalidAddress")),
            (object, u64::MAX, 8, 0, Err("InvalidAddress")),
            (object, 0xffff_8000_0000_0000, 8, 0, Err("InvalidAddress")),
            (console, 8, 8, 0, Err("InvalidAddress")),
        ] {
            let call = probe.call(number, args![token, address, count, offset])?;
            assert_eq!(call.result, expected, "{number} {token:#x} {address:#x}");
        }
    }
    // A target that can only be read.
    let call = probe.call(veridian::READ, args![object, mapped, 8, 0])?;
    assert_eq!(call.result, Err("InvalidAddress"));
    // Nobody sends input to a probe.
    let call = probe.call(veridian::READ, args![console, out(8), 8, 0])?;
    assert_eq!(call.result, Ok(0));
    Ok(())
}

#[mayfly::test(meter = true)]
fn what_ends_mappings_takes_as_long_as_there_are_mappings(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let costs = |count: u64| -> Result<[Option<u64>; 2]> {
        let object = memory(&probe, 1, ALL)?;
        let places = (0..count).map(|_| map(&probe, [0, PAGE, READ, SHARED, object, 0]));
        let places = places.collect::<Result<Vec<_>>>()?;
        let unmapped = probe.call(veridian::MUNMAP, args![places[0].unwrap(), PAGE])?;
        assert_eq!(unmapped.result, Ok(0));
        let revoked = probe.call(veridian::CAPABILITY_REVOKE, args![object])?;
        assert_eq!(revoked.result, Ok(0));
        for place in places {
            assert_eq!(unmap(&probe, place.unwrap(), PAGE)?, Err("NotFound"));
        }
        Ok([unmapped, revoked].map(|call| call.kernel_instr))
    };
    let (few, many) = (costs(32)?, costs(128)?);
    for (few, many) in few.into_iter().zip(many) {
        // Nothing is counted where there is no meter.
        if let (Some(few), Some(many)) = (few, many) {
            assert!(many <= 4 * few, "{few} for 32, {many} for 128");
        }
    }
    Ok(())
}

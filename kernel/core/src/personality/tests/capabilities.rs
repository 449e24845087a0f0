//! Capability calls of VeridianOS (specs/veridian.md §4, §5).

use mayfly_abi::Abi;
use mayfly_abi::veridian::{ERROR_BIT, nr};

use super::one;
use crate::error::KernelError;
use crate::fake::bench::Bench;
use crate::object::capability::{Capability, Kind, Object, Rights};
use crate::object::memory::Touch;
use crate::object::process::ProcessKey;
use crate::object::stream::Stream;
use crate::port::Machine;

const PROCESS: u64 = 1;
const DEVICE: u64 = 5;
const SPACE: u64 = 9;

/// The result of a call: a value, or an error code.
fn ask(bench: &mut Bench, key: ProcessKey, number: u64, arguments: &[u64]) -> Result<u64, u64> {
    let value = bench.call(key, number, arguments);
    match value & ERROR_BIT {
        0 => Ok(value),
        _ => Err(value & !ERROR_BIT),
    }
}

/// The first token that names something of a kind.
fn token(bench: &Bench, key: ProcessKey, kind: Kind) -> u64 {
    let tokens = &bench.process(key).capabilities;
    let found = tokens.iter().find(|entry| entry.object.kind() == kind);
    found.map_or(0, Capability::token)
}

/// A process with its space and its console.
fn started() -> (Bench, ProcessKey, u64, u64) {
    let (bench, key) = one(Abi::Veridian);
    let space = token(&bench, key, Kind::CapSpace);
    let console = token(&bench, key, Kind::Device);
    (bench, key, space, console)
}

#[test]
fn validation_checks_bits_then_the_token_then_its_rights() {
    let (mut bench, key, space, console) = started();
    for (token, rights, expected) in [
        (console, 0, Ok(0)),
        (console, 3, Ok(0)),
        (console, 0x1b, Ok(0)),
        (console, 4, Err(2)),
        (console, 0xff, Err(2)),
        (space, 0x80, Ok(0)),
        (space, 0x81, Err(2)),
        (0, 0, Err(9)),
        (console ^ 1 << 20, 0, Err(9)),
        (console ^ 1 << 60, 4, Err(9)),
        (console, 0x100, Err(1)),
        (0, 1 << 32, Err(1)),
    ] {
        let found = ask(&mut bench, key, nr::CAPABILITY_VALIDATE, &[token, rights]);
        assert_eq!(found, expected, "{token:#x} {rights:#x}");
    }
}

#[test]
fn a_derived_token_has_the_rights_asked_for_and_no_more() {
    let (mut bench, key, _, console) = started();
    for rights in 0..256 {
        let found = ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[console, rights]);
        match rights & !0x1b {
            0 => {
                let entry = bench.process(key).capabilities.find(found.unwrap());
                let entry = entry.unwrap();
                assert_eq!(u64::from(entry.rights.bits()), rights);
                assert_eq!(entry.object, Object::Device(Stream::Output));
            }
            _ => assert_eq!(found, Err(2), "{rights:#x}"),
        }
    }
    for (token, rights, error) in [(console, 0x100, 1), (0, 0x100, 1), (0, 1, 9)] {
        let found = ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[token, rights]);
        assert_eq!(found, Err(error));
    }
}

#[test]
fn a_full_table_and_a_full_heap_derive_nothing() {
    let (mut bench, key, _, console) = started();
    let held = bench.process(key).capabilities.len();
    for _ in held..1024 {
        assert!(ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[console, 1]).is_ok());
    }
    assert_eq!(
        ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[console, 1]),
        Err(8)
    );
    let (mut bench, key, _, console) = started();
    bench.kernel.machine.heap_low = true;
    assert_eq!(
        ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[console, 1]),
        Err(5)
    );
    assert_eq!(bench.process(key).capabilities.len(), held);
}

#[test]
fn a_revocation_needs_its_right_and_takes_the_token_and_all_below() {
    let (mut bench, key, space, console) = started();
    let mut chain = vec![console];
    for _ in 0..8 {
        let above = *chain.last().unwrap();
        let derived = ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[above, 0x13]);
        chain.push(derived.unwrap());
    }
    let sibling = ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[console, 3]).unwrap();
    // Neither the space nor the sibling may be named.
    for token in [space, sibling] {
        let found = ask(&mut bench, key, nr::CAPABILITY_REVOKE, &[token]);
        assert_eq!(found, Err(2));
    }
    let valid =
        |bench: &mut Bench, token| ask(bench, key, nr::CAPABILITY_VALIDATE, &[token, 1]) == Ok(0);
    let second = chain[1];
    assert_eq!(
        ask(&mut bench, key, nr::CAPABILITY_REVOKE, &[second]),
        Ok(0)
    );
    for token in &chain[1..] {
        assert!(!valid(&mut bench, *token), "{token:#x}");
    }
    assert!(valid(&mut bench, console) && valid(&mut bench, sibling));
    for token in [second, 0, u64::MAX] {
        let found = ask(&mut bench, key, nr::CAPABILITY_REVOKE, &[token]);
        assert_eq!(found, Err(9));
    }
}

#[test]
fn a_slot_used_again_a_thousand_times_takes_no_old_token() {
    let (mut bench, key, _, console) = started();
    let mut old = Vec::new();
    for _ in 0..1000 {
        let token = ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[console, 0x10]).unwrap();
        assert!(!old.contains(&token));
        assert_eq!(ask(&mut bench, key, nr::CAPABILITY_REVOKE, &[token]), Ok(0));
        old.push(token);
    }
    for token in old {
        assert!(bench.process(key).capabilities.find(token).is_err());
    }
}

#[test]
fn creation_checks_in_the_order_of_its_spec() {
    let (mut bench, key, space, console) = started();
    let process = token(&bench, key, Kind::Process);
    let id = bench.process(key).id;
    let weak = ask(&mut bench, key, nr::CAPABILITY_DERIVE, &[space, 0]).unwrap();
    for (kind, object, rights, parent, expected) in [
        (11, 0, 0, 0, Err(1)),
        (16, 0, 0, space, Err(1)),
        (1 << 32, 0, 0, space, Err(1)),
        (PROCESS, id, 0x100, 0, Err(1)),
        (PROCESS, id, 1, 0, Err(9)),
        // Another kind than the parent's, which is no space.
        (DEVICE, 1, 1, process, Err(9)),
        (SPACE, id, 0, process, Err(9)),
        // The parent's own kind: its rights, then its object.
        (PROCESS, id, 4, process, Err(2)),
        (PROCESS, id + 1, 1, process, Err(3)),
        (PROCESS, id, 1, process, Ok(())),
        (SPACE, id, 0x80, space, Ok(())),
        (SPACE, id, 1, space, Err(2)),
        // A space without its right, a right that is not to be had.
        (DEVICE, 1, 1, weak, Err(2)),
        (DEVICE, 1, 0x80, space, Err(2)),
        (DEVICE, 2, 1, space, Err(3)),
        (DEVICE, 1, 0x7f, space, Ok(())),
        (7, 0, 0, space, Err(3)),
        (10, 0, 0, space, Err(3)),
        (DEVICE, 1, 1, console, Ok(())),
    ] {
        let found = ask(
            &mut bench,
            key,
            nr::CAPABILITY_CREATE,
            &[kind, object, rights, parent],
        );
        assert_eq!(
            found.map(|_| ()),
            expected,
            "{kind} {object} {rights:#x} {parent:#x}"
        );
    }
}

#[test]
fn only_a_space_with_boot_authority_mints_devices() {
    let (mut bench, key, _, _) = started();
    let mut space = 0;
    bench.with_process(key, |kernel, running| {
        let object = Object::CapSpace {
            owner: 1,
            boot: false,
        };
        let granted = kernel.grant(&mut running.process, object, Rights::CREATE, None);
        space = granted.unwrap();
    });
    for kind in [4, DEVICE, 7, 8] {
        let found = ask(&mut bench, key, nr::CAPABILITY_CREATE, &[kind, 1, 1, space]);
        assert_eq!(found, Err(2));
    }
}

#[test]
fn what_is_sent_off_dies_with_its_parent_and_otherwise_arrives_once() {
    let (mut bench, key, _, console) = started();
    bench.with_process(key, |kernel, running| {
        let mut derive = |kernel: &mut crate::kernel::Kernel<_>, rights| {
            let node = running.process.capabilities.find(console).unwrap().node;
            let object = Object::Device(Stream::Output);
            kernel.grant(&mut running.process, object, rights, Some(node))
        };
        let pass = Rights::GRANT.and(Rights::REVOKE);
        let (weak, passed) = (derive(kernel, Rights::READ), derive(kernel, pass));
        assert!(kernel.send_off(running, weak.unwrap()).is_err());
        let token = passed.unwrap();
        let (first, second) = (
            kernel.send_off(running, token).unwrap(),
            kernel.send_off(running, token).unwrap(),
        );
        let arrived = kernel.deliver(running, first).unwrap().unwrap();
        assert_eq!(
            running.process.capabilities.find(arrived).unwrap().rights,
            pass
        );
        assert_eq!(kernel.revoke(running, token), Ok(()));
        assert!(running.process.capabilities.find(arrived).is_err());
        assert_eq!(kernel.deliver(running, second), Ok(None));
        let third = kernel.send_off(running, console).unwrap();
        kernel.abandon(third);
        assert_eq!(kernel.deliver(running, third), Ok(None));
    });
}

/// Memory that one process passes to another, which maps it: the maker's
/// revocation ends that, and no other mapping.
#[test]
fn a_revocation_ends_mappings_in_every_process() {
    let (mut bench, maker, space, _) = started();
    let holder = bench.spawn(Abi::Veridian);
    let all = 0x7f;
    let memory = ask(
        &mut bench,
        maker,
        nr::CAPABILITY_CREATE,
        &[0, 8192, all, space],
    )
    .unwrap();
    bench.registers(holder);
    let child = ask(&mut bench, maker, nr::CAPABILITY_DERIVE, &[memory, all]).unwrap();
    bench.registers(holder);
    let mut sent = None;
    bench.with_process(maker, |kernel, running| {
        sent = kernel.send_off(running, child).ok()
    });
    let mut arrived = None;
    bench.with_process(holder, |kernel, running| {
        arrived = kernel.deliver(running, sent.unwrap()).unwrap();
    });
    // READ and WRITE, SHARED.
    let kept = ask(&mut bench, maker, nr::MMAP, &[0, 8192, 3, 2, memory, 0]).unwrap();
    let arguments = [0, 8192, 3, 2, arrived.unwrap(), 0];
    let mapped = ask(&mut bench, holder, nr::MMAP, &arguments).unwrap();
    bench.poke(maker, kept, b"shared");
    assert_eq!(bench.peek(holder, mapped, 6), b"shared");
    ask(&mut bench, maker, nr::CAPABILITY_REVOKE, &[child]).unwrap();
    bench.with_process(holder, |kernel, running| {
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        let touched = space.touch(machine, mapped, Touch::Read);
        assert_eq!(touched, Err(KernelError::BadAddress));
        assert_eq!(machine.lookup(space.tables(), mapped), None);
        assert!(running.process.capabilities.find(arrived.unwrap()).is_err());
    });
    assert_eq!(bench.peek(maker, kept, 6), b"shared");
}

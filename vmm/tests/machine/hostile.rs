//! Guests that fill virtqueues with garbage: they end, the process goes on.
//!
//! Every kind of garbage is tried on the device itself, in its unit tests; here
//! is that a guest gets there and what becomes of the machine.

use iced_x86::code_asm::CodeAssembler;
use mayfly_machine::device;
use mayfly_vmm::{GuestError, Port, Stop};

use crate::common::{DATA_PHYSICAL, exit, poke, run, vm};

const RINGS: u32 = DATA_PHYSICAL as u32;

fn register(a: &mut CodeAssembler, register: u64, value: u32) {
    poke(a, device::CONSOLE_MMIO + register, value);
}

/// Brings the device up with queue 5 at the given places.
fn queue_5(a: &mut CodeAssembler, size: u32, [descriptors, available, used]: [u32; 3]) {
    register(a, 0x70, 3);
    register(a, 0x24, 1);
    register(a, 0x20, 1);
    register(a, 0x70, 11);
    register(a, 0x30, 5);
    register(a, 0x38, size);
    register(a, 0x80, descriptors);
    register(a, 0x90, available);
    register(a, 0xa0, used);
    register(a, 0x44, 1);
    register(a, 0x70, 15);
}

const GOOD: [u32; 3] = [RINGS, RINGS + 0x400, RINGS + 0x800];

/// Runs a guest that goes wrong, and then one that does not.
fn guest_error(build: impl FnOnce(&mut CodeAssembler)) -> GuestError {
    let mut hostile = vm(|a| {
        build(a);
        exit(a, 1);
    });
    let stop = run(&mut hostile);
    assert_eq!(run(&mut hostile), stop, "it stays dead");
    let mut healthy = vm(|a| exit(a, 2));
    assert_eq!(run(&mut healthy), Stop::Exit(2));
    match stop {
        Stop::GuestError(error) => error,
        stop => panic!("expected a guest error, got {stop}"),
    }
}

#[test]
fn a_queue_of_an_impossible_size() {
    let error = guest_error(|a| queue_5(a, 7, GOOD));
    assert_eq!(
        error.to_string(),
        "virtio-console, queue 5 (mayfly.control from the guest): \
         size 7 is not a power of two from 1 to 256"
    );
}

#[test]
fn a_ring_outside_memory() {
    let error = guest_error(|a| queue_5(a, 8, [0xf000_0000, GOOD[1], GOOD[2]]));
    assert_eq!(
        error.problem,
        "descriptor table at 0xf0000000 is outside memory"
    );
}

#[test]
fn a_descriptor_that_loops() {
    let error = guest_error(|a| {
        queue_5(a, 8, GOOD);
        // Descriptor 0: four bytes, and next is 0 again.
        poke(a, DATA_PHYSICAL + 8, 4);
        poke(a, DATA_PHYSICAL + 12, 1);
        poke(a, DATA_PHYSICAL + 0x400, 1 << 16);
        register(a, 0x50, 5);
    });
    assert!(error.problem.starts_with("chain 0 is broken"), "{error}");
}

#[test]
fn a_buffer_outside_memory() {
    let error = guest_error(|a| {
        queue_5(a, 8, GOOD);
        poke(a, DATA_PHYSICAL, 0xfee0_0000);
        poke(a, DATA_PHYSICAL + 8, 4);
        poke(a, DATA_PHYSICAL + 0x400, 1 << 16);
        register(a, 0x50, 5);
    });
    let expected = "chain 0 names 4 bytes at 0xfee00000, outside memory";
    assert_eq!(error.problem, expected);
}

#[test]
fn an_available_index_that_jumps() {
    let error = guest_error(|a| {
        queue_5(a, 8, GOOD);
        poke(a, DATA_PHYSICAL + 0x400, 0x7777_0000);
        register(a, 0x50, 5);
    });
    assert!(
        error.problem.starts_with("the available index moved"),
        "{error}"
    );
}

#[test]
fn a_doorbell_that_does_not_exist() {
    let error = guest_error(|a| {
        queue_5(a, 8, GOOD);
        register(a, 0x50, 4711);
    });
    assert_eq!(error.problem, "doorbell of queue 4711");
}

#[test]
fn garbage_that_a_sender_finds_stops_the_guest() {
    // Queue 4 gets a jump of its index, no doorbell; the port is not open, so
    // the garbage is found only when multiport is not negotiated: use port 0.
    let mut guest = vm(|a| {
        register(a, 0x70, 3);
        register(a, 0x24, 1);
        register(a, 0x20, 1);
        register(a, 0x70, 11);
        register(a, 0x30, 0);
        register(a, 0x38, 8);
        register(a, 0x80, GOOD[0]);
        register(a, 0x90, GOOD[1]);
        register(a, 0xa0, GOOD[2]);
        register(a, 0x44, 1);
        register(a, 0x70, 15);
        poke(a, DATA_PHYSICAL + 0x400, 0x7777_0000);
        a.sti().unwrap();
        a.hlt().unwrap();
    });
    let sender = guest.sender();
    let soon = std::time::Instant::now() + std::time::Duration::from_millis(100);
    assert!(matches!(guest.run(soon).unwrap(), Stop::Deadline(_)));
    sender.send(Port::Console, b"x").unwrap();
    match run(&mut guest) {
        Stop::GuestError(error) => assert_eq!(error.queue.map(|(index, _)| index), Some(0)),
        stop => panic!("{stop}"),
    }
}

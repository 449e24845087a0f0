//! Everything a guest can put into rings and registers: never a panic, always
//! an error that names the queue and what is wrong.

use mayfly_machine::layout;
use proptest::prelude::*;
use virtio_bindings::virtio_mmio as reg;
use vm_memory::{Bytes, GuestAddress};

use super::driver::{Driver, NEXT, OUTPUT_MAX, Outcome, RAM, SIZE, WRITE, base, buffer};
use crate::device::virtio::port::Port;
use crate::device::{Device, Effects};

/// Queue in which the tests put garbage: bytes from the guest on port 1.
const QUEUE: u32 = 5;
/// And the one for bytes to the guest.
const RECEIVE: u32 = 4;

fn complaint(outcome: Outcome) -> String {
    outcome.unwrap_err().to_string()
}

/// What is said about a doorbell after `garble`.
fn said(garble: impl FnOnce(&Driver)) -> String {
    let mut driver = Driver::open();
    garble(&driver);
    complaint(driver.notify(QUEUE))
}

/// What is said about bytes for the guest after `garble`.
fn said_receiving(garble: impl FnOnce(&Driver)) -> String {
    let mut driver = Driver::open();
    garble(&driver);
    let (memory, effects) = (&driver.memory, &mut driver.effects);
    complaint(driver.mmio.send(Port::Control, b"bytes", memory, effects))
}

#[test]
fn an_error_names_device_queue_and_problem() {
    let text = said(|d| d.offer(QUEUE, 0, RAM - 4, 8, 0));
    assert_eq!(
        text,
        "virtio-console, queue 5 (mayfly.control from the guest): \
         chain 0 names 8 bytes at 0x3ffffc, outside memory"
    );
}

#[test]
fn buffers_outside_memory() {
    for (address, bytes) in [
        (RAM, 1),
        (u64::MAX, 1),
        (u64::MAX - 3, 8),
        (layout::DEVICE_WINDOW, 4),
        (layout::MODULE_BASE + 4096, 1),
        (RAM - 1, 2),
        (0, u32::MAX),
    ] {
        let text = said(|d| d.offer(QUEUE, 0, address, bytes, 0));
        assert!(text.contains("outside memory"), "{text}");
        let text = said_receiving(|d| d.offer(RECEIVE, 0, address, bytes, WRITE));
        assert!(text.contains("outside memory"), "{text}");
    }
}

#[test]
fn a_module_is_never_written() {
    let text = said_receiving(|d| d.offer(RECEIVE, 0, layout::MODULE_BASE, 8, WRITE));
    assert!(text.contains("outside memory"), "{text}");
}

#[test]
fn buffers_of_the_wrong_direction() {
    let text = said(|d| d.offer(QUEUE, 0, buffer(QUEUE, 0), 8, WRITE));
    assert!(text.contains("device-writable"), "{text}");
    let text = said_receiving(|d| d.offer(RECEIVE, 0, buffer(RECEIVE, 0), 8, 0));
    assert!(text.contains("device-readable"), "{text}");
}

#[test]
fn chains_that_loop() {
    let text = said(|d| {
        d.describe(QUEUE, 0, (buffer(QUEUE, 0), 1), NEXT, 1);
        d.describe(QUEUE, 1, (buffer(QUEUE, 1), 1), NEXT, 0);
        d.publish(QUEUE, 0);
    });
    assert!(text.contains("chain 0 is broken"), "{text}");
}

#[test]
fn chains_that_leave_the_table() {
    for next in [SIZE, u16::MAX] {
        let text = said(|d| {
            d.describe(QUEUE, 0, (buffer(QUEUE, 0), 1), NEXT, next);
            d.publish(QUEUE, 0);
        });
        assert!(text.contains("chain 0 is broken"), "{text}");
    }
}

#[test]
fn heads_outside_the_table() {
    let text = said(|d| d.publish(QUEUE, SIZE));
    assert!(text.contains("chain head 16 is outside"), "{text}");
}

#[test]
fn available_indices_that_jump() {
    let text = said(|d| d.set_available(QUEUE, SIZE + 1));
    assert!(text.contains("available index moved"), "{text}");
    let text = said(|d| d.set_available(QUEUE, u16::MAX));
    assert!(text.contains("available index moved"), "{text}");
}

#[test]
fn indirect_tables_that_are_not() {
    // Length no multiple of 16, length 0, too long, outside memory, nested.
    for (address, bytes) in [
        (buffer(QUEUE, 0), 17),
        (buffer(QUEUE, 0), 0),
        (buffer(QUEUE, 0), 0x0010_0000),
        (RAM, 16),
    ] {
        let text = said(|d| d.offer(QUEUE, 0, address, bytes, 4));
        assert!(text.contains("chain 0 is broken"), "{text}");
    }
    let text = said(|d| {
        let table = base(QUEUE) + 16;
        d.describe(QUEUE, 1, (table, 16), 4, 0);
        d.offer(QUEUE, 0, table, 16, 4);
    });
    assert!(text.contains("chain 0 is broken"), "{text}");
}

#[test]
fn more_than_4_gib_in_a_chain() {
    let text = said(|d| {
        for slot in 0..SIZE {
            let flags = if slot + 1 < SIZE { NEXT } else { 0 };
            d.describe(QUEUE, slot, (0, RAM as u32), flags, slot + 1);
        }
        // 16 times 4 MiB is far below 4 GiB, but above what may be unread.
        d.publish(QUEUE, 0);
    });
    assert!(text.contains("unread bytes of output"), "{text}");
}

#[test]
fn more_output_than_the_caller_allows() {
    let mut driver = Driver::open();
    let bytes = u32::try_from(OUTPUT_MAX).unwrap();
    driver.offer(QUEUE, 0, 0, bytes, 0);
    driver.notify(QUEUE).unwrap();
    driver.offer(QUEUE, 1, 0, 1, 0);
    let text = complaint(driver.notify(QUEUE));
    assert!(text.contains("unread bytes of output"), "{text}");
}

#[test]
fn receive_buffers_without_room() {
    let text = said_receiving(|d| d.offer(RECEIVE, 0, buffer(RECEIVE, 0), 0, WRITE));
    assert!(text.contains("a receive buffer is empty"), "{text}");
}

#[test]
fn sizes_that_are_no_power_of_two_or_too_large() {
    for size in [0, 3, 512, 0x1_0000, u32::MAX] {
        let mut driver = Driver::new();
        let text = complaint(driver.set_up(QUEUE, size));
        assert!(text.contains("is not a power of two"), "{text}");
    }
}

#[test]
fn rings_outside_memory_or_not_aligned() {
    let at = base(QUEUE);
    let good = [at, at + 0x2000, at + 0x3000];
    for (part, address, problem) in [
        (
            0,
            RAM - 16,
            "descriptor table at 0x3ffff0 is outside memory",
        ),
        (1, RAM - 2, "available ring at 0x3ffffe is outside memory"),
        (2, RAM - 4, "used ring at 0x3ffffc is outside memory"),
        (0, u64::MAX - 15, "is outside memory"),
        (1, 0, "available ring at 0x0 is outside memory"),
        (2, layout::MODULE_BASE, "is outside memory"),
        (2, layout::VIRTIO_MMIO_BASE, "is outside memory"),
        (0, at + 8, "descriptor table at 0x150008 is not aligned"),
        (1, at + 1, "available ring at 0x150001 is not aligned"),
        (2, at + 2, "used ring at 0x150002 is not aligned"),
    ] {
        let mut parts = good;
        parts[part] = address;
        let text = complaint(Driver::new().set_up_at(QUEUE, 16, parts));
        assert!(text.ends_with(problem), "{text}");
    }
}

#[test]
fn queues_that_change_while_they_are_ready() {
    for register in [reg::VIRTIO_MMIO_QUEUE_NUM, reg::VIRTIO_MMIO_QUEUE_DESC_LOW] {
        let mut driver = Driver::running();
        driver.write(reg::VIRTIO_MMIO_QUEUE_SEL, QUEUE).unwrap();
        let text = complaint(driver.write(register, 8));
        assert!(text.contains("changed while it was ready"), "{text}");
    }
    let text = complaint(Driver::running().set_up(QUEUE, 16));
    assert!(text.contains("changed while it was ready"), "{text}");
}

#[test]
fn doorbells_out_of_turn() {
    let early = complaint(Driver::new().notify(QUEUE));
    assert!(early.ends_with("doorbell before DRIVER_OK"), "{early}");
    let none = complaint(Driver::running().notify(8));
    assert!(none.ends_with("doorbell of queue 8"), "{none}");
    let mut driver = Driver::new();
    driver.negotiate().unwrap();
    driver.start().unwrap();
    let unready = complaint(driver.notify(QUEUE));
    assert!(
        unready.ends_with("used before it was made ready"),
        "{unready}"
    );
}

#[test]
fn a_start_without_features() {
    let text = complaint(Driver::new().start());
    assert!(text.ends_with("DRIVER_OK without FEATURES_OK"), "{text}");
}

#[test]
fn control_messages_that_make_no_sense() {
    for (message, problem) in [
        ([0, 99, 1], "unknown control event 99 for port 0"),
        ([7, 6, 1], "unknown control event 6 for port 7"),
        ([1, 3, 0], "the driver refused port 1"),
        ([0, 0, 0], "the driver refused port 0"),
    ] {
        let mut driver = Driver::open();
        driver.control(9, message);
        let text = complaint(driver.notify(3));
        assert!(text.ends_with(problem), "{text}");
    }
    let mut driver = Driver::open();
    driver.offer(3, 9, buffer(3, 9), 7, 0);
    let text = complaint(driver.notify(3));
    assert!(text.ends_with("a control message is too short"), "{text}");
}

#[test]
fn control_messages_that_nobody_takes() {
    let mut driver = Driver::running();
    let outcome = (0..1000).try_for_each(|round| {
        driver.control(round % SIZE, [0, 0, 1]);
        driver.notify(3)
    });
    let text = complaint(outcome);
    assert!(text.ends_with("asked for but not taken"), "{text}");
}

#[test]
fn a_control_buffer_that_is_too_small() {
    let mut driver = Driver::running();
    driver.offer(2, 0, buffer(2, 0), 7, WRITE);
    driver.control(0, [0, 0, 1]);
    let text = complaint(driver.notify(3));
    assert!(text.contains("cannot hold a message of 8"), "{text}");
}

#[test]
fn registers_at_odd_widths_and_places() {
    for (offset, width) in [(0, 1), (2, 4), (0x70, 8), (0x44, 2)] {
        let mut driver = Driver::new();
        let mut effects = Effects::default();
        let mut data = vec![0; width];
        assert!(driver.mmio.read(offset, &mut data, &mut effects).is_err());
        let written = driver
            .mmio
            .write(offset, &data, &driver.memory, &mut effects);
        assert!(written.is_err());
    }
}

/// One thing that a guest, or the host, may do.
#[derive(Clone, Debug)]
enum Act {
    Write(u32, u32),
    Read(u32, usize),
    Bytes(u64, Vec<u8>),
    Send(usize, Vec<u8>),
    Publish(u32, u16),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let register = prop_oneof![(0_u32..0x40).prop_map(|n| n * 4), 0_u32..0x1000];
    let value = prop_oneof![
        0_u32..16,
        Just(0x10_0000),
        0x10_0000_u32..0x20_0000,
        any::<u32>()
    ];
    let place = prop_oneof![0x10_0000_u64..0x18_0000, 0..RAM - 64];
    let small = proptest::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..40);
    let act = prop_oneof![
        (register.clone(), value).prop_map(|(r, v)| Act::Write(r, v)),
        (register, 1_usize..9).prop_map(|(r, w)| Act::Read(r, w)),
        (place, small.clone()).prop_map(|(p, b)| Act::Bytes(p, b)),
        (0_usize..3, small).prop_map(|(p, b)| Act::Send(p, b)),
        (0_u32..8, 0_u16..20).prop_map(|(q, h)| Act::Publish(q, h)),
    ];
    proptest::collection::vec(act, 1..60)
}

fn perform(driver: &mut Driver, act: Act) {
    // Errors are fine, and going on after them as well: only panics are not.
    match act {
        Act::Write(register, value) => drop(driver.write(register, value)),
        Act::Read(register, width) => {
            let mut data = vec![0; width];
            let mut effects = Effects::default();
            drop(driver.mmio.read(register.into(), &mut data, &mut effects));
        }
        Act::Bytes(at, bytes) => {
            driver.memory.write_slice(&bytes, GuestAddress(at)).unwrap();
        }
        Act::Send(port, bytes) => {
            let (memory, effects) = (&driver.memory, &mut driver.effects);
            drop(driver.mmio.send(Port::ALL[port], &bytes, memory, effects));
        }
        Act::Publish(queue, head) => {
            driver.publish(queue, head);
            drop(driver.notify(queue));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_that_a_guest_does_from_the_start_panics(acts in acts()) {
        let mut driver = Driver::new();
        acts.into_iter().for_each(|act| perform(&mut driver, act));
    }

    #[test]
    fn nothing_that_a_guest_does_while_running_panics(acts in acts()) {
        let mut driver = Driver::open();
        acts.into_iter().for_each(|act| perform(&mut driver, act));
    }

    #[test]
    fn random_rings_never_panic(ring in proptest::collection::vec(any::<u8>(), 512)) {
        let mut driver = Driver::open();
        for queue in 0..8 {
            driver.memory.write_slice(&ring[..256], GuestAddress(base(queue))).unwrap();
            let available = GuestAddress(base(queue) + 0x2002);
            driver.memory.write_slice(&ring[256..290], available).unwrap();
            drop(driver.notify(queue));
        }
    }
}

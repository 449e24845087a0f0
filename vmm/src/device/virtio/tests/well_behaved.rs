//! Start-up, control messages and bytes both ways, as a good driver does it.

use mayfly_machine::device::CONSOLE_GSI;
use mayfly_machine::layout;
use virtio_bindings::virtio_mmio as reg;
use vm_memory::{Bytes, GuestAddress};

use super::driver::{Driver, NEXT, WRITE, buffer};
use crate::device::virtio::port::Port;
use crate::device::{Device, Effects};

/// Interrupts that the device raised.
fn raised(driver: &mut Driver) -> bool {
    std::mem::take(&mut driver.effects).raised == 1 << CONSOLE_GSI
}

fn send(driver: &mut Driver, port: Port, bytes: &[u8]) {
    let (memory, effects) = (&driver.memory, &mut driver.effects);
    driver.mmio.send(port, bytes, memory, effects).unwrap();
}

#[test]
fn the_registers_identify_a_console() {
    let mut driver = Driver::new();
    assert_eq!(driver.read(reg::VIRTIO_MMIO_MAGIC_VALUE), 0x7472_6976);
    assert_eq!(driver.read(reg::VIRTIO_MMIO_VERSION), 2);
    assert_eq!(driver.read(reg::VIRTIO_MMIO_DEVICE_ID), 3);
    assert_eq!(driver.read(reg::VIRTIO_MMIO_CONFIG + 4), 3);
}

#[test]
fn features_that_are_not_offered_do_not_stick() {
    let mut driver = Driver::new();
    driver.write(reg::VIRTIO_MMIO_STATUS, 3).unwrap();
    driver
        .write(reg::VIRTIO_MMIO_DRIVER_FEATURES, 1 << 29)
        .unwrap();
    driver.write(reg::VIRTIO_MMIO_STATUS, 11).unwrap();
    assert_eq!(driver.read(reg::VIRTIO_MMIO_STATUS), 3);
}

#[test]
fn version_1_is_a_must() {
    let mut driver = Driver::new();
    driver.write(reg::VIRTIO_MMIO_STATUS, 11).unwrap();
    assert_eq!(driver.read(reg::VIRTIO_MMIO_STATUS), 3);
}

#[test]
fn queues_beyond_the_last_do_not_exist() {
    let mut driver = Driver::new();
    for (queue, max) in [(7, 256), (8, 0), (u32::MAX, 0)] {
        driver.write(reg::VIRTIO_MMIO_QUEUE_SEL, queue).unwrap();
        assert_eq!(driver.read(reg::VIRTIO_MMIO_QUEUE_NUM_MAX), max);
    }
}

#[test]
fn a_driver_is_told_the_ports_their_names_and_that_they_are_open() {
    let driver = Driver::open();
    let message = |slot| driver.bytes(buffer(2, slot), 22);
    for port in 0..3 {
        assert_eq!(message(port)[..8], [port as u8, 0, 0, 0, 1, 0, 1, 0]);
    }
    assert_eq!(message(3)[..8], [0, 0, 0, 0, 4, 0, 1, 0]);
    assert_eq!(&message(4)[..], b"\0\0\0\0\x07\0\x01\0mayfly.console");
    assert_eq!(message(5)[..8], [0, 0, 0, 0, 6, 0, 1, 0]);
    assert_eq!(&message(6)[..], b"\x01\0\0\0\x07\0\x01\0mayfly.control");
    assert_eq!(&message(8)[..20], b"\x02\0\0\0\x07\0\x01\0mayfly.trace");
    assert_eq!(driver.used(2), 10);
    assert_eq!(driver.used_element(2, 4), (4, 22));
    assert_eq!(driver.used(3), 7);
}

#[test]
fn bytes_of_the_guest_reach_the_caller_at_the_doorbell() {
    let mut driver = Driver::open();
    let at = GuestAddress(buffer(5, 0));
    driver.memory.write_slice(b"hello, world", at).unwrap();
    // Two buffers in one chain, then another chain.
    driver.describe(5, 0, (at.0, 5), NEXT, 1);
    driver.describe(5, 1, (at.0 + 5, 2), 0, 0);
    driver.publish(5, 0);
    driver.offer(5, 2, at.0 + 7, 5, 0);
    driver.notify(5).unwrap();
    assert!(driver.effects.output);
    assert!(raised(&mut driver));
    assert_eq!(driver.mmio.take(Port::Control), b"hello, world");
    assert_eq!(driver.mmio.take(Port::Control), b"");
    assert_eq!((driver.used(5), driver.used_element(5, 1)), (2, (2, 0)));
}

#[test]
fn bytes_may_come_from_a_module() {
    let mut driver = Driver::open();
    driver.offer(7, 0, layout::MODULE_BASE + 5, 6, 0);
    driver.notify(7).unwrap();
    assert_eq!(driver.mmio.take(Port::Trace), b"module");
}

#[test]
fn bytes_for_the_guest_fill_its_buffers() {
    let mut driver = Driver::open();
    driver.offer(4, 0, buffer(4, 0), 4, WRITE);
    driver.offer(4, 1, buffer(4, 1), 256, WRITE);
    send(&mut driver, Port::Control, b"abcdefg");
    assert!(raised(&mut driver));
    assert_eq!(driver.bytes(buffer(4, 0), 4), b"abcd");
    assert_eq!(driver.bytes(buffer(4, 1), 3), b"efg");
    assert_eq!(driver.used_element(4, 0), (0, 4));
    assert_eq!(driver.used_element(4, 1), (1, 3));
    assert_eq!(driver.read(reg::VIRTIO_MMIO_INTERRUPT_STATUS), 1);
    driver.write(reg::VIRTIO_MMIO_INTERRUPT_ACK, 1).unwrap();
    assert_eq!(driver.read(reg::VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

#[test]
fn bytes_wait_for_buffers_and_then_want_the_doorbell() {
    let mut driver = Driver::open();
    // Nothing waits: buffers are not worth a doorbell (2.7.10).
    send(&mut driver, Port::Control, b"");
    assert_eq!(driver.used_flags(4), 1);
    send(&mut driver, Port::Control, b"late");
    assert_eq!((driver.used(4), driver.used_flags(4)), (0, 0));
    driver.offer(4, 0, buffer(4, 0), 256, WRITE);
    driver.notify(4).unwrap();
    assert_eq!(driver.bytes(buffer(4, 0), 4), b"late");
    assert_eq!(driver.used_flags(4), 1);
}

#[test]
fn bytes_wait_until_the_driver_runs_and_opens_the_port() {
    let mut driver = Driver::new();
    send(&mut driver, Port::Console, b"early");
    driver.negotiate().unwrap();
    (0..8).for_each(|index| driver.set_up(index, 16).unwrap());
    driver.offer(0, 0, buffer(0, 0), 256, WRITE);
    driver.start().unwrap();
    assert_eq!(driver.used(0), 0);
    driver.control(0, [0, 6, 1]);
    driver.notify(3).unwrap();
    assert_eq!(driver.bytes(buffer(0, 0), 5), b"early");
}

#[test]
fn a_driver_without_multiport_has_port_0_at_once() {
    let mut driver = Driver::new();
    driver.write(reg::VIRTIO_MMIO_STATUS, 3).unwrap();
    driver
        .write(reg::VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1)
        .unwrap();
    driver.write(reg::VIRTIO_MMIO_DRIVER_FEATURES, 1).unwrap();
    driver.write(reg::VIRTIO_MMIO_STATUS, 11).unwrap();
    driver.set_up(0, 16).unwrap();
    driver.offer(0, 0, buffer(0, 0), 256, WRITE);
    driver.start().unwrap();
    send(&mut driver, Port::Console, b"hi");
    assert_eq!(driver.bytes(buffer(0, 0), 2), b"hi");
}

#[test]
fn a_driver_can_do_without_interrupts() {
    let mut driver = Driver::open();
    driver.set_available_flags(5, 1);
    driver.offer(5, 0, buffer(5, 0), 4, 0);
    driver.notify(5).unwrap();
    assert!(!raised(&mut driver));
    assert_eq!(driver.read(reg::VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

#[test]
fn an_indirect_table_is_followed() {
    let mut driver = Driver::open();
    let table = buffer(5, 0);
    let text = buffer(5, 8);
    driver
        .memory
        .write_slice(b"indirect", GuestAddress(text))
        .unwrap();
    let mut element = text.to_le_bytes().to_vec();
    element.extend([8, 0, 0, 0, 0, 0, 0, 0]);
    driver
        .memory
        .write_slice(&element, GuestAddress(table))
        .unwrap();
    driver.offer(5, 0, table, 16, 4);
    driver.notify(5).unwrap();
    assert_eq!(driver.mmio.take(Port::Control), b"indirect");
}

#[test]
fn a_reset_starts_over() {
    let mut driver = Driver::open();
    driver.write(reg::VIRTIO_MMIO_STATUS, 0).unwrap();
    assert_eq!(driver.read(reg::VIRTIO_MMIO_STATUS), 0);
    driver.write(reg::VIRTIO_MMIO_QUEUE_SEL, 5).unwrap();
    assert_eq!(driver.read(reg::VIRTIO_MMIO_QUEUE_READY), 0);
    driver.negotiate().unwrap();
    driver.start().unwrap();
}

#[test]
fn the_configuration_can_be_read_at_any_width() {
    let mut driver = Driver::new();
    for width in [1, 2, 4, 8] {
        let mut data = vec![0xff; width];
        let at = u64::from(reg::VIRTIO_MMIO_CONFIG) + 4;
        let mut effects = Effects::default();
        driver.mmio.read(at, &mut data, &mut effects).unwrap();
        assert_eq!(data[0], 3);
        assert!(data[1..].iter().all(|byte| *byte == 0));
    }
}

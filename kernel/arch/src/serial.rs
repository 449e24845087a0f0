//! COM1 for the first and the last words.
//!
//! Polled and without set-up: the VMM's 16550 and QEMU's take bytes as they
//! are. When it is the terminal, received bytes interrupt ([`listen`]).

use x86_64::instructions::port::Port;

use mayfly_machine::device::{SERIAL_GSI, SERIAL_PORT};

use crate::{apic, direct};

const INTERRUPT_ENABLE: u16 = SERIAL_PORT + 1;
const FIFO_CONTROL: u16 = SERIAL_PORT + 2;
const MODEM_CONTROL: u16 = SERIAL_PORT + 4;
const LINE_STATUS: u16 = SERIAL_PORT + 5;
const DATA_READY: u8 = 1 << 0;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// Polls of one byte before a transmitter counts as absent.
const PATIENCE: u32 = 100_000;

/// Writes bytes to COM1.
pub fn write(bytes: &[u8]) {
    for byte in bytes {
        wait();
        // SAFETY: COM1's data port; writing sends a byte and does nothing else.
        unsafe { Port::<u8>::new(SERIAL_PORT).write(*byte) };
    }
}

/// Writes bytes that lie at a guest-physical address, of a frame in use.
pub fn write_from(physical: u64, length: u32) {
    for offset in 0..u64::from(length) {
        // SAFETY: the direct map has every frame; whoever else looks at it is a
        // program, for whom any value is as good, so the read is volatile.
        let byte = unsafe { direct::<u8>(physical + offset).read_volatile() };
        write(&[byte]);
    }
}

fn wait() {
    for _ in 0..PATIENCE {
        // SAFETY: reading the line status has no side effect that matters here.
        let status: u8 = unsafe { Port::new(LINE_STATUS).read() };
        if status & TRANSMITTER_EMPTY != 0 {
            return;
        }
    }
}

/// Lets received bytes interrupt.
pub fn listen() {
    // SAFETY: COM1's FIFO control: on, both cleared; no memory is touched.
    unsafe { Port::<u8>::new(FIFO_CONTROL).write(0x07) };
    // SAFETY: COM1's modem control: OUT2 lets its interrupt out.
    unsafe { Port::<u8>::new(MODEM_CONTROL).write(0x0b) };
    // SAFETY: COM1's interrupt enable: received data; its line is routed.
    unsafe { Port::<u8>::new(INTERRUPT_ENABLE).write(0x01) };
    apic::route(SERIAL_GSI);
}

/// A received byte, if there is one.
pub fn read() -> Option<u8> {
    has_received().then(|| {
        // SAFETY: COM1's data port; reading takes the byte and does nothing else.
        unsafe { Port::<u8>::new(SERIAL_PORT).read() }
    })
}

/// There is a received byte.
pub fn has_received() -> bool {
    // SAFETY: reading the line status has no side effect that matters here.
    let status: u8 = unsafe { Port::new(LINE_STATUS).read() };
    status & DATA_READY != 0
}

/// Formats onto COM1.
#[derive(Debug, Default)]
pub struct Serial;

impl core::fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}

//! COM1 for the first and the last words.
//!
//! Polled and without set-up: the VMM's 16550 and QEMU's take bytes as they
//! are. The interactive shell over serial comes with its own driver.

use x86_64::instructions::port::Port;

use mayfly_machine::device::SERIAL_PORT;

const LINE_STATUS: u16 = SERIAL_PORT + 5;
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

fn wait() {
    for _ in 0..PATIENCE {
        // SAFETY: reading the line status has no side effect that matters here.
        let status: u8 = unsafe { Port::new(LINE_STATUS).read() };
        if status & TRANSMITTER_EMPTY != 0 {
            return;
        }
    }
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

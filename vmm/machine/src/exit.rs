//! How a guest ends its machine.
//!
//! A 32-bit write to [`EXIT_PORT`] stops the VM with that code. QEMU's
//! `isa-debug-exit` at the same port ends its process with `code * 2 + 1`, so
//! codes stay below 128 and none is 0.

/// I/O port of the exit device.
pub const EXIT_PORT: u16 = 0xf4;
/// I/O ports that the exit device takes.
pub const EXIT_SIZE: u16 = 4;

/// Orderly end, asked for by the host.
pub const EXIT_DONE: u32 = 0x10;
/// Kernel panic; the report is on the wire and on COM1.
pub const EXIT_PANIC: u32 = 0x20;
/// Processor exception inside the kernel.
pub const EXIT_FAULT: u32 = 0x21;
/// The kernel could not boot on this machine; the reason is on COM1.
pub const EXIT_BOOT: u32 = 0x22;

/// Says in words what an exit code means.
pub const fn describe(code: u32) -> &'static str {
    match code {
        EXIT_DONE => "orderly end",
        EXIT_PANIC => "kernel panic",
        EXIT_FAULT => "processor exception in the kernel",
        EXIT_BOOT => "the kernel could not boot on this machine",
        _ => "code that no Mayfly kernel uses",
    }
}

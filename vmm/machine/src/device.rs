//! Device slots, interrupt lines and the names of the virtio-serial ports.

use crate::layout;

/// First I/O port of COM1 (16550).
pub const SERIAL_PORT: u16 = 0x3f8;
/// I/O ports that COM1 takes.
pub const SERIAL_SIZE: u16 = 8;
/// Interrupt line (GSI) of COM1.
pub const SERIAL_GSI: u32 = 4;

/// Guest-physical address of the virtio-console's registers.
pub const CONSOLE_MMIO: u64 = layout::VIRTIO_MMIO_BASE;
/// Interrupt line (GSI) of the virtio-console; edge-triggered.
pub const CONSOLE_GSI: u32 = 5;
/// Command line parameter that announces a virtio-mmio device, as Linux spells
/// it: `virtio_mmio.device=<size>@<base>:<irq>`.
pub const MMIO_PARAMETER: &str = "virtio_mmio.device=";

/// Number of ports of the virtio-console.
pub const PORT_COUNT: usize = 3;
/// Names of the ports, in the order of their numbers on Mayfly's own VMM.
/// Guests find a port by its name, not by its number.
pub const PORT_NAMES: [&str; PORT_COUNT] = {
    let mut names = [""; PORT_COUNT];
    names[CONSOLE_PLACE] = PORT_CONSOLE;
    names[CONTROL_PLACE] = PORT_CONTROL;
    names[TRACE_PLACE] = PORT_TRACE;
    names
};
/// Place of [`PORT_CONSOLE`] among them.
pub const CONSOLE_PLACE: usize = 0;
/// Place of [`PORT_CONTROL`] among them.
pub const CONTROL_PLACE: usize = 1;
/// Place of [`PORT_TRACE`] among them.
pub const TRACE_PLACE: usize = 2;
/// Terminal of the guest; the only port that is a console in virtio's sense.
pub const PORT_CONSOLE: &str = "mayfly.console";
/// Requests and answers (`kernel/wire`).
pub const PORT_CONTROL: &str = "mayfly.control";
/// Bulk records: system-call traces (`kernel/wire`).
pub const PORT_TRACE: &str = "mayfly.trace";

/// Redirection entries of the IOAPIC.
pub const IOAPIC_LINES: usize = 24;

/// CPUID leaf with the clock rates: `EAX` = TSC kHz, `EBX` = local APIC timer
/// kHz before its divider. The same leaf that VMware and QEMU use.
pub const TIMING_LEAF: u32 = 0x4000_0010;
/// Local APIC timer rate of KVM and of QEMU, in kHz.
pub const LAPIC_TIMER_KHZ: u32 = 1_000_000;

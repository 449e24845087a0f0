//! Guest addresses: where memory, devices and boot structures lie.
//!
//! Physical, low to high:
//!
//! ```text
//! 0x0000_0000  RAM .......... boot structures below KERNEL_LOAD
//! 0x0010_0000  kernel image (KERNEL_LOAD), then free RAM up to memory size
//! 0xc000_0000  end of the largest RAM (MEMORY_MAX); devices from here
//! 0xd000_0000  virtio-mmio slots
//! 0xfec0_0000  IOAPIC          0xfee0_0000  local APIC
//! 0x1_0000_0000  modules (bundles), read-only, page-aligned
//! ```

/// Size of a page, in bytes.
pub const PAGE_SIZE: u64 = 4096;
/// The same, for slices.
pub const PAGE_BYTES: usize = 4096;

/// GDT that the direct entry starts on: null, kernel code, kernel data.
pub const BOOT_GDT: u64 = 0x500;
/// PVH start info (see [`crate::boot::StartInfo`]).
pub const START_INFO: u64 = 0x6000;
/// Module list that the start info points at.
pub const MODULE_LIST: u64 = 0x6040;
/// Memory map that the start info points at.
pub const MEMORY_MAP: u64 = 0x7000;
/// Kernel command line, NUL-terminated.
pub const COMMAND_LINE: u64 = 0x8000;
/// Longest command line, in bytes, its NUL included.
pub const COMMAND_LINE_MAX: u64 = 0x1000;
/// First page table of the direct entry; more follow up to [`PAGE_TABLES_END`].
pub const PAGE_TABLES: u64 = 0xa000;
/// End of the space for boot page tables.
pub const PAGE_TABLES_END: u64 = 0x4_0000;

/// Lowest address a kernel may be loaded at.
pub const KERNEL_LOAD: u64 = 0x10_0000;
/// Virtual address of physical 0 in the kernel's own mapping (link base).
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;
/// Virtual address of physical 0 in the direct map of all memory.
pub const DIRECT_MAP_BASE: u64 = 0xffff_8000_0000_0000;

/// Smallest guest memory, in bytes.
pub const MEMORY_MIN: u64 = 4 << 20;
/// Largest guest memory, in bytes: everything below the device window.
pub const MEMORY_MAX: u64 = 0xc000_0000;
/// Start of the device window in the 32-bit address space.
pub const DEVICE_WINDOW: u64 = 0xc000_0000;
/// First virtio-mmio slot.
pub const VIRTIO_MMIO_BASE: u64 = 0xd000_0000;
/// Size of one virtio-mmio slot, in bytes.
pub const VIRTIO_MMIO_SIZE: u64 = 0x1000;
/// Register window of the IOAPIC.
pub const IOAPIC_BASE: u64 = 0xfec0_0000;
/// Size of the IOAPIC window, in bytes.
pub const IOAPIC_SIZE: u64 = 0x1000;
/// Register window of the local APIC (and the address of its messages).
pub const LAPIC_BASE: u64 = 0xfee0_0000;

/// First byte of modules in guest-physical memory.
pub const MODULE_BASE: u64 = 0x1_0000_0000;
/// End of the space for modules.
pub const MODULE_END: u64 = 0x1_4000_0000;

const _: () = assert!(START_INFO + 56 <= MODULE_LIST);
const _: () = assert!(COMMAND_LINE + COMMAND_LINE_MAX <= PAGE_TABLES);
const _: () = assert!(PAGE_TABLES_END <= KERNEL_LOAD);
const _: () = assert!(MEMORY_MAX <= DEVICE_WINDOW);
const _: () = assert!(MODULE_BASE.is_multiple_of(1 << 30));

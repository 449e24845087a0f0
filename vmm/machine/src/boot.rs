//! The two ways into a kernel, and the start info that both pass.
//!
//! PVH: 32-bit protected mode, paging off, `EBX` = address of [`StartInfo`],
//! entered at the address in the kernel's `XEN_ELFNOTE_PHYS32_ENTRY` note
//! (xen/include/public/arch-x86/hvm/start_info.h). QEMU, Firecracker and Cloud
//! Hypervisor boot this way.
//!
//! Direct: a kernel that carries the [`NOTE_DIRECT`] note is entered in 64-bit
//! mode with everything in place that a boot loader can prepare:
//!
//! - `RIP` = the note's entry, `RBX` = physical address of [`StartInfo`],
//!   `RFLAGS` = 2, `RSP` = 0, all other general registers 0.
//! - CR0 = PE|ET|NE|WP|PG, CR4 = PAE|PGE|OSFXSR|OSXMMEXCPT, EFER = SCE|LME|LMA|NXE.
//! - CS = 0x08 (64-bit code), SS = DS = ES = 0x10, GDT at `layout::BOOT_GDT`.
//! - every PT_LOAD mapped at its `p_vaddr` in 4 KiB pages with its own
//!   protection; physical `[0, MODULE_END)` mapped at the note's direct map
//!   base in 2 MiB pages, writable, not executable, device window uncached.
//! - all RAM that no start info entry claims is zero.

/// Magic value of [`StartInfo`]: `"xEn3"` with the high bit set.
pub const START_INFO_MAGIC: u32 = 0x336e_c578;
/// Memory map entry type of usable RAM (E820).
pub const MEMORY_RAM: u32 = 1;
/// Memory map entry type of reserved memory (E820).
pub const MEMORY_RESERVED: u32 = 2;

/// Type of the PVH entry note (`XEN_ELFNOTE_PHYS32_ENTRY`), owner `Xen`.
pub const NOTE_PVH: u32 = 18;
/// Owner of Mayfly's own ELF notes.
pub const NOTE_OWNER: &str = "Mayfly";
/// Note that names the system-call interface of a program (see `kernel/abi`).
pub const NOTE_ABI: u32 = 1;
/// Note that offers the direct 64-bit entry; description is [`DirectEntry`].
pub const NOTE_DIRECT: u32 = 2;
/// Version of the direct entry protocol described above.
pub const DIRECT_VERSION: u64 = 1;

/// Description of the [`NOTE_DIRECT`] note: three little-endian words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct DirectEntry {
    /// [`DIRECT_VERSION`].
    pub version: u64,
    /// Virtual address to enter at.
    pub entry: u64,
    /// Virtual address at which physical 0 is to be mapped.
    pub direct_map: u64,
}

impl DirectEntry {
    /// Reads the note's description.
    pub fn from_bytes(bytes: &[u8; 24]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Self {
            version: word(0),
            entry: word(8),
            direct_map: word(16),
        }
    }
}

/// `struct hvm_start_info`, version 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StartInfo {
    /// [`START_INFO_MAGIC`].
    pub magic: u32,
    /// Version of this structure: 1.
    pub version: u32,
    /// Flags: none are used.
    pub flags: u32,
    /// Number of [`Module`] entries.
    pub module_count: u32,
    /// Physical address of the first [`Module`].
    pub module_list: u64,
    /// Physical address of the NUL-terminated command line.
    pub command_line: u64,
    /// Physical address of the ACPI RSDP, 0 for none.
    pub rsdp: u64,
    /// Physical address of the first [`MemoryRange`].
    pub memory_map: u64,
    /// Number of [`MemoryRange`] entries.
    pub memory_map_count: u32,
    /// Must be zero.
    pub reserved: u32,
}

/// `struct hvm_modlist_entry`: one boot module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Module {
    /// Physical address, page-aligned on this machine.
    pub address: u64,
    /// Size, in bytes.
    pub size: u64,
    /// Physical address of the module's command line, 0 for none.
    pub command_line: u64,
    /// Must be zero.
    pub reserved: u64,
}

/// `struct hvm_memmap_table_entry`: one range of the memory map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MemoryRange {
    /// Physical address of the first byte.
    pub address: u64,
    /// Size, in bytes.
    pub size: u64,
    /// [`MEMORY_RAM`] or [`MEMORY_RESERVED`].
    pub kind: u32,
    /// Must be zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<StartInfo>() == 56);
const _: () = assert!(size_of::<Module>() == 32);
const _: () = assert!(size_of::<MemoryRange>() == 24);
const _: () = assert!(size_of::<DirectEntry>() == 24);

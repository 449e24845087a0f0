//! Both entries into the kernel, and what the loader left for it.
//!
//! `boot.s` holds the entries; both call `start` (kernel/src/main.rs) with the
//! physical address of the PVH start info. [`Boot::read`] makes safe values of
//! it. Contract: `vmm/machine/src/boot.rs`.

use core::arch::global_asm;

use mayfly_machine::boot::{
    DIRECT_VERSION, MEMORY_RAM, MemoryRange, Module, NOTE_DIRECT, NOTE_PVH, START_INFO_MAGIC,
    StartInfo,
};
use mayfly_machine::{device, layout};

use crate::direct;

/// Bytes of the kernel's one stack.
pub const STACK_SIZE: usize = 64 << 10;

/// CR0 of the direct protocol: PE, ET, NE, WP, PG.
const CR0: u64 = 0x8001_0031;
/// CR4 of the direct protocol: PAE, PGE, OSFXSR, OSXMMEXCPT.
const CR4: u64 = 0x6a0;

global_asm!(
    include_str!("boot.s"),
    base = const layout::KERNEL_BASE,
    load = const layout::KERNEL_LOAD,
    direct_map = const layout::DIRECT_MAP_BASE,
    direct_slot = const (layout::DIRECT_MAP_BASE >> 39) & 511,
    direct_version = const DIRECT_VERSION,
    device_first = const layout::DEVICE_WINDOW >> 21,
    device_end = const (1u64 << 32) >> 21,
    note_pvh = const NOTE_PVH,
    note_direct = const NOTE_DIRECT,
    cr0 = const CR0,
    cr4 = const CR4,
    stack_size = const STACK_SIZE,
);

/// What the loader says: memory, modules, command line.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// Entered by the direct protocol (else PVH).
    pub direct: bool,
    memory_map: &'static [MemoryRange],
    modules: &'static [Module],
    command_line: &'static [u8],
}

/// Why the loader's information cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The start info lacks its magic number.
    NoStartInfo,
    /// No usable memory holds the kernel.
    NoMemory,
}

unsafe extern "C" {
    static kernel_end: [u8; 0];
}

/// Physical address of the first byte behind the kernel image.
pub fn kernel_end_physical() -> u64 {
    crate::physical(&raw const kernel_end)
}

impl Boot {
    /// Reads the start info at `start_info` (physical).
    ///
    /// # Errors
    /// [`BootError::NoStartInfo`] when there is none.
    ///
    /// # Safety
    /// `start_info` is what the loader passed in RBX, unchanged, and the memory
    /// it describes is not written while the kernel runs.
    pub unsafe fn read(start_info: u64, direct_entry: bool) -> Result<Self, BootError> {
        // SAFETY: the caller passes the loader's address; the direct map covers it.
        let info = unsafe { &*direct::<StartInfo>(start_info) };
        if info.magic != START_INFO_MAGIC {
            return Err(BootError::NoStartInfo);
        }
        // SAFETY: the loader made this table of so many entries (PVH).
        let memory_map = unsafe { table(info.memory_map, info.memory_map_count) };
        // SAFETY: the loader made this table of so many entries (PVH).
        let modules = unsafe { table(info.module_list, info.module_count) };
        // SAFETY: PVH: the command line is NUL-terminated, or absent.
        let command_line = unsafe { text(info.command_line) };
        Ok(Self {
            direct: direct_entry,
            memory_map,
            modules,
            command_line,
        })
    }

    /// RAM behind the kernel image that nothing occupies: first and end address.
    ///
    /// # Errors
    /// [`BootError::NoMemory`] when no range of the map holds the kernel.
    pub fn free_memory(&self) -> Result<(u64, u64), BootError> {
        let start = kernel_end_physical();
        let range = self
            .memory_map
            .iter()
            .find(|range| {
                range.kind == MEMORY_RAM
                    && range.address <= layout::KERNEL_LOAD
                    && start < range.address + range.size
            })
            .ok_or(BootError::NoMemory)?;
        let end = (range.address + range.size).min(layout::MEMORY_MAX);
        let end = self
            .modules
            .iter()
            .map(|module| module.address)
            .filter(|address| (start..end).contains(address))
            .fold(end, u64::min);
        Ok((start, end & !(layout::PAGE_SIZE - 1)))
    }

    /// Contents of the boot modules.
    pub fn modules(&self) -> impl Iterator<Item = &'static [u8]> + use<> {
        self.modules.iter().filter_map(|module| {
            let size = usize::try_from(module.size).ok()?;
            let end = module.address.checked_add(module.size)?;
            if end > layout::MODULE_END {
                return None;
            }
            // SAFETY: the loader placed the module there and the frame
            // allocator excludes it (`free_memory`); nothing writes to it.
            Some(unsafe { core::slice::from_raw_parts(direct::<u8>(module.address), size) })
        })
    }

    /// What the command line says.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        for word in self.command_line.split(|byte| *byte == b' ') {
            // The first byte rules most words out.
            if !matches!(word.first(), Some(b'v' | b'm' | b'n')) {
                continue;
            }
            if let Some(device) = word.strip_prefix(device::MMIO_PARAMETER.as_bytes()) {
                let free = options
                    .mmio_devices
                    .iter_mut()
                    .find(|device| device.is_none());
                if let Some(free) = free {
                    *free = parse_mmio(device);
                }
            } else if let Some(seconds) = word.strip_prefix(b"mayfly.epoch=") {
                options.epoch = seconds.iter().try_fold(0, digit::<10>).unwrap_or(0);
            } else if word == b"nosmap" {
                options.no_smap = true;
            }
        }
        options
    }
}

/// Virtio-mmio devices that the kernel looks at.
const MMIO_DEVICES_MAX: usize = 8;

/// What the command line says. Words that the kernel does not know are not its.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Virtio-mmio devices: physical address and GSI
    /// (`virtio_mmio.device=`, as Linux has it).
    pub mmio_devices: [Option<(u64, u32)>; MMIO_DEVICES_MAX],
    /// Unix time at boot, in seconds (`mayfly.epoch=`).
    pub epoch: u64,
    /// SMAP stays off although the processor offers it (`nosmap`, as Linux
    /// has it): a KVM that runs ring 0 in software does not know STAC.
    pub no_smap: bool,
}

/// Parses `<size>@<base>:<irq>`; the size is not needed.
fn parse_mmio(value: &[u8]) -> Option<(u64, u32)> {
    let at = value.iter().position(|byte| *byte == b'@')?;
    let value = value.get(at + 1..)?;
    let colon = value.iter().position(|byte| *byte == b':')?;
    let (base, irq) = value.split_at(colon);
    let base = base.strip_prefix(b"0x")?.iter().try_fold(0, digit::<16>)?;
    let irq = irq.get(1..)?.iter().try_fold(0, digit::<10>)?;
    Some((base, u32::try_from(irq).ok()?))
}

/// Appends one digit to a number, for `try_fold`.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that try_fold over a slice asks for"
)]
fn digit<const RADIX: u64>(number: u64, byte: &u8) -> Option<u64> {
    let value = u64::from(match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => return None,
    });
    (value < RADIX).then(|| number.wrapping_mul(RADIX) + value)
}

/// A table of the start info.
///
/// # Safety
/// `address` is 0 or the physical address of `count` readable entries.
unsafe fn table<T>(address: u64, count: u32) -> &'static [T] {
    if address == 0 || count == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for address and count; the direct map covers RAM.
    unsafe { core::slice::from_raw_parts(direct::<T>(address), count as usize) }
}

/// A NUL-terminated string of the start info.
///
/// # Safety
/// `address` is 0 or the physical address of a NUL-terminated string.
unsafe fn text(address: u64) -> &'static [u8] {
    if address == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for the terminator; the direct map covers RAM.
    unsafe { core::ffi::CStr::from_ptr(direct(address)) }.to_bytes()
}

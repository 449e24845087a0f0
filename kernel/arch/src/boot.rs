//! Both entries into the kernel, and what the loader left for it.
//!
//! `boot.s` holds the entries; both call `start` (kernel/src/main.rs) with the
//! physical address of the PVH start info. [`Boot::read`] makes safe values of
//! it. Contract: `vmm/machine/src/boot.rs`.

use core::arch::global_asm;

use mayfly_core::user;
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
    stack_shift = const layout::DIRECT_MAP_BASE.wrapping_sub(layout::KERNEL_BASE),
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
        let modules = self.modules.iter();
        modules.filter_map(|entry| {
            // SAFETY: the loader placed the module there and the frame
            // allocator excludes it (`free_memory`); nothing writes to it.
            unsafe { module(entry.address, entry.size) }
        })
    }

    /// What the command line says.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        let mut rest = self.command_line;
        while !rest.is_empty() {
            options.word(rest);
            rest = match position(rest, b' ') {
                Some(space) => &rest[space + 1..],
                None => &[],
            };
        }
        options
    }
}

/// Index of the first `byte`, found eight bytes at a time: the command line is
/// most of what the kernel reads before it is ready.
fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut at = 0;
    for chunk in chunks {
        if let Some(found) = position_in(u64::from_le_bytes(*chunk), byte) {
            return Some(at + found);
        }
        at += 8;
    }
    Some(at + rest.iter().position(|other| *other == byte)?)
}

/// Index of the first `byte` of the eight in `word`, the lowest first.
fn position_in(word: u64, byte: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    user::zero_in(word ^ (ONES * u64::from(byte)))
}

/// Virtio-mmio devices that the kernel looks at.
const MMIO_DEVICES_MAX: usize = 4;

/// What the command line says. Words that the kernel does not know are not its.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Virtio-mmio devices: physical address and GSI
    /// (`virtio_mmio.device=`, as Linux has it).
    pub mmio_devices: [Option<(u64, u32)>; MMIO_DEVICES_MAX],
    /// Unix time at boot (`mayfly.epoch=`).
    pub epoch: Epoch,
    /// SMAP stays off although the processor offers it (`nosmap`, as Linux
    /// has it): a KVM that runs ring 0 in software does not know STAC.
    pub no_smap: bool,
}

/// Unix time at boot: digits that are read when someone asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoch(&'static [u8]);

impl Epoch {
    /// In seconds; 0 if the command line does not say.
    pub fn seconds(self) -> u64 {
        number::<10>(self.0).0
    }
}

impl Options {
    /// Takes the word that `rest` begins with.
    fn word(&mut self, rest: &'static [u8]) {
        // The first byte says which it could be.
        match rest {
            [b'v', ..] => {
                if let Some(device) = rest.strip_prefix(device::MMIO_PARAMETER.as_bytes()) {
                    let free = self.mmio_devices.iter_mut().find(|device| device.is_none());
                    if let Some(free) = free {
                        *free = parse_mmio(device);
                    }
                }
            }
            [b'm', ..] => {
                if let Some(seconds) = rest.strip_prefix(b"mayfly.epoch=") {
                    self.epoch = Epoch(seconds);
                }
            }
            [b'n', ..] => self.no_smap |= rest.starts_with(b"nosmap"),
            _ => {}
        }
    }
}

/// Parses `<size>@<base>:<irq>`; the size is not needed.
fn parse_mmio(value: &[u8]) -> Option<(u64, u32)> {
    let at = position(value, b'@')?;
    let (base, rest) = number::<16>(value.get(at + 1..)?.strip_prefix(b"0x")?);
    let (irq, _) = number::<10>(rest.strip_prefix(b":")?);
    Some((base, u32::try_from(irq).ok()?))
}

/// The number that `bytes` begin with, and what follows it.
fn number<const RADIX: u64>(bytes: &[u8]) -> (u64, &[u8]) {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate() {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' if RADIX == 16 => byte - b'a' + 10,
            _ => return (number, &bytes[at..]),
        };
        number = number.wrapping_mul(RADIX).wrapping_add(u64::from(value));
    }
    (number, &[])
}

/// The bytes of a module; `None` if they are not all in the direct map.
///
/// # Safety
/// If they are, they are there for good, and nothing writes to them.
pub unsafe fn module(address: u64, size: u64) -> Option<&'static [u8]> {
    let bytes = usize::try_from(size).ok()?;
    let end = address.checked_add(size)?;
    if end > layout::MODULE_END {
        return None;
    }
    // SAFETY: the caller vouches for the bytes; the direct map covers them.
    Some(unsafe { core::slice::from_raw_parts(direct::<u8>(address), bytes) })
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
    let first = direct::<u8>(address);
    if !address.is_multiple_of(8) {
        // SAFETY: the caller vouches for the terminator; the direct map covers RAM.
        return unsafe { core::ffi::CStr::from_ptr(first.cast()) }.to_bytes();
    }
    let mut length = 0;
    loop {
        // SAFETY: the terminator is in this aligned word or behind it, so its
        // page is RAM, which the direct map covers.
        let word = unsafe { direct::<u64>(address + length as u64).read() };
        if let Some(end) = position_in(u64::from_le(word), 0) {
            length += end;
            break;
        }
        length += 8;
    }
    // SAFETY: these are the bytes that were looked at; nothing writes to them.
    unsafe { core::slice::from_raw_parts(first, length) }
}

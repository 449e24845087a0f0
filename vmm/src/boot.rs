//! Places a kernel and what it is told about its machine.
//!
//! Implements both entries of [`mayfly_machine::boot`]: the kernel's segments,
//! the PVH start info with memory map, modules and command line, and for the
//! direct entry the GDT and page tables. Neighbours: `image` has read the
//! kernel, `cpu` sets the registers that [`Start`] asks for.

use std::io::Cursor;

use linux_loader::loader::{Elf, KernelLoader};
use mayfly_machine::boot::{MEMORY_RAM, MemoryRange, START_INFO_MAGIC, StartInfo};
use mayfly_machine::{boot, layout};

use crate::Error;
use crate::config::{Config, Entry};
use crate::image::{Image, ImageError};
use crate::memory::Memory;
use crate::paging::{LARGE_PAGE, NO_EXECUTE, TABLE_SPAN, Tables, UNCACHED, WRITABLE};

/// Flat 64-bit kernel code, present, read, accessed.
pub(crate) const GDT_CODE: u64 = 0x00af_9b00_0000_ffff;
/// Flat kernel data, present, writable, accessed.
pub(crate) const GDT_DATA: u64 = 0x00cf_9300_0000_ffff;

/// Where and how the processor begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// 64-bit mode at a virtual address.
    Direct {
        /// The address.
        entry: u64,
        /// Linear address of the GDT, which lies in the direct map.
        gdt: u64,
    },
    /// 32-bit protected mode at a physical address.
    Pvh(u32),
}

/// Fills `memory` for `kernel` and says where to begin.
pub(crate) fn load(config: &Config, kernel: &[u8], memory: &Memory) -> Result<Start, Error> {
    let image = Image::parse(kernel, memory.ram_bytes())?;
    let start = choose(config.entry, &image)?;
    // `image` has checked every segment against the file and the memory.
    Elf::load(memory.ram(), None, &mut Cursor::new(kernel), None).map_err(Error::Load)?;
    write_start_info(config, memory)?;
    if let Start::Direct { .. } = start {
        let gdt = [0, GDT_CODE, GDT_DATA].map(u64::to_le_bytes).concat();
        memory.place(layout::BOOT_GDT, &gdt)?;
        let base = image
            .direct
            .map_or(layout::DIRECT_MAP_BASE, |d| d.direct_map);
        let tables = map(&image, base)?;
        memory.place(layout::PAGE_TABLES, tables.as_bytes())?;
    }
    Ok(start)
}

fn choose(entry: Entry, image: &Image<'_>) -> Result<Start, ImageError> {
    match (entry, image.direct, image.pvh) {
        (Entry::Auto | Entry::Direct, Some(direct), _) => {
            if image.executable_at_virtual(direct.entry) {
                Ok(Start::Direct {
                    entry: direct.entry,
                    gdt: direct.direct_map.wrapping_add(layout::BOOT_GDT),
                })
            } else {
                Err(ImageError::Entry(direct.entry))
            }
        }
        (Entry::Auto | Entry::Pvh, _, Some(pvh)) => {
            if image.executable_at_physical(pvh.into()) {
                Ok(Start::Pvh(pvh))
            } else {
                Err(ImageError::Entry(pvh.into()))
            }
        }
        (Entry::Direct, None, _) => Err(ImageError::NoEntry("the direct entry")),
        (Entry::Pvh, _, None) => Err(ImageError::NoEntry("a PVH entry")),
        (Entry::Auto, None, None) => Err(ImageError::NoEntry("a direct or a PVH entry")),
    }
}

/// Page tables of the direct entry: the direct map, then the kernel over it.
fn map(image: &Image<'_>, direct_map: u64) -> Result<Tables, Error> {
    let mut tables = Tables::new();
    if !direct_map.is_multiple_of(LARGE_PAGE) || direct_map > u64::MAX - layout::MODULE_END {
        return Err(ImageError::Malformed("direct map base is not usable".into()).into());
    }
    for (range, cache) in [
        (0..layout::DEVICE_WINDOW, 0),
        (layout::DEVICE_WINDOW..layout::MODULE_BASE, UNCACHED),
        (layout::MODULE_BASE..layout::MODULE_END, 0),
    ] {
        let mut phys = range.start;
        while phys < range.end {
            let virt = direct_map + phys;
            let left_in_table = TABLE_SPAN - virt % TABLE_SPAN;
            let end = range.end.min(phys + left_in_table);
            let count = (end - phys) / LARGE_PAGE;
            tables.map_large(virt, phys, count, WRITABLE | NO_EXECUTE | cache)?;
            phys = end;
        }
    }
    for (index, segment) in image.segments.iter().enumerate() {
        let offset = segment.virt % layout::PAGE_SIZE;
        let write = if segment.write { WRITABLE } else { 0 };
        let execute = if segment.execute { 0 } else { NO_EXECUTE };
        let mut done = 0;
        while done < segment.bytes + offset {
            let (virt, phys) = (segment.virt - offset + done, segment.phys - offset + done);
            if !tables.map_page(virt, phys, write | execute)? {
                return Err(Error::Image(ImageError::Segment {
                    index,
                    address: segment.phys,
                    bytes: segment.bytes,
                    problem: "shares a page with another mapping",
                }));
            }
            done += layout::PAGE_SIZE;
        }
    }
    Ok(tables)
}

fn write_start_info(config: &Config, memory: &Memory) -> Result<(), Error> {
    let modules = memory.modules();
    if layout::MODULE_LIST + modules.len() as u64 * 32 > layout::MEMORY_MAP {
        return Err(Error::Module {
            index: modules.len(),
            problem: "too many modules for the module list",
        });
    }
    let mut list = Vec::with_capacity(modules.len() * 32);
    for &(address, size) in modules {
        list.extend(module_bytes(&boot::Module {
            address,
            size,
            ..boot::Module::default()
        }));
    }
    let ram = MemoryRange {
        address: 0,
        size: memory.ram_bytes(),
        kind: MEMORY_RAM,
        reserved: 0,
    };
    let info = StartInfo {
        magic: START_INFO_MAGIC,
        version: 1,
        module_count: u32::try_from(modules.len()).unwrap_or(0),
        module_list: if list.is_empty() {
            0
        } else {
            layout::MODULE_LIST
        },
        command_line: layout::COMMAND_LINE,
        memory_map: layout::MEMORY_MAP,
        memory_map_count: 1,
        ..StartInfo::default()
    };
    memory.place(layout::START_INFO, &start_info_bytes(&info))?;
    memory.place(layout::MODULE_LIST, &list)?;
    memory.place(layout::MEMORY_MAP, &range_bytes(&ram))?;
    // The NUL after it is there already: memory is zero.
    let command_line = config.full_command_line();
    memory.place(layout::COMMAND_LINE, command_line.as_bytes())
}

fn start_info_bytes(info: &StartInfo) -> Vec<u8> {
    let mut out = Vec::with_capacity(size_of::<StartInfo>());
    for word in [info.magic, info.version, info.flags, info.module_count] {
        out.extend(word.to_le_bytes());
    }
    for word in [
        info.module_list,
        info.command_line,
        info.rsdp,
        info.memory_map,
    ] {
        out.extend(word.to_le_bytes());
    }
    out.extend(info.memory_map_count.to_le_bytes());
    out.extend(info.reserved.to_le_bytes());
    out
}

fn module_bytes(module: &boot::Module) -> Vec<u8> {
    [
        module.address,
        module.size,
        module.command_line,
        module.reserved,
    ]
    .map(u64::to_le_bytes)
    .concat()
}

fn range_bytes(range: &MemoryRange) -> Vec<u8> {
    let mut out = [range.address, range.size].map(u64::to_le_bytes).concat();
    out.extend(range.kind.to_le_bytes());
    out.extend(range.reserved.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_their_contracts_size() {
        assert_eq!(
            start_info_bytes(&StartInfo::default()).len(),
            size_of::<StartInfo>()
        );
        assert_eq!(
            module_bytes(&boot::Module::default()).len(),
            size_of::<boot::Module>()
        );
        assert_eq!(
            range_bytes(&MemoryRange::default()).len(),
            size_of::<MemoryRange>()
        );
    }
}

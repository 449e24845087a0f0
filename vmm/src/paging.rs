//! Writes the page tables that the direct entry starts on.
//!
//! [`Tables`] is built in host memory and copied to the guest at once: fewer
//! page faults than writing entry by entry. Layout of entries: Intel SDM volume
//! 3A, 4.5. Accessed and dirty bits are set beforehand, so that no processor,
//! emulated or not, has to. Neighbour: `boot`, which says what to map.

use mayfly_machine::layout;

use crate::Error;

/// Leaf or table entry is valid.
const PRESENT: u64 = 1 << 0;
/// Writes are allowed.
pub(crate) const WRITABLE: u64 = 1 << 1;
/// Not cached: PWT and PCD.
pub(crate) const UNCACHED: u64 = 1 << 3 | 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// Entry of a page directory maps 2 MiB.
const LARGE: u64 = 1 << 7;
/// Not executable.
pub(crate) const NO_EXECUTE: u64 = 1 << 63;
/// Address bits of an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Size of a large page.
pub(crate) const LARGE_PAGE: u64 = 2 << 20;
/// What one table of large pages maps.
pub(crate) const TABLE_SPAN: u64 = 512 * LARGE_PAGE;
/// Entries of one table.
const ENTRIES: usize = 512;

/// Page tables under construction; table `n` will lie at
/// `PAGE_TABLES + n * 4096`, table 0 is the root.
pub(crate) struct Tables {
    /// Entries as they lie in memory, so that copying them out is free.
    entries: Vec<[u8; 8]>,
}

impl Tables {
    /// An empty root.
    pub(crate) fn new() -> Self {
        // The direct map and a small kernel take 11 tables.
        let mut entries = Vec::with_capacity(12 * ENTRIES);
        entries.resize(ENTRIES, [0; 8]);
        Self { entries }
    }

    /// Maps one 4 KiB page; refuses an address that is mapped already.
    pub(crate) fn map_page(&mut self, virt: u64, phys: u64, flags: u64) -> Result<bool, Error> {
        let Some(table) = self.table_for(virt, 1)? else {
            return Ok(false);
        };
        Ok(self.set(table + index(virt, 0), phys | flags | PRESENT))
    }

    /// Maps `count` large pages from `virt` on, which lie in one table;
    /// refuses an address that is mapped already.
    pub(crate) fn map_large(
        &mut self,
        virt: u64,
        phys: u64,
        count: u64,
        flags: u64,
    ) -> Result<bool, Error> {
        let Some(table) = self.table_for(virt, 2)? else {
            return Ok(false);
        };
        let mut free = true;
        for (page, slot) in (0..count).zip(table + index(virt, 1)..table + ENTRIES) {
            free &= self.set(slot, (phys + page * LARGE_PAGE) | flags | PRESENT | LARGE);
        }
        Ok(free)
    }

    /// The tables as the guest will see them.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.entries.as_flattened()
    }

    /// First slot of the table at `level` (1 = page table) for `virt`, made as
    /// needed; `None` if a large page is in the way.
    fn table_for(&mut self, virt: u64, level: u32) -> Result<Option<usize>, Error> {
        let mut table = 0;
        for depth in (level..4).rev() {
            let slot = table + index(virt, depth);
            let entry = u64::from_le_bytes(self.entries[slot]);
            if entry & LARGE != 0 {
                return Ok(None);
            }
            table = if entry & PRESENT != 0 {
                slot_of(entry & ADDRESS)
            } else {
                let address = self.add_table()?;
                // The leaf decides about writing and executing.
                self.entries[slot] = (address | PRESENT | WRITABLE | ACCESSED).to_le_bytes();
                slot_of(address)
            };
        }
        Ok(Some(table))
    }

    fn add_table(&mut self) -> Result<u64, Error> {
        let address = layout::PAGE_TABLES + self.as_bytes().len() as u64;
        if address + layout::PAGE_SIZE > layout::PAGE_TABLES_END {
            return Err(Error::PageTables);
        }
        self.entries.resize(self.entries.len() + ENTRIES, [0; 8]);
        Ok(address)
    }

    fn set(&mut self, slot: usize, entry: u64) -> bool {
        let free = u64::from_le_bytes(self.entries[slot]) & PRESENT == 0;
        if free {
            self.entries[slot] = (entry | ACCESSED | DIRTY).to_le_bytes();
        }
        free
    }
}

/// Index of `virt` in its table at `level`, 0 = page table.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the bits that are used are the lowest"
)]
fn index(virt: u64, level: u32) -> usize {
    (virt >> (12 + 9 * level)) as usize % ENTRIES
}

/// First slot of the table at `address`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "addresses of tables lie below PAGE_TABLES_END"
)]
fn slot_of(address: u64) -> usize {
    (address - layout::PAGE_TABLES) as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_takes_one_table_a_level() {
        let mut tables = Tables::new();
        assert!(
            tables
                .map_page(0xffff_ffff_8010_0000, 0x10_0000, 0)
                .unwrap()
        );
        assert_eq!(tables.entries.len(), 4 * ENTRIES);
        let leaf = u64::from_le_bytes(tables.entries[3 * ENTRIES + 0x100]);
        assert_eq!(leaf, 0x10_0000 | PRESENT | ACCESSED | DIRTY);
    }

    #[test]
    fn a_second_mapping_of_an_address_is_refused() {
        let mut tables = Tables::new();
        assert!(tables.map_page(0x1000, 0x1000, 0).unwrap());
        assert!(!tables.map_page(0x1000, 0x2000, 0).unwrap());
        assert!(!tables.map_large(0, 0, 1, 0).unwrap());
    }

    #[test]
    fn running_out_of_room_is_an_error() {
        let mut tables = Tables::new();
        let full = (0..64).try_for_each(|n| tables.map_page(n * LARGE_PAGE, 0, 0).map(|_| ()));
        assert!(matches!(full, Err(Error::PageTables)));
    }
}

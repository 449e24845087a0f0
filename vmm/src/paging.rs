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
/// Entries of one table.
const ENTRIES: u64 = 512;

/// Page tables under construction; table `n` will lie at
/// `PAGE_TABLES + n * 4096`, table 0 is the root.
pub(crate) struct Tables {
    words: Vec<u64>,
}

impl Tables {
    /// An empty root.
    pub(crate) fn new() -> Self {
        // The direct map and a small kernel take 11 tables.
        let mut words = Vec::with_capacity(12 * 512);
        words.resize(512, 0);
        Self { words }
    }

    /// Maps one 4 KiB page; refuses an address that is mapped already.
    pub(crate) fn map_page(&mut self, virt: u64, phys: u64, flags: u64) -> Result<bool, Error> {
        let table = self.table_for(virt, 1)?;
        let Some(table) = table else { return Ok(false) };
        Ok(self.set(table, index(virt, 0), phys | flags | PRESENT))
    }

    /// Maps one 2 MiB page; refuses an address that is mapped already.
    pub(crate) fn map_large(&mut self, virt: u64, phys: u64, flags: u64) -> Result<bool, Error> {
        let table = self.table_for(virt, 2)?;
        let Some(table) = table else { return Ok(false) };
        Ok(self.set(table, index(virt, 1), phys | flags | PRESENT | LARGE))
    }

    /// The tables as the guest will see them.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// Number of the table at `level` (1 = page table) for `virt`, made as
    /// needed; `None` if a large page is in the way.
    fn table_for(&mut self, virt: u64, level: u32) -> Result<Option<u64>, Error> {
        let mut table = 0;
        for depth in (level..4).rev() {
            let at = word(table, index(virt, depth));
            let entry = self.words[at];
            if entry & LARGE != 0 {
                return Ok(None);
            }
            table = if entry & PRESENT != 0 {
                ((entry & ADDRESS) - layout::PAGE_TABLES) / layout::PAGE_SIZE
            } else {
                let (new, address) = self.add_table()?;
                // The leaf decides about writing and executing.
                self.words[at] = address | PRESENT | WRITABLE | ACCESSED;
                new
            };
        }
        Ok(Some(table))
    }

    fn add_table(&mut self) -> Result<(u64, u64), Error> {
        let number = self.words.len() as u64 / ENTRIES;
        let address = layout::PAGE_TABLES + number * layout::PAGE_SIZE;
        if address + layout::PAGE_SIZE > layout::PAGE_TABLES_END {
            return Err(Error::PageTables);
        }
        self.words.resize(self.words.len() + 512, 0);
        Ok((number, address))
    }

    fn set(&mut self, table: u64, index: u64, entry: u64) -> bool {
        let slot = &mut self.words[word(table, index)];
        if *slot & PRESENT != 0 {
            return false;
        }
        *slot = entry | ACCESSED | DIRTY;
        true
    }
}

/// Index of `virt` in its table at `level`, 0 = page table.
fn index(virt: u64, level: u32) -> u64 {
    virt >> (12 + 9 * level) & (ENTRIES - 1)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "table numbers are bounded by PAGE_TABLES_END"
)]
fn word(table: u64, index: u64) -> usize {
    (table * ENTRIES + index) as usize
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
        assert_eq!(tables.words.len(), 4 * 512);
        let leaf = tables.words[3 * 512 + 0x100];
        assert_eq!(leaf, 0x10_0000 | PRESENT | ACCESSED | DIRTY);
    }

    #[test]
    fn a_second_mapping_of_an_address_is_refused() {
        let mut tables = Tables::new();
        assert!(tables.map_page(0x1000, 0x1000, 0).unwrap());
        assert!(!tables.map_page(0x1000, 0x2000, 0).unwrap());
        assert!(!tables.map_large(0, 0, 0).unwrap());
    }

    #[test]
    fn running_out_of_room_is_an_error() {
        let mut tables = Tables::new();
        let full = (0..64).try_for_each(|n| tables.map_page(n * LARGE_PAGE, 0, 0).map(|_| ()));
        assert!(matches!(full, Err(Error::PageTables)));
    }
}

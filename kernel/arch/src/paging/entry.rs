//! Entries of page tables: words, their flags and counts.
//!
//! Neighbours: `super` walks the tables.

use mayfly_core::port::{Access, PageFrame};
use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::structures::paging::PageTableFlags;

use crate::direct;

/// Flags of a table entry that leads to user pages. Nobody asks whether pages
/// were accessed: with the bits set beforehand, no processor has to, which writes
/// to tables that copies of a machine share.
pub(super) const TABLE: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::USER_ACCESSIBLE)
    .union(PageTableFlags::ACCESSED);
/// Flags of every leaf.
const LEAF: PageTableFlags = PageTableFlags::USER_ACCESSIBLE
    .union(PageTableFlags::ACCESSED)
    .union(PageTableFlags::DIRTY);

/// One in the count of a table's entries: bits 52 to 61 of the entry that leads to it.
pub(super) const COUNT_ONE: u64 = 1 << 52;
pub(super) const COUNT_MASK: u64 = 0x3ff << 52;
/// Bits of an address that the lowest table and the page are found by.
pub(super) const TABLE_BITS: u32 = 21;
/// Bits 12 to 51 of an entry: where it leads.
const ADDRESS_MASK: u64 = 0xf_ffff_ffff_f000;

/// Counts one more entry in the table that `above` leads to.
pub(super) fn count_up(above: *mut u64) {
    // SAFETY: an entry of a table that the caller has alone.
    unsafe { *above += COUNT_ONE };
}

/// The processor forgets what it knows of a page.
pub(super) fn flush(address: u64) {
    tlb::flush(VirtAddr::new_truncate(address));
}

/// A page that cannot even be read is not present for the processor; its entry
/// keeps the frame.
pub(super) fn leaf_flags(access: Access) -> PageTableFlags {
    let mut flags = LEAF;
    flags.set(PageTableFlags::PRESENT, access.read);
    flags.set(PageTableFlags::WRITABLE, access.write);
    flags.set(PageTableFlags::NO_EXECUTE, !access.execute);
    flags
}

/// What a leaf lets ring 3 do.
pub(super) fn access_of(word: u64) -> Access {
    let flags = PageTableFlags::from_bits_truncate(word);
    Access {
        read: flags.contains(PageTableFlags::PRESENT),
        write: flags.contains(PageTableFlags::WRITABLE),
        execute: !flags.contains(PageTableFlags::NO_EXECUTE),
    }
}

pub(super) fn slot(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level) & 511) as usize
}

/// An entry of a table: a word, 0 where it leads nowhere.
pub(super) fn entry(frame: PageFrame, slot: usize) -> *mut u64 {
    direct(frame.address() + slot as u64 * 8)
}

pub(super) fn frame_of(word: u64) -> PageFrame {
    PageFrame((word & ADDRESS_MASK) >> 12)
}

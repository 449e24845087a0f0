//! Page tables of address spaces.
//!
//! The kernel half (direct map and image) is the loader's and shared by all:
//! two entries of the root are copied. Table frames and private pages of a
//! space are on one list, so that releasing a space is one splice. An entry
//! that leads to a table counts that table's entries in bits that are free for
//! the system (SDM volume 3, table 4-19 and others), so that a table without
//! entries is known and given back.

use mayfly_core::port::{Access, Contents, FrameList, NoFrames, PAGE_SIZE, PageFrame};
use mayfly_machine::layout;
use x86_64::PhysAddr;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTableFlags, PhysFrame};

use crate::direct;
use crate::frames::Frames;

/// Page tables of one address space and the frames that belong to it.
#[derive(Debug)]
pub struct Tables {
    root: PageFrame,
    frames: FrameList,
}

/// Flags of a table entry that leads to user pages.
const TABLE: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::USER_ACCESSIBLE);

/// One in the count of a table's entries: bits 52 to 61 of the entry that leads to it.
const COUNT_ONE: u64 = 1 << 52;
const COUNT_MASK: u64 = 0x3ff << 52;

impl Tables {
    /// Tables with nothing but the kernel half, which `kernel_root` has.
    pub(crate) fn new(frames: &mut Frames, kernel_root: PageFrame) -> Result<Self, NoFrames> {
        let mut list = FrameList::default();
        let root = frames.allocate(&mut list, Contents::Zero)?;
        for slot in [
            slot(layout::DIRECT_MAP_BASE, 3),
            slot(layout::KERNEL_BASE, 3),
        ] {
            // SAFETY: an entry of the loader's root, which stays as it is.
            let half = unsafe { entry(kernel_root, slot).read() };
            // SAFETY: an entry of the table that was just allocated.
            unsafe { entry(root, slot).write(half) };
        }
        Ok(Self { root, frames: list })
    }

    /// Physical address of the root table.
    pub fn root(&self) -> u64 {
        self.root.address()
    }

    /// The root table.
    #[inline(always)]
    pub(crate) fn root_frame(&self) -> PageFrame {
        self.root
    }

    /// Frames that belong to this space.
    pub fn owned(&self) -> u64 {
        u64::from(self.frames.count)
    }

    /// Gives back everything.
    pub(crate) fn release(self, frames: &mut Frames) {
        frames.release_all(self.frames);
    }

    pub(crate) fn page(
        &mut self,
        frames: &mut Frames,
        contents: Contents,
    ) -> Result<PageFrame, NoFrames> {
        frames.allocate(&mut self.frames, contents)
    }

    pub(crate) fn free_page(&mut self, frames: &mut Frames, frame: PageFrame) {
        frames.release(&mut self.frames, frame);
    }

    /// Makes this the running address space.
    #[inline(always)]
    pub(crate) fn activate(&self) {
        // SAFETY: a frame's address has no more bits than the processor has.
        let root = unsafe { PhysAddr::new_unsafe(self.root()) };
        // SAFETY: frames are aligned.
        let frame = unsafe { PhysFrame::from_start_address_unchecked(root) };
        // SAFETY: the root has the kernel half, so the kernel goes on running.
        unsafe { Cr3::write(frame, Cr3Flags::empty()) };
    }

    pub(crate) fn map(
        &mut self,
        frames: &mut Frames,
        address: u64,
        frame: PageFrame,
        access: Access,
    ) -> Result<(), NoFrames> {
        let mut at = self.root;
        let mut above = None;
        for level in [3, 2, 1] {
            let place = entry(at, slot(address, level));
            // SAFETY: `at` is a table of this space, which `&mut self` has alone.
            let entry = unsafe { &mut *place };
            if entry.is_unused() {
                let next = frames.allocate(&mut self.frames, Contents::Zero)?;
                entry.set_addr(PhysAddr::new(next.address()), TABLE);
                count_up(above);
            }
            at = frame_of(entry);
            above = Some(place);
        }
        // SAFETY: as above; the lowest table.
        let entry = unsafe { &mut *entry(at, slot(address, 0)) };
        let replaced = !entry.is_unused();
        entry.set_addr(PhysAddr::new(frame.address()), leaf_flags(access));
        if replaced {
            tlb::flush(VirtAddr::new(address));
        } else {
            count_up(above);
        }
        Ok(())
    }

    pub(crate) fn unmap(&mut self, frames: &mut Frames, address: u64) -> Option<PageFrame> {
        let [first, second, third, leaf] = self.path(address)?;
        // SAFETY: a leaf of this space, which `&mut self` has alone.
        let entry = unsafe { &mut *leaf };
        let frame = frame_of(entry);
        entry.set_unused();
        // Tables that have no entry any more are given back.
        for place in [third, second, first] {
            // SAFETY: an entry of a table of this space, which `&mut self` has
            // alone; it is one word.
            let word = unsafe { &mut *place.cast::<u64>() };
            *word -= COUNT_ONE;
            if *word & COUNT_MASK != 0 {
                break;
            }
            // SAFETY: as above.
            let entry = unsafe { &mut *place };
            frames.release_zeros(&mut self.frames, frame_of(entry));
            entry.set_unused();
        }
        // The processor forgets the way through tables that went, too.
        tlb::flush(VirtAddr::new(address));
        Some(frame)
    }

    pub(crate) fn protect(&mut self, address: u64, access: Access) {
        if let Some(entry) = self.leaf(address) {
            // SAFETY: a leaf of this space, which `&mut self` has alone.
            unsafe { (*entry).set_flags(leaf_flags(access)) };
            tlb::flush(VirtAddr::new(address));
        }
    }

    /// The first present page in a range.
    pub(crate) fn next_page(&self, start: u64, end: u64) -> Option<(u64, PageFrame)> {
        let mut at = start;
        while at < end {
            let mut table = self.root;
            let mut level = 3;
            while level > 0 {
                // SAFETY: `table` is a table of this space.
                let entry = unsafe { &*entry(table, slot(at, level)) };
                if entry.is_unused() {
                    break;
                }
                table = frame_of(entry);
                level -= 1;
            }
            if level > 0 {
                at = (at | ((1 << (12 + 9 * level)) - 1)) + 1;
                continue;
            }
            let table_end = ((at | 0x1f_ffff) + 1).min(end);
            let count = ((table_end - at) / PAGE_SIZE) as usize;
            // SAFETY: that many entries follow in `table`, a lowest table of
            // this space; nobody changes it while it is borrowed.
            let entries = unsafe { core::slice::from_raw_parts(entry(table, slot(at, 0)), count) };
            if let Some(found) = entries.iter().position(|entry| !entry.is_unused()) {
                return Some((at + found as u64 * PAGE_SIZE, frame_of(&entries[found])));
            }
            at = table_end;
        }
        None
    }

    pub(crate) fn lookup(&self, address: u64) -> Option<(PageFrame, Access)> {
        let entry = self.leaf(address)?;
        // SAFETY: a leaf of this space; nobody changes it while it is borrowed.
        let entry = unsafe { &*entry };
        let access = Access {
            read: entry.flags().contains(PageTableFlags::PRESENT),
            write: entry.flags().contains(PageTableFlags::WRITABLE),
            execute: !entry.flags().contains(PageTableFlags::NO_EXECUTE),
        };
        Some((frame_of(entry), access))
    }

    /// The leaf entry for `address`, if it leads to a frame.
    fn leaf(&self, address: u64) -> Option<*mut PageTableEntry> {
        self.path(address).map(|[.., leaf]| leaf)
    }

    /// The entries on the way to `address`, the root's first, if the last one
    /// leads to a frame.
    #[inline]
    fn path(&self, address: u64) -> Option<[*mut PageTableEntry; 4]> {
        let mut table = self.root;
        let mut path = [core::ptr::null_mut(); 4];
        for (place, level) in path.iter_mut().zip([3, 2, 1, 0]) {
            *place = entry(table, slot(address, level));
            // SAFETY: `table` is a table of this space.
            let entry = unsafe { &**place };
            if entry.is_unused() {
                return None;
            }
            table = frame_of(entry);
        }
        Some(path)
    }
}

/// Counts one more entry in the table that `above` leads to; the root's are not counted.
fn count_up(above: Option<*mut PageTableEntry>) {
    if let Some(above) = above {
        // SAFETY: an entry is one word, in a table that the caller has alone.
        unsafe { *above.cast::<u64>() += COUNT_ONE };
    }
}

/// A page that cannot even be read is not present for the processor; its entry
/// keeps the frame.
fn leaf_flags(access: Access) -> PageTableFlags {
    let mut flags = PageTableFlags::USER_ACCESSIBLE;
    flags.set(PageTableFlags::PRESENT, access.read);
    flags.set(PageTableFlags::WRITABLE, access.write);
    flags.set(PageTableFlags::NO_EXECUTE, !access.execute);
    flags
}

/// The root that the loader made, with the kernel half.
pub(crate) fn kernel_root() -> PageFrame {
    PageFrame(Cr3::read().0.start_address().as_u64() >> 12)
}

fn slot(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level) & 511) as usize
}

fn entry(frame: PageFrame, slot: usize) -> *mut PageTableEntry {
    direct(frame.address() + slot as u64 * 8)
}

fn frame_of(entry: &PageTableEntry) -> PageFrame {
    PageFrame(entry.addr().as_u64() >> 12)
}

/// Makes the loader's own tables the running ones: no user half.
pub(crate) fn activate_kernel(root: PageFrame) {
    let frame = PhysFrame::containing_address(PhysAddr::new(root.address()));
    // SAFETY: the loader's root maps the kernel and stays for good.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}

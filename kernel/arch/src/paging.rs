//! Page tables of address spaces.
//!
//! The kernel half (direct map and image) is the loader's and shared by all:
//! two entries of the root are copied. Table frames and private pages of a
//! space are on one list, so that releasing a space is one splice.

use mayfly_core::port::{Access, Contents, NoFrames, PageFrame};
use mayfly_machine::layout;
use x86_64::PhysAddr;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTableFlags, PhysFrame};

use crate::direct;
use crate::frames::{FrameList, Frames};

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

    /// Frames that belong to this space.
    pub fn owned(&self) -> u64 {
        self.frames.count()
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
    pub(crate) fn activate(&self) {
        let frame = PhysFrame::containing_address(PhysAddr::new(self.root()));
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
        for level in [3, 2, 1] {
            let entry = entry(at, slot(address, level));
            // SAFETY: `at` is a table of this space, which `&mut self` has alone.
            let entry = unsafe { &mut *entry };
            if entry.is_unused() {
                let next = frames.allocate(&mut self.frames, Contents::Zero)?;
                entry.set_addr(PhysAddr::new(next.address()), TABLE);
            }
            at = frame_of(entry);
        }
        let mut flags = PageTableFlags::PRESENT | PageTableFlags::USER_ACCESSIBLE;
        flags.set(PageTableFlags::WRITABLE, access.write);
        flags.set(PageTableFlags::NO_EXECUTE, !access.execute);
        // SAFETY: as above; the lowest table.
        let entry = unsafe { &mut *entry(at, slot(address, 0)) };
        let replaced = !entry.is_unused();
        entry.set_addr(PhysAddr::new(frame.address()), flags);
        if replaced {
            tlb::flush(VirtAddr::new(address));
        }
        Ok(())
    }

    pub(crate) fn unmap(&mut self, address: u64) -> Option<PageFrame> {
        let entry = self.leaf(address)?;
        // SAFETY: a leaf of this space, which `&mut self` has alone.
        let entry = unsafe { &mut *entry };
        let frame = frame_of(entry);
        entry.set_unused();
        tlb::flush(VirtAddr::new(address));
        Some(frame)
    }

    pub(crate) fn lookup(&self, address: u64) -> Option<(PageFrame, Access)> {
        let entry = self.leaf(address)?;
        // SAFETY: a leaf of this space; nobody changes it while it is borrowed.
        let entry = unsafe { &*entry };
        let access = Access {
            write: entry.flags().contains(PageTableFlags::WRITABLE),
            execute: !entry.flags().contains(PageTableFlags::NO_EXECUTE),
        };
        Some((frame_of(entry), access))
    }

    /// The leaf entry for `address`, if the page is present.
    fn leaf(&self, address: u64) -> Option<*mut PageTableEntry> {
        let mut at = self.root;
        for level in [3, 2, 1] {
            let entry = entry(at, slot(address, level));
            // SAFETY: `at` is a table of this space.
            let entry = unsafe { &*entry };
            if entry.is_unused() {
                return None;
            }
            at = frame_of(entry);
        }
        let entry = entry(at, slot(address, 0));
        // SAFETY: `at` is a lowest table of this space.
        let present = unsafe { !(*entry).is_unused() };
        present.then_some(entry)
    }
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

//! Page tables of address spaces.
//!
//! The kernel half (direct map and image) is the loader's and shared by all:
//! two entries of the root are copied. Table frames and private pages of a
//! space are on one list, so that releasing a space is one splice. An entry
//! that leads to a table counts that table's entries in bits that are free for
//! the system (SDM volume 3, table 4-19 and others), so that a table without
//! entries is known and given back: all but the lowest that became so last, as
//! what is unmapped and mapped in turns needs it again. `entry.rs` has the words.

mod entry;

use mayfly_core::port::{Access, Contents, FrameList, NoFrames, PAGE_SIZE, Page, PageFrame};
use mayfly_machine::layout;
use x86_64::PhysAddr;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;

use crate::frames::Frames;
use entry::{
    COUNT_MASK, COUNT_ONE, TABLE, TABLE_BITS, access_of, count_up, entry, flush, frame_of,
    leaf_flags, slot,
};

/// Page tables of one address space and the frames that belong to it.
#[derive(Debug)]
pub struct Tables {
    root: PageFrame,
    frames: FrameList,
    /// Most frames of that list before some were given back.
    most: u32,
    /// An address whose lowest table may be empty; 0 if there is none.
    idle: u64,
}

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
        Ok(Self {
            root,
            frames: list,
            most: 0,
            idle: 0,
        })
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

    /// Most frames that belonged to it at a time.
    pub fn most_owned(&self) -> u64 {
        u64::from(self.most.max(self.frames.count))
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
        let page = frames.allocate(&mut self.frames, contents);
        page.or_else(|_| {
            self.spare(frames)?;
            frames.allocate(&mut self.frames, contents)
        })
    }

    /// No frame is left: gives back what is kept for nothing but speed.
    #[cold]
    fn spare(&mut self, frames: &mut Frames) -> Result<(), NoFrames> {
        match core::mem::take(&mut self.idle) {
            0 => Err(NoFrames),
            idle => {
                self.prune(frames, idle);
                Ok(())
            }
        }
    }

    pub(crate) fn free_page(&mut self, frames: &mut Frames, frame: PageFrame) {
        self.most = self.most.max(self.frames.count);
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
        let Ok((above, place)) = self.leaf_to_be(frames, address) else {
            self.spare(frames)?;
            return self.map(frames, address, frame, access);
        };
        // SAFETY: an entry of the lowest table, which `&mut self` has alone; it is one word.
        let leaf = unsafe { &mut *place };
        let replaced = *leaf != 0;
        *leaf = frame.address() | leaf_flags(access).bits();
        if replaced {
            flush(address);
        } else {
            count_up(above);
        }
        Ok(())
    }

    pub(crate) fn new_page(
        &mut self,
        frames: &mut Frames,
        address: u64,
        contents: Contents,
        access: Access,
    ) -> Result<Page, NoFrames> {
        let Ok((above, place)) = self.leaf_to_be(frames, address) else {
            self.spare(frames)?;
            return self.new_page(frames, address, contents, access);
        };
        // SAFETY: an entry of the lowest table, which `&mut self` has alone; it is one word.
        let leaf = unsafe { &mut *place };
        if *leaf != 0 {
            return Ok(Page::Old(frame_of(*leaf), access_of(*leaf)));
        }
        let new = match contents {
            Contents::Zero => frames.allocate_zeros(&mut self.frames),
            other => frames.allocate(&mut self.frames, other),
        };
        let Ok(frame) = new else {
            self.prune(frames, address);
            self.spare(frames)?;
            return self.new_page(frames, address, contents, access);
        };
        *leaf = frame.address() | leaf_flags(access).bits();
        count_up(above);
        Ok(Page::New(frame))
    }

    /// The entry of the lowest table for `address`, and the one that leads to
    /// that table. Tables that are missing are made.
    #[inline(always)]
    fn leaf_to_be(
        &mut self,
        frames: &mut Frames,
        address: u64,
    ) -> Result<(*mut u64, *mut u64), NoFrames> {
        let first = entry(self.root, slot(address, 3));
        let second = self.way_down(frames, first, None, address, 2)?;
        let third = self.way_down(frames, second, Some(first), address, 1)?;
        let leaf = self.way_down(frames, third, Some(second), address, 0)?;
        Ok((third, leaf))
    }

    /// The entry for `address` in the table of that level, which `place` leads
    /// to; `above` leads to the table that `place` is in.
    #[inline(always)]
    fn way_down(
        &mut self,
        frames: &mut Frames,
        place: *mut u64,
        above: Option<*mut u64>,
        address: u64,
        level: u32,
    ) -> Result<*mut u64, NoFrames> {
        // SAFETY: an entry of a table of this space, which `&mut self` has alone.
        let word = unsafe { *place };
        let table = match word {
            0 => self.new_table(frames, place, above, address)?,
            word => frame_of(word),
        };
        Ok(entry(table, slot(address, level)))
    }

    /// Makes the table that `place` is to lead to.
    #[inline(never)]
    fn new_table(
        &mut self,
        frames: &mut Frames,
        place: *mut u64,
        above: Option<*mut u64>,
        address: u64,
    ) -> Result<PageFrame, NoFrames> {
        let Ok(table) = frames.allocate_zeros(&mut self.frames) else {
            self.prune(frames, address);
            return Err(NoFrames);
        };
        // SAFETY: an entry of a table of this space, which `&mut self` has alone.
        unsafe { *place = table.address() | TABLE.bits() };
        if let Some(above) = above {
            count_up(above);
        }
        Ok(table)
    }

    pub(crate) fn unmap(&mut self, frames: &mut Frames, address: u64) -> Option<PageFrame> {
        self.take_out(frames, address)
    }

    pub(crate) fn drop_page(&mut self, frames: &mut Frames, address: u64) {
        if let Some(frame) = self.take_out(frames, address) {
            frames.release(&mut self.frames, frame);
        }
    }

    #[inline(always)]
    fn take_out(&mut self, frames: &mut Frames, address: u64) -> Option<PageFrame> {
        let [_, _, third, leaf] = self.path(address)?;
        // There are never more than just before some go.
        self.most = self.most.max(self.frames.count);
        // SAFETY: a leaf of this space, which `&mut self` has alone.
        let frame = frame_of(unsafe { leaf.replace(0) });
        // SAFETY: an entry of a table of this space, which `&mut self` has alone.
        let above = unsafe { &mut *third };
        *above -= COUNT_ONE;
        if *above & COUNT_MASK == 0 {
            // It stays for what is mapped next, unless another does.
            let other = core::mem::replace(&mut self.idle, address);
            if (other ^ address) >> TABLE_BITS != 0 {
                self.prune(frames, other);
            }
        }
        flush(address);
        Some(frame)
    }

    /// Gives back the tables on the way to an address that have no entry.
    #[inline(never)]
    fn prune(&mut self, frames: &mut Frames, address: u64) {
        let mut way = [core::ptr::null_mut(); 3];
        let mut length = 0;
        let mut table = self.root;
        for (place, level) in way.iter_mut().zip([3, 2, 1]) {
            *place = entry(table, slot(address, level));
            // SAFETY: `table` is a table of this space.
            let word = unsafe { **place };
            if word == 0 {
                break;
            }
            table = frame_of(word);
            length += 1;
        }
        let mut places = way[..length].iter().rev().peekable();
        while let Some(place) = places.next() {
            // SAFETY: an entry of a table of this space, which `&mut self` has alone.
            let word = unsafe { &mut **place };
            if *word & COUNT_MASK != 0 {
                break;
            }
            frames.release_zeros(&mut self.frames, frame_of(*word));
            *word = 0;
            if let Some(above) = places.peek() {
                // SAFETY: as above.
                unsafe { ***above -= COUNT_ONE };
            }
        }
        // The processor forgets the way through tables that went, too.
        flush(address);
    }

    pub(crate) fn protect(&mut self, address: u64, access: Access) {
        if let Some([.., leaf]) = self.path(address) {
            // SAFETY: a leaf of this space, which `&mut self` has alone.
            let leaf = unsafe { &mut *leaf };
            *leaf = frame_of(*leaf).address() | leaf_flags(access).bits();
            flush(address);
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
                let word = unsafe { *entry(table, slot(at, level)) };
                if word & COUNT_MASK == 0 {
                    break;
                }
                table = frame_of(word);
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
            if let Some(found) = entries.iter().position(|word| *word != 0) {
                return Some((at + found as u64 * PAGE_SIZE, frame_of(entries[found])));
            }
            at = table_end;
        }
        None
    }

    pub(crate) fn lookup(&self, address: u64) -> Option<(PageFrame, Access)> {
        let [.., leaf] = self.path(address)?;
        // SAFETY: a leaf of this space; nobody changes it meanwhile.
        let word = unsafe { *leaf };
        Some((frame_of(word), access_of(word)))
    }

    /// The entries on the way to `address`, the root's first, if the last one
    /// leads to a frame.
    #[inline(always)]
    fn path(&self, address: u64) -> Option<[*mut u64; 4]> {
        let mut table = self.root;
        let mut path = [core::ptr::null_mut(); 4];
        for (place, level) in path.iter_mut().zip([3, 2, 1, 0]) {
            *place = entry(table, slot(address, level));
            // SAFETY: `table` is a table of this space.
            let word = unsafe { **place };
            if word == 0 {
                return None;
            }
            table = frame_of(word);
        }
        Some(path)
    }
}

/// The root that the loader made, with the kernel half.
pub(crate) fn kernel_root() -> PageFrame {
    PageFrame(Cr3::read().0.start_address().as_u64() >> 12)
}

/// Makes the loader's own tables the running ones: no user half.
pub(crate) fn activate_kernel(root: PageFrame) {
    let frame = PhysFrame::containing_address(PhysAddr::new(root.address()));
    // SAFETY: the loader's root maps the kernel and stays for good.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}

//! Address spaces: regions that promise pages, and pages brought in on touch.

mod ranges;

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::port::{
    Access, Contents, Machine, NoFrames, PAGE_BYTES, PAGE_SIZE, PageFrame, USER_END,
};

/// How an address is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// What the pages of a region hold at first.
#[derive(Clone, Copy, Debug)]
pub enum Backing {
    /// Zeros.
    Zero,
    /// 0xff in every byte.
    Ones,
    /// Part of a file that lies in memory for good, then zeros.
    File(FilePart),
}

/// Part of a file behind a region.
#[derive(Clone, Copy, Debug)]
pub struct FilePart {
    /// Contents of the file.
    pub contents: &'static [u8],
    /// Frame of the file's first byte, when the file is page-aligned in memory.
    pub first: Option<PageFrame>,
    /// Offset in the file of the byte at the region's `data_start`.
    pub offset: u64,
    /// Address of the first byte that comes from the file.
    pub data_start: u64,
    /// Address just behind the last byte that comes from the file.
    pub data_end: u64,
}

/// A stretch of an address space.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// First address; page-aligned.
    pub start: u64,
    /// Address just behind the last one; page-aligned.
    pub end: u64,
    /// What a program may do.
    pub access: Access,
    /// What its pages hold at first.
    pub backing: Backing,
}

/// The address space of a process.
pub struct Space<M: Machine> {
    tables: M::Tables,
    /// In descending order, so that a new stack or mapping moves few others:
    /// stacks grow from the top, mappings from the bottom. They do not overlap.
    regions: Vec<Region>,
    /// Most frames this space may own.
    frames_max: u64,
}

/// Why a region cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionError {
    /// It is empty, unaligned, or reaches out of the user half.
    OutOfRange,
    /// It overlaps another one.
    Overlap,
    /// There are too many.
    NoRoom,
}

/// Most regions of a space: a bound for what one process takes of the kernel's heap.
const REGIONS_MAX: usize = 4096;

/// No region can be added.
struct NoRegions;

impl From<NoRegions> for KernelError {
    fn from(_: NoRegions) -> Self {
        KernelError::NoMemory
    }
}

impl<M: Machine> Space<M> {
    /// An empty space that may own `frames_max` frames.
    ///
    /// # Errors
    /// [`NoFrames`] when no root table can be had.
    pub fn new(machine: &mut M, frames_max: u64) -> Result<Self, NoFrames> {
        Ok(Self {
            tables: machine.tables()?,
            // An image, a stack, and some more.
            regions: Vec::with_capacity(8),
            frames_max,
        })
    }

    /// Most frames it may own.
    pub fn frames_max(&self) -> u64 {
        self.frames_max
    }

    /// Its page tables.
    pub fn tables(&self) -> &M::Tables {
        &self.tables
    }

    /// Gives everything back.
    pub fn release(self, machine: &mut M) {
        machine.release(self.tables);
    }

    /// Adds a region.
    ///
    /// # Errors
    /// [`RegionError`].
    pub fn add(&mut self, region: Region) -> Result<(), RegionError> {
        let aligned = (region.start | region.end).is_multiple_of(PAGE_SIZE);
        if !aligned || region.start >= region.end || region.end > USER_END {
            return Err(RegionError::OutOfRange);
        }
        self.make_room(1).map_err(|_| RegionError::NoRoom)?;
        let at = self
            .regions
            .partition_point(|other| other.start >= region.start);
        let above = at.checked_sub(1).and_then(|at| self.regions.get(at));
        let below = self.regions.get(at);
        if above.is_some_and(|above| above.start < region.end)
            || below.is_some_and(|below| below.end > region.start)
        {
            return Err(RegionError::Overlap);
        }
        self.regions.insert(at, region);
        Ok(())
    }

    /// Makes sure that so many regions can be added.
    fn make_room(&mut self, count: usize) -> Result<(), NoRegions> {
        if self.regions.capacity() - self.regions.len() >= count {
            return Ok(());
        }
        let full = self.regions.len() + count > REGIONS_MAX;
        let grown = (!full).then(|| self.regions.try_reserve(count));
        grown.and_then(Result::ok).ok_or(NoRegions)
    }

    fn region(&self, address: u64) -> Option<&Region> {
        let at = self
            .regions
            .partition_point(|region| region.start > address);
        self.regions.get(at).filter(|region| address < region.end)
    }

    /// Makes the page at `address` present for such a touch, if a region
    /// promises it; says which frame it is.
    ///
    /// # Errors
    /// [`KernelError::BadAddress`] when no region allows it,
    /// [`KernelError::NoMemory`] when there is no frame for it.
    pub fn touch(
        &mut self,
        machine: &mut M,
        address: u64,
        touch: Touch,
    ) -> Result<PageFrame, KernelError> {
        let region = *self.region(address).ok_or(KernelError::BadAddress)?;
        if !region.allows(touch) {
            return Err(KernelError::BadAddress);
        }
        let page = address & !(PAGE_SIZE - 1);
        if let Some((frame, _)) = machine.lookup(&self.tables, page) {
            // Present with all that the region allows: a race that is over.
            return Ok(frame);
        }
        self.bring_in(machine, &region, page)
    }

    fn bring_in(
        &mut self,
        machine: &mut M,
        region: &Region,
        page: u64,
    ) -> Result<PageFrame, KernelError> {
        let part = match region.backing {
            Backing::File(part) if page < part.data_end && page + PAGE_SIZE > part.data_start => {
                part
            }
            _ => return self.private_page(machine, region, page, None),
        };
        match part.frame_of(page) {
            Some(frame) if !region.access.write => {
                machine.map(&mut self.tables, page, frame, region.access)?;
                Ok(frame)
            }
            _ => self.private_page(machine, region, page, Some(part)),
        }
    }

    /// A page of the space's own: zeros, with the file's part copied in.
    fn private_page(
        &mut self,
        machine: &mut M,
        region: &Region,
        page: u64,
        part: Option<FilePart>,
    ) -> Result<PageFrame, KernelError> {
        if M::owned(&self.tables) >= self.frames_max {
            return Err(KernelError::NoMemory);
        }
        let contents = match region.backing {
            Backing::Ones => Contents::Ones,
            _ => Contents::Zero,
        };
        let frame = machine.page(&mut self.tables, contents)?;
        if let Some(part) = part {
            let (offset, bytes) = part.bytes_of(page);
            machine.write_frame(frame, offset, bytes);
        }
        match machine.map(&mut self.tables, page, frame, region.access) {
            Ok(()) => Ok(frame),
            Err(no_frames) => {
                machine.free_page(&mut self.tables, frame);
                Err(no_frames.into())
            }
        }
    }

    /// Maps the pages of a read-only file region ahead of the first touch, up
    /// to `most` of them.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn map_ahead(&mut self, machine: &mut M, start: u64, most: u64) -> Result<(), KernelError> {
        let Some(region) = self.region(start).copied() else {
            return Ok(());
        };
        let end = region.end.min(start + most * PAGE_SIZE);
        let mut page = start;
        while page < end {
            self.bring_in(machine, &region, page)?;
            page += PAGE_SIZE;
        }
        Ok(())
    }

    /// Writes into this space whether it is the running one or not.
    ///
    /// # Errors
    /// As [`touch`](Space::touch).
    pub fn poke(&mut self, machine: &mut M, address: u64, bytes: &[u8]) -> Result<(), KernelError> {
        self.put(machine, address, bytes, Touch::Write)
    }

    /// Gives pages of a region without a file their contents, whatever a
    /// program may do there.
    ///
    /// # Errors
    /// As [`touch`](Space::touch).
    pub fn fill(&mut self, machine: &mut M, address: u64, bytes: &[u8]) -> Result<(), KernelError> {
        let end = address + bytes.len() as u64;
        let region = self.region(address);
        // Such pages are the space's own; those of a file are everyone's.
        let own = region.filter(|it| end <= it.end && matches!(it.backing, Backing::Zero));
        own.ok_or(KernelError::BadAddress)?;
        self.put(machine, address, bytes, Touch::Read)
    }

    fn put(
        &mut self,
        machine: &mut M,
        address: u64,
        mut bytes: &[u8],
        touch: Touch,
    ) -> Result<(), KernelError> {
        let mut at = address;
        while !bytes.is_empty() {
            let frame = self.touch(machine, at, touch)?;
            let offset = in_page(at);
            let length = bytes.len().min(PAGE_BYTES - offset);
            machine.write_frame(frame, offset, &bytes[..length]);
            bytes = &bytes[length..];
            at += length as u64;
        }
        Ok(())
    }

    /// Reads from this space whether it is the running one or not.
    ///
    /// # Errors
    /// As [`touch`](Space::touch).
    pub fn peek(
        &mut self,
        machine: &mut M,
        address: u64,
        buffer: &mut [u8],
    ) -> Result<(), KernelError> {
        let mut at = address;
        let mut done = 0;
        while done < buffer.len() {
            let frame = self.touch(machine, at, Touch::Read)?;
            let offset = in_page(at);
            let length = (buffer.len() - done).min(PAGE_BYTES - offset);
            machine.read_frame(frame, offset, &mut buffer[done..done + length]);
            done += length;
            at += length as u64;
        }
        Ok(())
    }
}

impl FilePart {
    /// The file's own frame for a page that is wholly in the file, or whose
    /// missing rest lies in the same page of the file.
    fn frame_of(&self, page: u64) -> Option<PageFrame> {
        let first = self.first?;
        let aligned = self.offset % PAGE_SIZE == self.data_start % PAGE_SIZE;
        let file_page = (self.offset + page).checked_sub(self.data_start)?;
        aligned.then_some(PageFrame(first.0 + file_page / PAGE_SIZE))
    }

    /// The file's bytes in a page, and where in the page they start.
    fn bytes_of(&self, page: u64) -> (usize, &'static [u8]) {
        let start = page.max(self.data_start);
        let end = (page + PAGE_SIZE).min(self.data_end);
        let from = usize::try_from(self.offset + (start - self.data_start));
        let length = usize::try_from(end.saturating_sub(start));
        let bytes = match (from, length) {
            (Ok(from), Ok(length)) => self.contents.get(from..from + length),
            _ => None,
        };
        (in_page(start), bytes.unwrap_or_default())
    }
}

/// Offset of an address in its page.
fn in_page(address: u64) -> usize {
    (address % PAGE_SIZE) as usize
}

#[cfg(test)]
mod tests;

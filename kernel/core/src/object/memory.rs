//! Address spaces: regions that promise pages, and pages brought in on touch.
//!
//! - `pages.rs`: which frame a page gets. `ranges.rs`: mapping, unmapping and
//!   protecting. `object.rs`: memory that spaces share; `mapping.rs`: how they
//!   do, `whole.rs`: all of an object at once; `file.rs`: it as a file; `bytes.rs`: its bytes without a mapping.
//! - `region.rs`: what a region promises. `near.rs`: short ways.

mod bytes;
mod file;
mod mapping;
mod near;
mod object;
mod pages;
mod ranges;
mod region;
mod whole;

pub use file::MemoryFile;
pub use mapping::{Manner, Mapping, MappingSlot};
pub use object::{Charge, MemoryObject};

use alloc::vec::Vec;

use mapping::Mappings;
use pages::Limit;

use crate::error::KernelError;
use crate::port::{Access, Machine, NoFrames, PAGE_BYTES, PAGE_SIZE, PageFrame, USER_END};
use crate::user;

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
    /// Part of an object that others may map, too.
    Object(MappingSlot),
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
    /// Place of the region that was looked at last, as far as anybody knows.
    near: usize,
    mappings: Mappings,
    limit: Limit,
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

impl From<RegionError> for KernelError {
    fn from(error: RegionError) -> Self {
        match error {
            RegionError::OutOfRange | RegionError::Overlap => KernelError::InvalidArgument,
            RegionError::NoRoom => KernelError::NoMemory,
        }
    }
}

/// Most regions of a space: a bound for what one process takes of the kernel's heap.
const REGIONS_MAX: usize = 4096;

/// Regions that there is room for at once when it cannot be doubled.
const MORE_REGIONS: usize = 256;

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
            near: 0,
            mappings: Mappings::default(),
            limit: Limit {
                frames_max,
                charge: None,
            },
        })
    }

    /// Most frames it may own.
    pub fn frames_max(&self) -> u64 {
        self.limit.frames_max
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
    pub fn add(&mut self, machine: &M, region: Region) -> Result<(), RegionError> {
        let aligned = (region.start | region.end).is_multiple_of(PAGE_SIZE);
        if !aligned || region.start >= region.end || region.end > USER_END {
            return Err(RegionError::OutOfRange);
        }
        self.make_room(machine, 1)
            .map_err(|_| RegionError::NoRoom)?;
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
    #[inline(always)]
    fn make_room(&mut self, machine: &M, count: usize) -> Result<(), NoRegions> {
        if self.regions.capacity() - self.regions.len() >= count {
            return Ok(());
        }
        self.grow(machine, count)
    }

    /// The same, where there is none.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, machine: &M, count: usize) -> Result<(), NoRegions> {
        if self.regions.len() + count > REGIONS_MAX || machine.heap_full() {
            return Err(NoRegions);
        }
        let doubled = self.regions.try_reserve(count);
        // A heap with no block of twice the size may have one that is larger by a little.
        let grown = doubled.or_else(|_| self.regions.try_reserve_exact(count.max(MORE_REGIONS)));
        grown.map_err(|_| NoRegions)
    }

    /// Another mapping, which may split a region, has room.
    pub fn has_room(&mut self, machine: &M) -> bool {
        self.make_room(machine, 2).is_ok()
    }

    /// Place of the region that an address lies in.
    fn place_of(&self, address: u64) -> Option<usize> {
        let at = self
            .regions
            .partition_point(|region| region.start > address);
        let region = self.regions.get(at)?;
        (address < region.end).then_some(at)
    }

    fn region(&self, address: u64) -> Option<&Region> {
        self.place_of(address).map(|at| &self.regions[at])
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
        self.check_own(address, bytes.len() as u64)?;
        self.put(machine, address, bytes, Touch::Read)
    }

    /// Such pages are the space's own; those of a file are everyone's.
    fn check_own(&self, address: u64, length: u64) -> Result<(), KernelError> {
        let end = address.checked_add(length).ok_or(KernelError::BadAddress)?;
        let region = self.region(address);
        let own = region.filter(|it| end <= it.end && matches!(it.backing, Backing::Zero));
        own.map(|_| ()).ok_or(KernelError::BadAddress)
    }

    /// As [`fill`](Space::fill), from memory of the running space: copied once,
    /// a page at a time.
    ///
    /// # Errors
    /// As [`touch`](Space::touch), of either space.
    pub fn fill_from(
        &mut self,
        machine: &mut M,
        address: u64,
        source: &mut Space<M>,
        from: u64,
        length: u64,
    ) -> Result<(), KernelError> {
        user::check_range(from, length)?;
        if length == 0 {
            return Ok(());
        }
        self.check_own(address, length)?;
        let mut done = 0;
        while done < length {
            let offset = in_page(address + done);
            let part = (length - done).min((PAGE_BYTES - offset) as u64);
            let frame = self.touch(machine, address + done, Touch::Read)?;
            let bytes = usize::try_from(part).unwrap_or(PAGE_BYTES);
            match machine.read_user_to_frame(from + done, frame, offset, bytes) {
                Ok(()) => done += part,
                Err(fault) => {
                    done += fault.copied as u64;
                    source.touch(machine, fault.address, Touch::Read)?;
                }
            }
        }
        Ok(())
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

/// Offset of an address in its page.
fn in_page(address: u64) -> usize {
    (address % PAGE_SIZE) as usize
}

#[cfg(test)]
mod tests;

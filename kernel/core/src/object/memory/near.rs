//! Short ways: the region that was looked at last, and one page of it.
//!
//! Programs map, touch and unmap the same memory one after the other, mostly
//! pages of zeros of their own. Neighbours: `ranges.rs` and `pages.rs` do what
//! is left: any range, any page.

use super::pages::{drop_pages, protect_pages};
use super::{Backing, Region, Space};
use crate::error::KernelError;
use crate::port::{Access, Contents, Machine, PAGE_SIZE, Page};

impl<M: Machine> Space<M> {
    /// Place of the region that an address lies in; it is near from now on.
    #[inline(always)]
    pub(super) fn find(&mut self, address: u64) -> Option<usize> {
        if let Some(region) = self.regions.get(self.near)
            && region.start <= address
            && address < region.end
        {
            return Some(self.near);
        }
        let found = self.place_of(address);
        self.near = found.unwrap_or(self.near);
        found
    }

    /// The region that was looked at last has these bounds.
    #[inline(always)]
    pub(super) fn is_near(&self, start: u64, end: u64) -> bool {
        let region = self.regions.get(self.near);
        region.is_some_and(|region| region.start == start && region.end == end)
    }

    /// Makes a region of memory without a file at the lowest place that is free,
    /// at or above `from`; says where. `from` and `length` are whole pages.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there is no such place,
    /// [`KernelError::NoRoom`] when there are too many regions.
    #[inline(always)]
    pub fn map_anywhere(
        &mut self,
        machine: &M,
        from: u64,
        length: u64,
        access: Access,
        backing: Backing,
    ) -> Result<u64, KernelError> {
        let found = self.free_place(from, length);
        let (start, at) = found.ok_or(KernelError::NoMemory)?;
        if !self.has_room(machine) {
            return Err(KernelError::NoRoom);
        }
        self.insert(at, start..start + length, access, backing);
        Ok(start)
    }

    /// Unmaps a whole region of the space's own pages, or one of its ends; says
    /// whether it was that.
    #[inline(always)]
    pub(super) fn unmap_end(&mut self, machine: &mut M, start: u64, end: u64) -> bool {
        let Some(at) = self.find(start) else {
            return false;
        };
        let region = &mut self.regions[at];
        let (is_start, is_end) = (region.start == start, region.end == end);
        if !(is_start || is_end) || region.end < end || !region.is_plain() {
            return false;
        }
        if end - start == PAGE_SIZE {
            machine.drop_page(&mut self.tables, start);
        } else {
            let mappings = &self.mappings;
            drop_pages(machine, &mut self.tables, mappings, region, start..end);
        }
        if is_start && is_end {
            self.regions.remove(at);
        } else if is_start {
            region.start = end;
        } else {
            region.end = start;
        }
        true
    }

    /// Makes a region by making another one longer, if that is the same promise
    /// and nothing touches the other end; says whether it was.
    #[inline(always)]
    pub(super) fn extend(&mut self, at: usize, region: &Region) -> bool {
        let (above, below) = (at.wrapping_sub(1), at);
        let touches = |at: usize, end: bool| {
            self.regions.get(at).filter(|other| match end {
                true => other.start == region.end,
                false => other.end == region.start,
            })
        };
        match (touches(above, true), touches(below, false)) {
            (Some(other), None) if other.promises_as(region) => {
                self.regions[above].start = region.start;
                self.near = above;
            }
            (None, Some(other)) if other.promises_as(region) => {
                self.regions[below].end = region.end;
                self.near = below;
            }
            _ => return false,
        }
        true
    }

    /// Changes what programs may do with the region that was looked at last.
    ///
    /// # Errors
    /// [`KernelError::NotPermitted`] when it was mapped with a right to less.
    #[inline(always)]
    pub(super) fn protect_near(
        &mut self,
        machine: &mut M,
        change: impl Fn(Access) -> Access,
    ) -> Result<(), KernelError> {
        let (at, mappings) = (self.near, &self.mappings);
        let region = &mut self.regions[at];
        let access = change(region.access);
        if !region.may_become(mappings, access) {
            return Err(KernelError::NotPermitted);
        }
        if region.access == access {
            return Ok(());
        }
        region.access = access;
        let (start, end) = (region.start, region.end);
        if end - start == PAGE_SIZE && region.is_plain() {
            machine.protect(&mut self.tables, start, access);
        } else {
            protect_pages(machine, &mut self.tables, mappings, region);
        }
        if !self.is_alone(at, at + 1, start, end) {
            self.join_around(at..at + 1);
        }
        Ok(())
    }

    /// Brings in all of a new mapping, if that is one page of zeros; says
    /// whether it is there.
    #[inline(always)]
    pub fn populate_one(&mut self, machine: &mut M, start: u64, length: u64) -> bool {
        let near = self.regions.get(self.near);
        let within = near.is_some_and(|near| near.start <= start && start < near.end);
        if length != PAGE_SIZE || !within {
            return false;
        }
        let new = self.bring_in_zeros(machine, self.near, start);
        matches!(new, Ok(Some(Page::New(_))))
    }

    /// Brings in a page of a region of the space's own zeros, if it is not
    /// there; `None` if that takes a second look.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    #[inline(always)]
    pub(super) fn bring_in_zeros(
        &mut self,
        machine: &mut M,
        at: usize,
        page: u64,
    ) -> Result<Option<Page>, KernelError> {
        let region = &self.regions[at];
        if !matches!(region.backing, Backing::Zero)
            || !self.limit.allows_one(M::owned(&self.tables))
        {
            return Ok(None);
        }
        let access = region.access;
        let new = machine.new_page(&mut self.tables, page, Contents::Zero, access)?;
        Ok(Some(new))
    }
}

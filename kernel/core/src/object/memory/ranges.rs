//! Ranges of an address space: where they fit, and mapping, unmapping and
//! protecting them, whatever regions lie there.

use core::ops::Range;

use super::pages::{drop_pages, protect_pages};
use super::{Backing, Mapping, Region, Space, Touch};
use crate::error::KernelError;
use crate::port::{Access, Machine, USER_END};

impl<M: Machine> Space<M> {
    /// The lowest free range of `length` bytes, at or above `from`. Both are
    /// whole pages.
    pub fn find_free(&self, from: u64, length: u64) -> Option<u64> {
        self.free_place(from, length).map(|(start, _)| start)
    }

    /// The same, and the place of a region that is there.
    #[inline(always)]
    pub(super) fn free_place(&self, from: u64, length: u64) -> Option<(u64, usize)> {
        let mut at = from;
        let mut place = self.regions.len();
        while let Some(region) = place.checked_sub(1).map(|place| &self.regions[place]) {
            if region.end > at {
                if region.start > at && region.start - at >= length {
                    return Some((at, place));
                }
                at = region.end;
            }
            place -= 1;
        }
        (USER_END.saturating_sub(at) >= length).then_some((at, 0))
    }

    /// Something is mapped in a range.
    pub fn overlaps(&self, range: &Range<u64>) -> bool {
        !self.overlapping(range).is_empty()
    }

    /// Every address of a range may be touched so.
    pub fn allows(&self, range: Range<u64>, touch: Touch) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.region(at) {
                Some(region) if region.allows(touch) => at = region.end,
                _ => return false,
            }
        }
        true
    }

    /// Makes a region of memory without a file in place of whatever is there.
    /// `range` is whole pages in the user half.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there are too many regions.
    pub fn map(
        &mut self,
        machine: &mut M,
        range: Range<u64>,
        access: Access,
        backing: Backing,
    ) -> Result<(), KernelError> {
        // One more where an old region is split, and the new one.
        self.make_room(machine, 2)?;
        let at = self.clear(machine, &range);
        self.insert(at, range, access, backing);
        Ok(())
    }

    /// Makes a region of memory without a file where nothing is. `range` is
    /// whole pages in the user half.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there are too many regions.
    pub fn map_free(
        &mut self,
        machine: &M,
        range: Range<u64>,
        access: Access,
        backing: Backing,
    ) -> Result<(), KernelError> {
        self.make_room(machine, 1)?;
        let regions = &self.regions;
        let at = regions.partition_point(|region| region.start >= range.end);
        self.insert(at, range, access, backing);
        Ok(())
    }

    /// Makes a region of an object's memory in place of whatever is there.
    /// `range` is whole pages in the user half.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there are too many regions.
    pub fn map_object(
        &mut self,
        machine: &mut M,
        range: Range<u64>,
        access: Access,
        mapping: Mapping,
    ) -> Result<(), KernelError> {
        self.make_room(machine, 2)?;
        self.mappings.make_room(machine)?;
        let at = self.clear(machine, &range);
        let slot = self.mappings.add(mapping);
        self.insert(at, range, access, Backing::Object(slot));
        Ok(())
    }

    #[inline(always)]
    pub(super) fn insert(
        &mut self,
        at: usize,
        range: Range<u64>,
        access: Access,
        backing: Backing,
    ) {
        let Range { start, end } = range;
        let region = Region {
            start,
            end,
            access,
            backing,
        };
        let alone = self.is_alone(at, at, start, end);
        if !alone && self.extend(at, &region) {
            return;
        }
        self.regions.insert(at, region);
        self.near = at;
        if !alone {
            self.join_around(at..at + 1);
        }
    }

    /// Neither what lies below the place `above`, nor what lies at `below`, touches that range.
    #[inline(always)]
    pub(super) fn is_alone(&self, above: usize, below: usize, start: u64, end: u64) -> bool {
        let above = above.checked_sub(1).and_then(|at| self.regions.get(at));
        above.is_none_or(|above| above.start != end)
            && self
                .regions
                .get(below)
                .is_none_or(|below| below.end != start)
    }

    /// Ends every promise in a range, and gives its pages back. `range` is
    /// whole pages.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there are too many regions.
    pub fn unmap(&mut self, machine: &mut M, range: Range<u64>) -> Result<(), KernelError> {
        if self.unmap_end(machine, range.start, range.end) {
            return Ok(());
        }
        // Only a region that is left on both sides needs a place more.
        if self.make_room(machine, 1).is_err() && self.is_inside_one(&range) {
            return Err(KernelError::NoMemory);
        }
        self.clear(machine, &range);
        Ok(())
    }

    /// As [`unmap`](Self::unmap), of a range where something must be.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when nothing is there, [`KernelError::NoRoom`]
    /// when there are too many regions.
    pub fn unmap_mapped(&mut self, machine: &mut M, range: &Range<u64>) -> Result<(), KernelError> {
        if self.unmap_end(machine, range.start, range.end) {
            return Ok(());
        }
        self.unmap_any(machine, range)
    }

    /// The same, whatever is there.
    #[inline(never)]
    fn unmap_any(&mut self, machine: &mut M, range: &Range<u64>) -> Result<(), KernelError> {
        let places = self.overlapping(range);
        if places.is_empty() {
            return Err(KernelError::NotFound);
        }
        if self.make_room(machine, 1).is_err() && self.is_inside_one(range) {
            return Err(KernelError::NoRoom);
        }
        self.clear_places(machine, range, places);
        Ok(())
    }

    /// A region begins before the range and ends behind it.
    #[inline(never)]
    fn is_inside_one(&self, range: &Range<u64>) -> bool {
        let found = self.overlapping(range);
        let mut regions = self.regions[found].iter();
        regions.any(|region| region.start < range.start && region.end > range.end)
    }

    /// Changes what programs may do with the pages of a range. `range` is whole
    /// pages.
    ///
    /// # Errors
    /// [`KernelError::NotPermitted`] when part of it was mapped with a right to
    /// less, then [`KernelError::NotFound`] when nothing is there,
    /// [`KernelError::InvalidArgument`] when not all of it is,
    /// [`KernelError::NoMemory`] when there are too many regions. Nothing has
    /// changed then.
    pub fn protect(
        &mut self,
        machine: &mut M,
        range: Range<u64>,
        change: impl Fn(Access) -> Access,
    ) -> Result<(), KernelError> {
        if self.find(range.start).is_some() && self.is_near(range.start, range.end) {
            return self.protect_near(machine, change);
        }
        self.protect_any(machine, range, change)
    }

    /// The same, whatever regions lie in the range.
    fn protect_any(
        &mut self,
        machine: &mut M,
        range: Range<u64>,
        change: impl Fn(Access) -> Access,
    ) -> Result<(), KernelError> {
        let found = self.overlapping(&range);
        if found.is_empty() {
            return Err(KernelError::NotFound);
        }
        let (mut covered, mut whole) = (range.end, true);
        for region in &self.regions[found] {
            if !region.may_become(&self.mappings, change(region.access)) {
                return Err(KernelError::NotPermitted);
            }
            whole &= region.end >= covered;
            covered = region.start;
        }
        if !whole || covered > range.start {
            return Err(KernelError::InvalidArgument);
        }
        self.make_room(machine, 2)?;
        self.split(range.end);
        self.split(range.start);
        let changed = self.overlapping(&range);
        for index in changed.clone() {
            let region = &mut self.regions[index];
            let access = change(region.access);
            if region.access != access {
                region.access = access;
                protect_pages(machine, &mut self.tables, &self.mappings, region);
            }
        }
        self.join_around(changed);
        Ok(())
    }

    /// Ends the mappings of objects that `ends` picks.
    pub fn unmap_where(&mut self, machine: &mut M, ends: impl Fn(&Mapping) -> bool) {
        let (tables, mappings) = (&mut self.tables, &self.mappings);
        let before = self.regions.len();
        self.regions.retain(|region| {
            let ended = matches!(region.backing, Backing::Object(slot) if ends(mappings.get(slot)));
            if ended {
                let range = region.start..region.end;
                drop_pages(machine, tables, mappings, region, range);
            }
            !ended
        });
        if self.regions.len() < before {
            self.forget_mappings(machine);
        }
    }

    /// Places of the regions that have a page in `range`.
    fn overlapping(&self, range: &Range<u64>) -> Range<usize> {
        let first = self
            .regions
            .partition_point(|region| region.start >= range.end);
        let rest = &self.regions[first..];
        let count = rest.partition_point(|region| region.end > range.start);
        first..first + count
    }

    /// Removes pages and promises in a range. There is room for one more
    /// region. Says at which place a region of that range belongs.
    fn clear(&mut self, machine: &mut M, range: &Range<u64>) -> usize {
        let places = self.overlapping(range);
        if places.is_empty() {
            return places.start;
        }
        self.clear_places(machine, range, places)
    }

    /// The same, where these places, at least one, are of the range.
    #[inline]
    fn clear_places(
        &mut self,
        machine: &mut M,
        range: &Range<u64>,
        Range { start, end }: Range<usize>,
    ) -> usize {
        let mut objects = false;
        for region in &self.regions[start..end] {
            let part = region.start.max(range.start)..region.end.min(range.end);
            drop_pages(machine, &mut self.tables, &self.mappings, region, part);
            objects |= matches!(region.backing, Backing::Object(_));
        }
        let at = self.cut_out(range, start..end);
        if objects {
            self.forget_mappings(machine);
        }
        at
    }

    /// Regions of objects went: their mappings may have gone with them.
    #[cold]
    fn forget_mappings(&mut self, machine: &mut M) {
        let regions = self.regions.iter();
        let named = regions.filter_map(|region| match region.backing {
            Backing::Object(slot) => Some(slot),
            _ => None,
        });
        self.mappings.retain_named(named);
        machine.reap();
    }

    /// Removes the promises in a range, which `places` are of.
    fn cut_out(&mut self, range: &Range<u64>, places: Range<usize>) -> usize {
        let Range { mut start, mut end } = places;
        let top = &mut self.regions[start];
        if top.end > range.end {
            start += 1;
            if top.start < range.start {
                // It is the only one, and keeps both its ends.
                let below = Region {
                    end: range.start,
                    ..*top
                };
                top.start = range.end;
                self.regions.insert(start, below);
                return start;
            }
            top.start = range.end;
        }
        if start < end && self.regions[end - 1].start < range.start {
            end -= 1;
            self.regions[end].end = range.start;
        }
        if start < end {
            self.regions.copy_within(end.., start);
            self.regions.truncate(self.regions.len() - (end - start));
        }
        start
    }

    /// Makes two of the region that goes across `at`. There is room for it.
    fn split(&mut self, at: u64) {
        let index = self.regions.partition_point(|region| region.start >= at);
        if let Some(region) = self.regions.get_mut(index)
            && region.end > at
        {
            let above = Region {
                start: at,
                ..*region
            };
            region.end = at;
            self.regions.insert(index, above);
        }
    }

    /// Joins the regions at these places and their neighbours where they are
    /// one promise.
    #[inline(never)]
    pub(super) fn join_around(&mut self, places: Range<usize>) {
        let mut at = places.end;
        while at > 0 && at >= places.start {
            if let Some(below) = self.regions.get(at)
                && self.regions[at - 1].goes_on_from(below)
            {
                self.regions[at - 1].start = below.start;
                self.regions.remove(at);
            }
            at -= 1;
        }
    }
}

//! Ranges of an address space: where they fit, and mapping, unmapping and
//! protecting them, whatever regions lie there.

use core::ops::Range;

use super::{Backing, Region, Space, Touch};
use crate::error::KernelError;
use crate::port::{Access, Machine, PAGE_SIZE, PageFrame, USER_END};

impl<M: Machine> Space<M> {
    /// The lowest free range of `length` bytes, at or above `from`. Both are
    /// whole pages.
    pub fn find_free(&self, from: u64, length: u64) -> Option<u64> {
        let mut at = from;
        for region in self.regions.iter().rev() {
            if region.end <= at {
                continue;
            }
            if region.start > at && region.start - at >= length {
                return Some(at);
            }
            at = region.end;
        }
        (USER_END.saturating_sub(at) >= length).then_some(at)
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
        self.make_room(2)?;
        let at = self.clear(machine, &range);
        let region = Region {
            start: range.start,
            end: range.end,
            access,
            backing,
        };
        self.regions.insert(at, region);
        self.join_around(at..at + 1);
        Ok(())
    }

    /// Ends every promise in a range, and gives its pages back. `range` is
    /// whole pages.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there are too many regions.
    pub fn unmap(&mut self, machine: &mut M, range: Range<u64>) -> Result<(), KernelError> {
        self.make_room(1)?;
        self.clear(machine, &range);
        Ok(())
    }

    /// Lets programs write to a range or not; what they may execute stays as it
    /// is. `range` is whole pages.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when nothing is there,
    /// [`KernelError::InvalidArgument`] when not all of it is,
    /// [`KernelError::NoMemory`] when there are too many regions.
    pub fn protect(
        &mut self,
        machine: &mut M,
        range: Range<u64>,
        write: bool,
    ) -> Result<(), KernelError> {
        let found = self.overlapping(&range);
        if found.is_empty() {
            return Err(KernelError::NotFound);
        }
        let mut covered = range.end;
        for region in &self.regions[found] {
            if region.end < covered {
                return Err(KernelError::InvalidArgument);
            }
            covered = region.start;
        }
        if covered > range.start {
            return Err(KernelError::InvalidArgument);
        }
        self.make_room(2)?;
        self.split(range.end);
        self.split(range.start);
        let changed = self.overlapping(&range);
        for index in changed.clone() {
            if self.regions[index].access.write != write {
                self.regions[index].access.write = write;
                let region = self.regions[index];
                self.protect_pages(machine, &region);
            }
        }
        self.join_around(changed);
        Ok(())
    }

    /// Gives the pages of a region, which has changed, its access.
    fn protect_pages(&mut self, machine: &mut M, region: &Region) {
        let mut at = region.start;
        while let Some((page, frame)) = machine.next_page(&self.tables, at, region.end) {
            if region.access.write && region.is_of_file(page, frame) {
                // A store brings in a copy.
                machine.unmap(&mut self.tables, page);
            } else {
                machine.protect(&mut self.tables, page, region.access);
            }
            at = page + PAGE_SIZE;
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
        let Range { mut start, mut end } = self.overlapping(range);
        if start == end {
            return start;
        }
        for region in &self.regions[start..end] {
            let part = region.start.max(range.start)..region.end.min(range.end);
            drop_pages(machine, &mut self.tables, region, part);
        }
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
    fn join_around(&mut self, places: Range<usize>) {
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

/// Gives back the pages that are present in a part of a region.
fn drop_pages<M: Machine>(
    machine: &mut M,
    tables: &mut M::Tables,
    region: &Region,
    part: Range<u64>,
) {
    let mut at = part.start;
    while let Some((page, frame)) = machine.next_page(tables, at, part.end) {
        machine.unmap(tables, page);
        if !region.is_of_file(page, frame) {
            machine.free_page(tables, frame);
        }
        at = page + PAGE_SIZE;
    }
}

impl Region {
    /// A program may touch it so.
    pub(super) fn allows(&self, touch: Touch) -> bool {
        match touch {
            Touch::Read => true,
            Touch::Write => self.access.write,
            Touch::Execute => self.access.execute,
        }
    }

    /// This region begins where `below` ends, and promises the same.
    pub(super) fn goes_on_from(&self, below: &Region) -> bool {
        let same = matches!(
            (self.backing, below.backing),
            (Backing::Zero, Backing::Zero) | (Backing::Ones, Backing::Ones)
        );
        self.start == below.end && same && self.access == below.access
    }

    /// The frame behind a page is the file's own.
    fn is_of_file(&self, page: u64, frame: PageFrame) -> bool {
        match self.backing {
            Backing::File(part) => part.frame_of(page) == Some(frame),
            Backing::Zero | Backing::Ones => false,
        }
    }
}

//! Pages brought in: which frame a page gets, and what it holds at first; and
//! pages given back or protected.

use alloc::rc::Rc;
use core::ops::Range;

use super::mapping::{MappingSlot, Mappings};
use super::object::Charge;
use super::{Backing, FilePart, Region, Space, Touch, in_page};
use crate::error::KernelError;
use crate::port::{Access, Contents, Machine, PAGE_SIZE, Page, PageFrame};

/// Most frames a space may own, and what counts among them.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) frames_max: u64,
    /// Frames of the objects that its process made.
    pub(super) charge: Option<Rc<Charge>>,
}

impl Limit {
    /// One more frame may be had by a space that owns so many.
    #[inline(always)]
    pub(super) fn allows_one(&self, owned: u64) -> bool {
        let charged = self.charge.as_ref().map_or(0, |charge| charge.frames());
        owned.saturating_add(charged) < self.frames_max
    }
}

/// What bringing in a page needs of a space.
struct Pages<'a, M: Machine> {
    machine: &'a mut M,
    tables: &'a mut M::Tables,
    mappings: &'a Mappings,
    limit: &'a Limit,
}

impl<M: Machine> Space<M> {
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
        self.resolve(machine, address, touch)
            .map(|(frame, _)| frame)
    }

    /// As [`touch`](Self::touch); says whether that has changed the tables.
    #[inline(never)]
    pub(crate) fn resolve(
        &mut self,
        machine: &mut M,
        address: u64,
        touch: Touch,
    ) -> Result<(PageFrame, bool), KernelError> {
        let at = self.find(address).ok_or(KernelError::BadAddress)?;
        if !self.regions[at].allows(touch) {
            return Err(KernelError::BadAddress);
        }
        let page = address & !(PAGE_SIZE - 1);
        match self.bring_in_zeros(machine, at, page)? {
            Some(Page::New(frame)) => Ok((frame, true)),
            Some(Page::Old(frame, access)) if access.write || touch != Touch::Write => {
                Ok((frame, false))
            }
            _ => self.resolve_any(machine, at, page, touch),
        }
    }

    /// The same, whatever the region at that place promises, and whatever is there.
    fn resolve_any(
        &mut self,
        machine: &mut M,
        at: usize,
        page: u64,
        touch: Touch,
    ) -> Result<(PageFrame, bool), KernelError> {
        let region = &self.regions[at];
        let present = machine.lookup(&self.tables, page);
        let mut pages = Pages {
            machine,
            tables: &mut self.tables,
            mappings: &self.mappings,
            limit: &self.limit,
        };
        let frame = match present {
            None => pages.bring_in(region, page, touch)?,
            Some((frame, access)) if touch == Touch::Write && !access.write => {
                pages.copy(page, frame, region.access)?
            }
            // Present with all that the region allows: a race that is over.
            Some((frame, _)) => return Ok((frame, false)),
        };
        Ok((frame, true))
    }

    /// Maps the pages of a read-only file region ahead of the first touch, up
    /// to `most` of them.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn map_ahead(&mut self, machine: &mut M, start: u64, most: u64) -> Result<(), KernelError> {
        let Some(at) = self.place_of(start) else {
            return Ok(());
        };
        let region = &self.regions[at];
        let end = region.end.min(start + most * PAGE_SIZE);
        self.bring_in_all(machine, at, start..end)
    }

    /// Brings in the pages of a range that are not there, whatever their regions allow.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`], [`KernelError::BadAddress`] where no region
    /// is; some pages may have come in.
    pub fn populate(&mut self, machine: &mut M, range: Range<u64>) -> Result<(), KernelError> {
        let mut page = range.start;
        while page < range.end {
            let at = self.find(page).ok_or(KernelError::BadAddress)?;
            let there = self.bring_in_zeros(machine, at, page)?.is_some()
                || machine.lookup(&self.tables, page).is_some();
            if !there {
                self.bring_in_all(machine, at, page..page + PAGE_SIZE)?;
            }
            page += PAGE_SIZE;
        }
        Ok(())
    }

    fn bring_in_all(
        &mut self,
        machine: &mut M,
        at: usize,
        range: Range<u64>,
    ) -> Result<(), KernelError> {
        let region = &self.regions[at];
        let touch = match region.access.write {
            true => Touch::Write,
            false => Touch::Read,
        };
        let mut pages = Pages {
            machine,
            tables: &mut self.tables,
            mappings: &self.mappings,
            limit: &self.limit,
        };
        let mut page = range.start;
        while page < range.end {
            pages.bring_in(region, page, touch)?;
            page += PAGE_SIZE;
        }
        Ok(())
    }

    /// The limit that objects made by this process count for.
    pub fn charge(&mut self) -> Option<Rc<Charge>> {
        let Limit { frames_max, charge } = &mut self.limit;
        if *frames_max == u64::MAX {
            return None;
        }
        let charge = charge.get_or_insert_with(|| Rc::new(Charge::new(*frames_max)));
        Some(Rc::clone(charge))
    }
}

impl<M: Machine> Pages<'_, M> {
    fn bring_in(
        &mut self,
        region: &Region,
        page: u64,
        touch: Touch,
    ) -> Result<PageFrame, KernelError> {
        let access = region.access;
        let part = match region.backing {
            Backing::File(part) if page < part.data_end && page + PAGE_SIZE > part.data_start => {
                part
            }
            Backing::Zero | Backing::File(_) => return self.own(page, Contents::Zero, access),
            Backing::Ones => return self.own(page, Contents::Ones, access),
            Backing::Object(slot) => return self.of_object(slot, page, touch, access),
        };
        match part.frame_of(page) {
            Some(frame) if !access.write => {
                self.machine.map(self.tables, page, frame, access)?;
                Ok(frame)
            }
            _ => self.of_file(page, &part, access),
        }
    }

    /// A page of the space's own.
    fn own(
        &mut self,
        page: u64,
        contents: Contents,
        access: Access,
    ) -> Result<PageFrame, KernelError> {
        self.check_limit()?;
        let frame = self.machine.page(self.tables, contents)?;
        self.map_own(page, frame, access)
    }

    /// A page of the space's own: zeros, with the file's part copied in.
    fn of_file(
        &mut self,
        page: u64,
        part: &FilePart,
        access: Access,
    ) -> Result<PageFrame, KernelError> {
        self.check_limit()?;
        let frame = self.machine.page(self.tables, Contents::Zero)?;
        let (offset, bytes) = part.bytes_of(page);
        self.machine.write_frame(frame, offset, bytes);
        self.map_own(page, frame, access)
    }

    /// A page of an object, or a copy of it.
    fn of_object(
        &mut self,
        slot: MappingSlot,
        page: u64,
        touch: Touch,
        access: Access,
    ) -> Result<PageFrame, KernelError> {
        let mapping = self.mappings.get(slot);
        let (object, manner) = (&mapping.object, mapping.manner);
        let number = mapping.page_at(page);
        let present = object.frame(number);
        if manner.private && touch == Touch::Write {
            return match present {
                Some(frame) => self.copy(page, frame, access),
                None => self.own(page, Contents::Zero, access),
            };
        }
        let frame = match present {
            Some(frame) => frame,
            None => {
                if object.is_charged_to(&self.limit.charge) {
                    self.check_limit()?;
                }
                object.bring_in(self.machine, number)?
            }
        };
        let access = Access {
            write: access.write && !manner.private,
            ..access
        };
        self.machine.map(self.tables, page, frame, access)?;
        Ok(frame)
    }

    /// A copy of the space's own in place of a frame.
    fn copy(
        &mut self,
        page: u64,
        from: PageFrame,
        access: Access,
    ) -> Result<PageFrame, KernelError> {
        self.check_limit()?;
        let frame = self.machine.page(self.tables, Contents::Any)?;
        self.machine.copy_frame(from, frame);
        self.map_own(page, frame, access)
    }

    fn map_own(
        &mut self,
        page: u64,
        frame: PageFrame,
        access: Access,
    ) -> Result<PageFrame, KernelError> {
        match self.machine.map(self.tables, page, frame, access) {
            Ok(()) => Ok(frame),
            Err(no_frames) => {
                self.machine.free_page(self.tables, frame);
                Err(no_frames.into())
            }
        }
    }

    /// Checks that the space may have one frame more.
    fn check_limit(&self) -> Result<(), KernelError> {
        match self.limit.allows_one(M::owned(self.tables)) {
            true => Ok(()),
            false => Err(KernelError::NoMemory),
        }
    }
}

/// Gives back the pages that are present in a part of a region.
pub(super) fn drop_pages<M: Machine>(
    machine: &mut M,
    tables: &mut M::Tables,
    mappings: &Mappings,
    region: &Region,
    part: Range<u64>,
) {
    let give_back = |machine: &mut M, tables: &mut M::Tables, page, frame| {
        if !region.lends(mappings, page, frame) {
            machine.free_page(tables, frame);
        }
    };
    if part.end - part.start == PAGE_SIZE {
        // One page is not searched for.
        if let Some(frame) = machine.unmap(tables, part.start) {
            give_back(machine, tables, part.start, frame);
        }
        return;
    }
    let mut at = part.start;
    while at < part.end
        && let Some((page, frame)) = machine.next_page(tables, at, part.end)
    {
        machine.unmap(tables, page);
        give_back(machine, tables, page, frame);
        at = page + PAGE_SIZE;
    }
}

/// Gives the pages of a region, which has changed, its access.
pub(super) fn protect_pages<M: Machine>(
    machine: &mut M,
    tables: &mut M::Tables,
    mappings: &Mappings,
    region: &Region,
) {
    let mut at = region.start;
    while let Some((page, frame)) = machine.next_page(tables, at, region.end) {
        let copied = region.access.write && region.copies_on_write(mappings);
        if copied && region.lends(mappings, page, frame) {
            // A store brings in a copy.
            machine.unmap(tables, page);
        } else {
            machine.protect(tables, page, region.access);
        }
        at = page + PAGE_SIZE;
    }
}

impl FilePart {
    /// The file's own frame for a page that is wholly in the file, or whose
    /// missing rest lies in the same page of the file.
    pub(super) fn frame_of(&self, page: u64) -> Option<PageFrame> {
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

//! Memory objects: frames that any number of address spaces map.
//!
//! A [`MemoryObject`] owns its frames, which come in zeroed when they are first
//! touched through any mapping. It lives as long as somebody refers to it: an
//! open file, a token, a key, or a [`Mapping`](super::Mapping). The frames go
//! back when the last of all these goes, wherever that happens ([`DeadFrames`]).

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::error::KernelError;
use crate::object::store::Quota;
use crate::port::{Contents, DeadFrames, FrameList, Machine, PageFrame};

/// Pages whose frames are noted together.
const CHUNK: usize = 64;
/// What a chunk and its place in the index cost.
const CHUNK_COST: u64 = (CHUNK * size_of::<Option<PageFrame>>()) as u64 + 32;
/// What an object costs, the index of its frames apart.
const OBJECT_COST: u64 = 256;

type Chunk = [Option<PageFrame>; CHUNK];

/// Memory that does not belong to one address space.
#[derive(Debug)]
pub struct MemoryObject {
    pages: u64,
    frames: RefCell<Frames>,
    /// Mappings of it that are not gone.
    mapped: Cell<u64>,
    /// There was one at some time.
    was_mapped: Cell<bool>,
    charge: Option<Rc<Charge>>,
    quota: Rc<Quota>,
    dead: Rc<DeadFrames>,
}

/// Frames by page.
#[derive(Debug, Default)]
struct Frames {
    chunks: Vec<Option<Box<Chunk>>>,
    list: FrameList,
}

/// Frames of all objects that one process made, where it has a limit. Objects
/// may outlive it.
#[derive(Debug)]
pub struct Charge {
    frames: Cell<u64>,
    most: u64,
}

impl Charge {
    /// No frames yet, at most `most`.
    pub(super) fn new(most: u64) -> Self {
        Self {
            frames: Cell::new(0),
            most,
        }
    }

    /// Frames of those objects.
    pub fn frames(&self) -> u64 {
        self.frames.get()
    }

    /// Frames that they may have besides.
    pub fn left(&self) -> u64 {
        self.most.saturating_sub(self.frames.get())
    }
}

impl MemoryObject {
    /// An object of so many pages, which are zero. `quota` is what its notes
    /// may take from the kernel's heap, `charge` the limit of who makes it.
    ///
    /// # Errors
    /// [`KernelError::InvalidArgument`] for no page at all,
    /// [`KernelError::NoMemory`] when the machine has not so many frames left,
    /// or the kernel no room for notes.
    pub fn new<M: Machine>(
        machine: &mut M,
        quota: &Rc<Quota>,
        charge: Option<Rc<Charge>>,
        pages: u64,
    ) -> Result<Rc<Self>, KernelError> {
        if pages == 0 {
            return Err(KernelError::InvalidArgument);
        }
        machine.reap();
        if machine.heap_low() || pages > machine.frames_free() {
            return Err(KernelError::NoMemory);
        }
        quota.take(OBJECT_COST)?;
        Ok(Rc::new(Self {
            pages,
            frames: RefCell::default(),
            mapped: Cell::new(0),
            was_mapped: Cell::new(false),
            charge,
            quota: Rc::clone(quota),
            dead: Rc::clone(machine.dead_frames()),
        }))
    }

    /// Its size.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Mappings of it, each counted once however often it was split.
    pub fn mapped(&self) -> u64 {
        self.mapped.get()
    }

    /// There is a mapping of it, or was one.
    pub fn was_mapped(&self) -> bool {
        self.was_mapped.get()
    }

    /// Frames it has.
    pub fn frame_count(&self) -> u64 {
        u64::from(self.frames.borrow().list.count)
    }

    /// The frame of a page, if the page was touched already.
    pub fn frame(&self, page: u64) -> Option<PageFrame> {
        let frames = self.frames.borrow();
        let (chunk, place) = place(page)?;
        frames.chunks.get(chunk)?.as_ref()?[place]
    }

    /// The frame of a page, which comes in zeroed if it was not touched yet.
    ///
    /// # Errors
    /// [`KernelError::BadAddress`] beyond the end, [`KernelError::NoMemory`].
    pub fn bring_in<M: Machine>(
        &self,
        machine: &mut M,
        page: u64,
    ) -> Result<PageFrame, KernelError> {
        if let Some(frame) = self.frame(page) {
            return Ok(frame);
        }
        let (chunk, place) = place(page).ok_or(KernelError::BadAddress)?;
        if page >= self.pages {
            return Err(KernelError::BadAddress);
        }
        if let Some(charge) = &self.charge
            && charge.frames.get() >= charge.most
        {
            return Err(KernelError::NoMemory);
        }
        let frames = &mut *self.frames.borrow_mut();
        if frames.chunks.len() <= chunk {
            let more = chunk + 1 - frames.chunks.len();
            frames.chunks.try_reserve(more)?;
            self.quota.take(more as u64 * 8)?;
            frames.chunks.resize_with(chunk + 1, || None);
        }
        let chunk = &mut frames.chunks[chunk];
        if chunk.is_none() {
            if machine.heap_low() {
                return Err(KernelError::NoMemory);
            }
            self.quota.take(CHUNK_COST)?;
            *chunk = Some(Box::new([None; CHUNK]));
        }
        let frame = machine.object_page(&mut frames.list, Contents::Zero)?;
        if let Some(chunk) = chunk {
            chunk[place] = Some(frame);
        }
        if let Some(charge) = &self.charge {
            charge.frames.update(|count| count + 1);
        }
        Ok(frame)
    }

    /// Brings in all its pages.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`]; what came in stays.
    pub fn populate<M: Machine>(&self, machine: &mut M) -> Result<(), KernelError> {
        for page in 0..self.pages {
            self.bring_in(machine, page)?;
        }
        Ok(())
    }

    /// One mapping more.
    pub(super) fn map(&self) {
        self.mapped.update(|count| count + 1);
    }

    /// A space has the mapping: one that there was no room for leaves no trace.
    pub(super) fn note_mapped(&self) {
        self.was_mapped.set(true);
    }

    /// One mapping less.
    pub(super) fn unmap(&self) {
        self.mapped.update(|count| count - 1);
    }

    /// Its frames count for that process.
    pub(super) fn is_charged_to(&self, charge: &Option<Rc<Charge>>) -> bool {
        match (&self.charge, charge) {
            (Some(own), Some(other)) => Rc::ptr_eq(own, other),
            _ => false,
        }
    }
}

impl PartialEq for MemoryObject {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

impl Eq for MemoryObject {}

/// Number of a page's chunk, and its place there.
fn place(page: u64) -> Option<(usize, usize)> {
    let page = usize::try_from(page).ok()?;
    Some((page / CHUNK, page % CHUNK))
}

impl Drop for MemoryObject {
    fn drop(&mut self) {
        let Frames { chunks, list } = core::mem::take(self.frames.get_mut());
        let used = chunks.iter().flatten().count() as u64;
        self.quota
            .give(OBJECT_COST + chunks.len() as u64 * 8 + used * CHUNK_COST);
        if let Some(charge) = &self.charge {
            let count = u64::from(list.count);
            charge.frames.update(|frames| frames - count);
        }
        self.dead.add(list);
    }
}

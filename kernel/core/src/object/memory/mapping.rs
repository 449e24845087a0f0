//! Mappings of objects: what the regions of an address space refer to.
//!
//! A [`Mapping`] is one act of mapping. Regions name it by its slot, and parts
//! of a region that was split name the same one; it goes with the last of them.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::{MemoryObject, NoRegions};
use crate::port::{Access, Machine, PAGE_SIZE};

/// One act of mapping an object.
#[derive(Debug)]
pub struct Mapping {
    /// What is mapped.
    pub object: Rc<MemoryObject>,
    /// Address of the object's first page, as if all of it were mapped; it may wrap.
    base: u64,
    /// How.
    pub manner: Manner,
    /// A region names it, as far as [`Mappings::retain_named`] has looked.
    named: bool,
}

/// How an object is mapped.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Stores go to copies of the process's own.
    pub private: bool,
    /// The most that programs may ever do with its pages.
    pub most: Access,
    /// Number of the right that the mapping is made with, for
    /// [`Space::unmap_where`](super::Space::unmap_where).
    pub origin: u64,
}

impl Manner {
    /// For all to see, with no right in particular.
    pub const SHARED: Self = Self {
        private: false,
        most: Access::ALL,
        origin: 0,
    };
}

impl Mapping {
    /// A mapping whose address `start` is the object's page `first`.
    pub fn new(object: Rc<MemoryObject>, start: u64, first: u64, manner: Manner) -> Self {
        object.map();
        Self {
            object,
            base: start.wrapping_sub(first.wrapping_mul(PAGE_SIZE)),
            manner,
            named: false,
        }
    }

    /// Which page of the object lies at an address.
    pub(super) fn page_at(&self, address: u64) -> u64 {
        address.wrapping_sub(self.base) / PAGE_SIZE
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.object.unmap();
    }
}

/// Names a mapping of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingSlot(u32);

/// The mappings of a space.
#[derive(Debug, Default)]
pub(super) struct Mappings(Vec<Option<Mapping>>);

impl Mappings {
    /// The mapping of a region.
    pub(super) fn get(&self, slot: MappingSlot) -> &Mapping {
        let mapping = self.0[slot.0 as usize].as_ref();
        mapping.expect("a mapping stays while a region names it")
    }

    /// There never was one.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes sure that one can be added.
    pub(super) fn make_room(&mut self, machine: &impl Machine) -> Result<(), NoRegions> {
        if self.0.len() == self.0.capacity() && machine.heap_full() {
            return Err(NoRegions);
        }
        self.0.try_reserve(1).map_err(|_| NoRegions)
    }

    pub(super) fn add(&mut self, mapping: Mapping) -> MappingSlot {
        mapping.object.note_mapped();
        let free = self.0.iter().position(Option::is_none);
        let at = free.unwrap_or(self.0.len());
        match free {
            Some(at) => self.0[at] = Some(mapping),
            None => self.0.push(Some(mapping)),
        }
        MappingSlot(u32::try_from(at).expect("there are fewer mappings than regions"))
    }

    /// Forgets one that no region names any more.
    pub(super) fn remove(&mut self, slot: MappingSlot) {
        self.0[slot.0 as usize] = None;
    }

    /// Forgets those that no region names any more: `named` is every region's, and
    /// each list is gone through once.
    pub(super) fn retain_named(&mut self, named: impl Iterator<Item = MappingSlot>) {
        for slot in named {
            if let Some(Some(mapping)) = self.0.get_mut(slot.0 as usize) {
                mapping.named = true;
            }
        }
        for mapping in &mut self.0 {
            mapping.take_if(|mapping| !core::mem::take(&mut mapping.named));
        }
    }
}

//! Whole objects in an address space: mapped where there is room, and unmapped.
//!
//! Neighbours: `ranges.rs` maps parts of them at addresses of a caller's choice.

use alloc::rc::Rc;

use super::pages::drop_pages;
use super::{Backing, Manner, Mapping, MemoryObject, Region, Space};
use crate::error::KernelError;
use crate::port::{Access, Machine, PAGE_SIZE};

impl<M: Machine> Space<M> {
    /// Maps an object once more, in the lowest free range at or above `from`;
    /// says where.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there is none, or too many regions.
    pub fn place_object(
        &mut self,
        machine: &M,
        from: u64,
        access: Access,
        object: Rc<MemoryObject>,
    ) -> Result<u64, KernelError> {
        self.make_room(machine, 1)?;
        self.mappings.make_room(machine)?;
        let length = object.pages() * PAGE_SIZE;
        let (start, at) = self.free_place(from, length).ok_or(KernelError::NoMemory)?;
        let mapping = Mapping::new(object, start, 0, Manner::SHARED);
        let slot = self.mappings.add(mapping);
        // Another mapping is another promise: there is nothing to join.
        let region = Region {
            start,
            end: start + length,
            access,
            backing: Backing::Object(slot),
        };
        self.regions.insert(at, region);
        Ok(start)
    }

    /// Ends the lowest mapping of an object; false if there is none.
    pub fn unmap_object(&mut self, machine: &mut M, object: &MemoryObject) -> bool {
        let slot_at = |at: usize| match self.regions[at].backing {
            Backing::Object(slot) => Some(slot),
            _ => None,
        };
        let mut all = (0..self.regions.len()).rev();
        let lowest = all.find_map(|at| {
            let slot = slot_at(at)?;
            (*self.mappings.get(slot).object == *object).then_some((at, slot))
        });
        let Some((lowest, slot)) = lowest else {
            return false;
        };
        for at in (0..=lowest).rev() {
            let region = &self.regions[at];
            if matches!(region.backing, Backing::Object(other) if other == slot) {
                let Region { start, end, .. } = *region;
                drop_pages(
                    machine,
                    &mut self.tables,
                    &self.mappings,
                    region,
                    start..end,
                );
                self.regions.remove(at);
                // What was split off lies above.
                if end - start == object.pages() * PAGE_SIZE {
                    break;
                }
            }
        }
        self.mappings.remove(slot);
        machine.reap();
        true
    }

    /// Objects are mapped here, or were at some time.
    pub fn maps_objects(&self) -> bool {
        !self.mappings.is_empty()
    }
}

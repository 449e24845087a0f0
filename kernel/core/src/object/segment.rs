//! Memory under keys of 16 bits, which whoever knows the key may map.
//!
//! A segment goes when it was mapped and the last of its mappings is gone,
//! whoever made them. What nobody has mapped yet stays. Each has an id besides,
//! which no living one shares. Neighbours: [`crate::object::memory`] has the
//! objects, `personality/xeneva/memory.rs` the calls that name keys and ids.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::error::KernelError;
use crate::kernel::Kernel;
use crate::object::inode::{Body, Device, Entry, Inode, Name, System, Target};
use crate::object::memory::{MemoryObject, Space};
use crate::object::processes::number;
use crate::port::{Machine, Port};

/// Most segments at a time.
const SEGMENTS_MAX: usize = 1024;

/// All segments.
#[derive(Debug, Default)]
pub struct Segments {
    by_key: BTreeMap<u16, Segment>,
    by_id: BTreeMap<u16, Rc<MemoryObject>>,
    last_id: u16,
}

/// Memory under a key.
#[derive(Debug)]
struct Segment {
    id: u16,
    object: Rc<MemoryObject>,
}

/// It was mapped, and is not any more.
fn is_over(object: &MemoryObject) -> bool {
    object.mapped() == 0 && object.was_mapped()
}

impl Segments {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The id under a key, if there is memory.
    pub fn id(&self, key: u16) -> Option<u16> {
        let segment = self.by_key.get(&key)?;
        (!is_over(&segment.object)).then_some(segment.id)
    }

    /// The memory under a key.
    pub fn find(&self, key: u16) -> Option<&Rc<MemoryObject>> {
        let segment = self.by_key.get(&key)?;
        (!is_over(&segment.object)).then_some(&segment.object)
    }

    /// The memory with an id.
    pub fn find_id(&self, id: u16) -> Option<&Rc<MemoryObject>> {
        self.by_id.get(&id).filter(|object| !is_over(object))
    }

    /// Keys that have memory, in ascending order.
    pub fn keys(&self) -> impl Iterator<Item = u16> {
        let living = self
            .by_key
            .iter()
            .filter(|(_, segment)| !is_over(&segment.object));
        living.map(|(key, _)| *key)
    }

    /// Pages of all segments that nobody has touched yet.
    pub fn promised(&self) -> u64 {
        let living = self.by_key.values().map(|segment| &segment.object);
        let promised = living.map(|object| object.pages() - object.frame_count());
        promised.fold(0, u64::saturating_add)
    }

    /// Puts memory under a key that has none; says its id.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] when there are too many.
    pub fn add(&mut self, key: u16, object: Rc<MemoryObject>) -> Result<u16, KernelError> {
        self.forget(key);
        if self.by_key.len() >= SEGMENTS_MAX {
            self.sweep();
        }
        if self.by_key.len() >= SEGMENTS_MAX {
            return Err(KernelError::NoRoom);
        }
        // There are more ids than segments, so this ends.
        let id = loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.by_id.contains_key(&self.last_id) {
                break self.last_id;
            }
        };
        self.by_id.insert(id, Rc::clone(&object));
        self.by_key.insert(key, Segment { id, object });
        Ok(id)
    }

    /// Forgets the memory under a key if it is over.
    pub fn forget(&mut self, key: u16) {
        if let Some(segment) = self.by_key.get(&key)
            && is_over(&segment.object)
        {
            self.by_id.remove(&segment.id);
            self.by_key.remove(&key);
        }
    }

    /// The same after something was unmapped from a space.
    #[inline(always)]
    pub fn sweep_after<M: Machine>(&mut self, space: &Space<M>) {
        if !self.is_empty() && space.maps_objects() {
            self.sweep();
        }
    }

    /// Forgets all that are over.
    pub fn sweep(&mut self) {
        let by_id = &mut self.by_id;
        self.by_key.retain(|_, segment| {
            let stays = !is_over(&segment.object);
            if !stays {
                by_id.remove(&segment.id);
            }
            stays
        });
    }
}

impl<P: Port> Kernel<P> {
    /// The entry of a directory of segments that has a key for its name. It is
    /// made for whoever looks, and not kept.
    ///
    /// # Errors
    /// [`KernelError::NotFound`], [`KernelError::NoMemory`].
    pub(super) fn segment_entry(&self, system: System, name: &Name) -> Result<Target, KernelError> {
        let key = number(name.bytes()).and_then(|key| u16::try_from(key).ok());
        let key = key.filter(|key| self.segments.find(*key).is_some());
        let device = Device::Segment(key.ok_or(KernelError::NotFound)?);
        let (files, now) = (self.files(), self.machine.now());
        let inode = files.inode(system, now, Body::Device(device))?;
        let id = files.id();
        Ok(Target { id, inode })
    }

    /// What a directory of segments has now: its device, then the keys.
    pub(super) fn segment_list(
        &self,
        inode: &Rc<Inode>,
        device: &str,
    ) -> Result<Vec<Entry>, KernelError> {
        let keys = self.segments.keys().map(|key| format!("{key}"));
        let names: Vec<_> = [device.into()].into_iter().chain(keys).collect();
        let names = names.iter().filter_map(|name| Name::new(name.as_bytes()));
        let entries = names.map(|name| {
            let Target { id, inode } = self.entry(inode, &name)?;
            Ok(Entry { id, name, inode })
        });
        entries.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeMachine;
    use crate::object::store::Quota;

    #[test]
    fn ids_come_again_only_when_they_are_free() {
        let (mut machine, _) = FakeMachine::new(200);
        let quota = Quota::new(1 << 20);
        let mut segments = Segments::default();
        let mut object = || MemoryObject::new(&mut machine, &quota, None, 1).unwrap();
        let first = segments.add(7, object()).unwrap();
        assert_eq!(first, 1);
        segments.last_id = u16::MAX - 1;
        assert_eq!(segments.add(8, object()), Ok(u16::MAX));
        // Neither 0 nor the one that lives.
        assert_eq!(segments.add(9, object()), Ok(2));
        assert_eq!(segments.keys().collect::<alloc::vec::Vec<_>>(), [7, 8, 9]);
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let (mut machine, _) = FakeMachine::new(200);
        let quota = Quota::new(1 << 20);
        let mut segments = Segments::default();
        let object = MemoryObject::new(&mut machine, &quota, None, 1).unwrap();
        for key in (0..).take(SEGMENTS_MAX) {
            assert!(segments.add(key, Rc::clone(&object)).is_ok());
        }
        let more = segments.add(u16::MAX, object);
        assert_eq!(more, Err(KernelError::NoRoom));
        assert_eq!(segments.len(), SEGMENTS_MAX);
    }
}

//! Frames that belong to objects, not to page tables.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// Frames that the machine has handed out together. Only the machine looks
/// inside; a list is given back as a whole, so it cannot be copied.
#[derive(Debug, Default)]
pub struct FrameList {
    /// First frame; 0 is none.
    pub head: u32,
    /// Last frame.
    pub tail: u32,
    /// How many they are.
    pub count: u32,
}

/// Frames of objects that are gone. Nobody holds the machine when the last
/// reference to an object goes, so its frames are left here. They count as
/// free, and the machine takes them back at the latest when it has no others.
#[derive(Debug, Default)]
pub struct DeadFrames {
    lists: RefCell<Vec<FrameList>>,
    count: Cell<u64>,
}

impl DeadFrames {
    /// Leaves frames here.
    pub fn add(&self, list: FrameList) {
        if list.count > 0 {
            self.count.update(|count| count + u64::from(list.count));
            self.lists.borrow_mut().push(list);
        }
    }

    /// Frames that were left here.
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// Takes one list away.
    pub fn take(&self) -> Option<FrameList> {
        let list = self.lists.borrow_mut().pop()?;
        self.count.update(|count| count - u64::from(list.count));
        Some(list)
    }
}

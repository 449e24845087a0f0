//! Names of the file tree that go with what they are names of.

use alloc::rc::Rc;

use crate::object::inode::{ENTRY_COST, Inode};

/// A name in a directory, which is taken out when this is dropped; a
/// directory's with all names in it. Must not be dropped while somebody looks
/// at the entries of the directory.
#[derive(Debug)]
pub struct OwnedName {
    directory: Rc<Inode>,
    entry: u64,
}

impl OwnedName {
    /// The name of that entry of a directory.
    pub fn new(directory: &Rc<Inode>, entry: u64) -> Self {
        Self {
            directory: Rc::clone(directory),
            entry,
        }
    }
}

impl Drop for OwnedName {
    fn drop(&mut self) {
        let Some(directory) = self.directory.directory() else {
            return;
        };
        let mut entries = directory.entries.borrow_mut();
        let Some(at) = entries.iter().position(|entry| entry.id == self.entry) else {
            return;
        };
        let inode = entries.remove(at).inode;
        drop(entries);
        let quota = &self.directory.quota;
        quota.give(ENTRY_COST);
        inode.links.update(|links| links.saturating_sub(1));
        if let Some(gone) = inode.directory() {
            gone.removed.set(true);
            for entry in gone.entries.take() {
                entry.inode.links.update(|links| links.saturating_sub(1));
                quota.give(ENTRY_COST);
            }
        }
    }
}

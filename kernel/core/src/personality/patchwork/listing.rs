//! What GETDENTS lists, one `dirent_t` after the other.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::directory::{DIRENT, DIRENT_PATH, dirent};
use crate::error::KernelError;
use crate::kernel::Kernel;
use crate::object::file::{Mode, OpenFile};
use crate::object::inode::{Entry, Inode};
use crate::object::process::Process;
use crate::object::walk::Seen;
use crate::port::Port;

/// A directory that is being listed.
struct Open {
    inode: Rc<Inode>,
    /// Its entries, when they are other ones at every look.
    entries: Option<Vec<Entry>>,
    /// Index of the next entry.
    index: usize,
    /// How long its path is.
    path: usize,
}

impl Open {
    fn new<P: Port>(
        kernel: &Kernel<P>,
        by: &Process<P>,
        inode: &Rc<Inode>,
        path: usize,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            inode: Rc::clone(inode),
            entries: kernel.sprout_for(by, inode)?,
            index: 0,
            path,
        })
    }

    fn next(&mut self) -> Option<Entry> {
        let index = self.index;
        self.index += 1;
        match &self.entries {
            Some(entries) => entries.get(index).cloned(),
            None => {
                let entries = self.inode.directory()?.entries.borrow();
                entries.get(index).cloned()
            }
        }
    }
}

/// What a directory lists, one after the other: itself, the one above, and its
/// entries, with everything below them if that was asked for.
pub(super) struct Listing {
    /// Directories on the way.
    open: Vec<Open>,
    recursive: bool,
    path: [u8; DIRENT_PATH],
    /// `.` and `..` that are still to come.
    dots: Vec<(&'static [u8], Rc<Inode>)>,
}

impl Listing {
    /// Begins with an open directory.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub(super) fn new<P: Port>(
        kernel: &Kernel<P>,
        seen: &Seen<'_, P>,
        file: &OpenFile,
        inode: &Rc<Inode>,
    ) -> Result<Self, KernelError> {
        let above = match &file.place {
            Some(place) => seen.above(place.clone()),
            None => Err(KernelError::NotFound),
        };
        let above = above.map_or_else(|_| Rc::clone(inode), |place| place.inode);
        Ok(Self {
            open: Vec::from([Open::new(kernel, seen.by, inode, 0)?]),
            recursive: file.mode.contains(Mode::RECURSIVE),
            path: [0; DIRENT_PATH],
            dots: Vec::from([(&b".."[..], above), (&b"."[..], Rc::clone(inode))]),
        })
    }

    /// The next `dirent_t`.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub(super) fn next<P: Port>(
        &mut self,
        kernel: &Kernel<P>,
        by: &Process<P>,
    ) -> Result<Option<[u8; DIRENT]>, KernelError> {
        if let Some((name, inode)) = self.dots.pop() {
            return Ok(Some(dirent(&inode, name)));
        }
        while let Some(open) = self.open.last_mut() {
            let Some(entry) = open.next() else {
                self.open.pop();
                continue;
            };
            let length = open.path;
            let name = entry.name.bytes();
            let end = length + name.len();
            if end >= DIRENT_PATH {
                // Too deep for a path that a program could use.
                continue;
            }
            self.path[length..end].copy_from_slice(name);
            let dirent = dirent(&entry.inode, &self.path[..end]);
            if self.recursive && entry.inode.directory().is_some() && end + 1 < DIRENT_PATH {
                self.path[end] = b'/';
                let below = Open::new(kernel, by, &entry.inode, end + 1)?;
                self.open.push(below);
            }
            return Ok(Some(dirent));
        }
        Ok(None)
    }
}

//! Namespaces: which trees a process sees where.
//!
//! A [`Mount`] shows an inode, with everything below it, over an entry of
//! another mount, and caps what may be done there. A process has a
//! [`Namespace`] of mounts of its own, made when it first names a file; a
//! child's begins as a copy of its parent's.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::error::KernelError;
use crate::object::file::Mode;
use crate::object::inode::Inode;
use crate::object::socket::Socket;

/// Most mounts of a namespace, its root apart.
const BINDS_MAX: usize = 64;
/// Most living children that a namespace propagates to.
const CHILDREN_MAX: usize = 1024;
/// Most sockets that a namespace keeps.
const SOCKETS_MAX: usize = 1024;

/// A tree that is shown somewhere.
#[derive(Debug)]
pub struct Mount {
    /// Number that no other mount has.
    pub id: u64,
    /// What it shows.
    pub root: Rc<Inode>,
    /// The entry that led to it where it came from.
    pub root_entry: u64,
    /// What may be done below it.
    pub mode: Mode,
    /// What it covers; the root of all covers nothing.
    pub covered: Option<Place>,
    /// The directory that has what it covers, where that is none itself.
    pub beside: Option<Rc<Inode>>,
}

/// A place in the file tree: an inode as reached through an entry of a mount.
#[derive(Clone, Debug)]
pub struct Place {
    /// The mount.
    pub mount: Rc<Mount>,
    /// The entry.
    pub entry: u64,
    /// What it leads to.
    pub inode: Rc<Inode>,
}

impl Mount {
    /// The place at its top.
    pub fn top(self: &Rc<Self>) -> Place {
        Place {
            mount: Rc::clone(self),
            entry: self.root_entry,
            inode: Rc::clone(&self.root),
        }
    }

    fn covers(&self, place: &Place) -> bool {
        let covered = self.covered.as_ref();
        covered.is_some_and(|covered| {
            covered.entry == place.entry && covered.mount.id == place.mount.id
        })
    }
}

impl Drop for Mount {
    /// Mounts that cover each other go one after the other: each inside the one
    /// above it, a long chain would need more stack than the kernel has.
    fn drop(&mut self) {
        let mut covered = self.covered.take();
        while let Some(place) = covered {
            let last = Rc::into_inner(place.mount);
            covered = last.and_then(|mut mount| mount.covered.take());
        }
    }
}

/// The mounts that a process sees.
#[derive(Debug, Default)]
pub struct Namespace {
    root: Option<Rc<Mount>>,
    binds: RefCell<Vec<Rc<Mount>>>,
    parent: Weak<Namespace>,
    children: RefCell<Vec<Weak<Namespace>>>,
    /// Sockets that were made here or in a parent: they stay as long as this.
    sockets: RefCell<Vec<Rc<Socket>>>,
}

/// Whom a bind is passed on to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Propagation {
    /// To parents, and theirs.
    pub parents: bool,
    /// To children, and theirs.
    pub children: bool,
}

impl Namespace {
    /// A namespace with that root, or without any.
    pub fn new(root: Option<Rc<Mount>>) -> Rc<Self> {
        Rc::new(Self {
            root,
            ..Self::default()
        })
    }

    /// A copy, linked to this one for binds that are passed on.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when it has too many children.
    pub fn child(self: &Rc<Self>) -> Result<Rc<Self>, KernelError> {
        let mut children = self.children.borrow_mut();
        if children.len() == children.capacity() {
            children.retain(|child| child.strong_count() > 0);
        }
        if children.len() >= CHILDREN_MAX {
            return Err(KernelError::NoMemory);
        }
        let child = Rc::new(Self {
            root: self.root.clone(),
            binds: self.binds.clone(),
            parent: Rc::downgrade(self),
            children: RefCell::default(),
            sockets: self.sockets.clone(),
        });
        children.push(Rc::downgrade(&child));
        Ok(child)
    }

    /// Where absolute paths begin.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when it has no root.
    pub fn root(&self) -> Result<Place, KernelError> {
        Ok(self.follow(self.origin()?))
    }

    /// The root itself, whatever is mounted over it: the first working directory.
    ///
    /// # Errors
    /// As [`Namespace::root`].
    pub fn origin(&self) -> Result<Place, KernelError> {
        let root = self.root.as_ref().ok_or(KernelError::NotFound)?;
        Ok(root.top())
    }

    /// What is seen at a place: the newest mount that covers it, if any does.
    pub fn follow(&self, mut place: Place) -> Place {
        let binds = self.binds.borrow();
        // A mount covers an older one only, so this ends.
        while let Some(mount) = binds.iter().rev().find(|mount| mount.covers(&place)) {
            place = mount.top();
        }
        place
    }

    /// The place above: through mounts, and the root's is the root.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when the place is no directory, or was removed.
    pub fn above(&self, place: Place) -> Result<Place, KernelError> {
        let mut at = &place;
        let mut beside = None;
        while at.entry == at.mount.root_entry {
            match &at.mount.covered {
                Some(covered) => {
                    beside = at.mount.beside.clone();
                    at = covered;
                }
                None => return Ok(place),
            }
        }
        let parent = match at.inode.directory() {
            Some(directory) => directory.parent.upgrade(),
            None => beside,
        };
        let parent = parent.ok_or(KernelError::NotFound)?;
        let entry = parent.directory().map_or(0, |parent| parent.entry);
        Ok(self.follow(Place {
            mount: Rc::clone(&at.mount),
            entry,
            inode: parent,
        }))
    }

    /// Adds a mount, here and where it is passed on to.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there are too many here.
    pub fn bind(&self, mount: &Rc<Mount>, propagation: Propagation) -> Result<(), KernelError> {
        self.add(mount)?;
        if propagation.parents {
            let mut above = self.parent.upgrade();
            while let Some(namespace) = above {
                namespace.pass_on(mount);
                above = namespace.parent.upgrade();
            }
        }
        if propagation.children {
            let mut below = self.living_children();
            while let Some(namespace) = below.pop() {
                namespace.pass_on(mount);
                below.extend(namespace.living_children());
            }
        }
        Ok(())
    }

    fn add(&self, mount: &Rc<Mount>) -> Result<(), KernelError> {
        let mut binds = self.binds.borrow_mut();
        if binds.len() >= BINDS_MAX {
            return Err(KernelError::NoMemory);
        }
        binds.push(Rc::clone(mount));
        Ok(())
    }

    /// Adds another namespace's mount, unless something is there already.
    fn pass_on(&self, mount: &Rc<Mount>) {
        let taken = mount.covered.as_ref().is_none_or(|place| {
            let binds = self.binds.borrow();
            binds.iter().any(|bind| bind.covers(place))
        });
        if !taken {
            // Full is a conflict like any other: silently skipped.
            let _full = self.add(mount);
        }
    }

    fn living_children(&self) -> Vec<Rc<Namespace>> {
        let children = self.children.borrow();
        children.iter().filter_map(Weak::upgrade).collect()
    }

    /// Keeps a socket for as long as this or one of the living children is there.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when there are too many here.
    pub fn keep(&self, socket: &Rc<Socket>) -> Result<(), KernelError> {
        if self.sockets.borrow().len() >= SOCKETS_MAX {
            return Err(KernelError::NoMemory);
        }
        self.sockets.borrow_mut().push(Rc::clone(socket));
        let mut below = self.living_children();
        while let Some(namespace) = below.pop() {
            let mut sockets = namespace.sockets.borrow_mut();
            if sockets.len() < SOCKETS_MAX {
                sockets.push(Rc::clone(socket));
            }
            below.extend(namespace.living_children());
        }
        Ok(())
    }

    /// A socket is kept here.
    pub fn keeps(&self, socket: &Rc<Socket>) -> bool {
        let sockets = self.sockets.borrow();
        sockets.iter().any(|kept| Rc::ptr_eq(kept, socket))
    }

    /// Something is mounted over the place.
    pub fn is_covered(&self, place: &Place) -> bool {
        self.binds.borrow().iter().any(|bind| bind.covers(place))
    }
}

impl View {
    /// The namespace, which is the process's own from now on.
    pub fn own(&mut self, root: &Rc<Mount>) -> &Rc<Namespace> {
        self.namespace
            .get_or_insert_with(|| Namespace::new(Some(Rc::clone(root))))
    }

    /// The view of a child: the same directory, and a namespace of its own that
    /// is linked to this one, so that binds are passed on from now on.
    ///
    /// # Errors
    /// As [`Namespace::child`].
    pub fn child(&mut self, root: &Rc<Mount>) -> Result<Self, KernelError> {
        Ok(Self {
            namespace: Some(self.own(root).child()?),
            directory: self.directory.clone(),
        })
    }

    /// The view of a child that sees no tree at all but the directory it begins in.
    pub fn rootless(&self, root: &Rc<Mount>) -> Self {
        let top = match &self.namespace {
            Some(namespace) => namespace.origin().unwrap_or_else(|_| root.top()),
            None => root.top(),
        };
        Self {
            namespace: Some(Namespace::new(None)),
            directory: Some(self.directory.clone().unwrap_or(top)),
        }
    }
}

/// How a process sees files. Nothing is made until it names one.
#[derive(Debug, Default)]
pub struct View {
    /// Its mounts; `None` is the whole tree as the kernel made it.
    pub namespace: Option<Rc<Namespace>>,
    /// Its working directory; `None` is the namespace's [`origin`](Namespace::origin).
    pub directory: Option<Place>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::bench::Bench;

    #[test]
    fn a_long_chain_of_mounts_goes_without_much_stack() {
        let bench = Bench::new();
        let bottom = Rc::clone(&bench.kernel.files().root);
        let mut mount = Rc::clone(&bottom);
        // More than any stack has room for, were each dropped inside the next.
        for id in 1..200_000 {
            mount = Rc::new(Mount {
                id,
                root: Rc::clone(&bottom.root),
                root_entry: 0,
                mode: bottom.mode,
                covered: Some(mount.top()),
                beside: None,
            });
        }
        let before = Rc::strong_count(&bottom);
        drop(mount);
        assert_eq!(Rc::strong_count(&bottom), before - 1);
    }
}

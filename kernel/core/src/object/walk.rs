//! Walking the file tree by names.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::error::KernelError;
use crate::kernel::Kernel;
use crate::object::inode::{Directory, Inode, Name, Seeds, System};
use crate::object::namespace::{Namespace, Place, View};
use crate::port::{Machine, Port};

/// A step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Stay.
    Here,
    /// To the directory above.
    Above,
    /// To an entry.
    Down(&'a [u8]),
}

impl<P: Port> Kernel<P> {
    /// The namespace that a process sees.
    pub fn namespace(&self, view: &View) -> Rc<Namespace> {
        match &view.namespace {
            Some(namespace) => Rc::clone(namespace),
            None => Rc::clone(&self.files().namespace),
        }
    }

    /// Where a path begins in the namespace of a view.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when the process has no root.
    pub fn start(
        &self,
        namespace: &Namespace,
        view: &View,
        absolute: bool,
    ) -> Result<Place, KernelError> {
        match &view.directory {
            Some(directory) if !absolute => Ok(directory.clone()),
            _ => namespace.root(),
        }
    }

    /// Goes along steps.
    ///
    /// # Errors
    /// [`KernelError::NotFound`], [`KernelError::TooLong`] for a long name,
    /// [`KernelError::NoMemory`].
    pub fn walk<'a>(
        &self,
        namespace: &Namespace,
        mut at: Place,
        steps: impl Iterator<Item = Step<'a>>,
    ) -> Result<Place, KernelError> {
        for step in steps {
            at = match step {
                Step::Down(name) => self.down(namespace, at, name)?,
                // Nothing leads through what is no directory.
                _ if at.inode.directory().is_none() => return Err(KernelError::NotFound),
                Step::Here => at,
                Step::Above => namespace.above(at)?,
            };
        }
        Ok(at)
    }

    /// What an entry leads to.
    ///
    /// # Errors
    /// As [`Kernel::walk`].
    pub fn down(
        &self,
        namespace: &Namespace,
        at: Place,
        name: &[u8],
    ) -> Result<Place, KernelError> {
        let name = Name::new(name).ok_or(KernelError::TooLong)?;
        let entry = self.entry(&at.inode, &name)?;
        Ok(namespace.follow(Place {
            mount: at.mount,
            entry: entry.id,
            inode: entry.inode,
        }))
    }

    /// The directory at `inode`, if programs can change it.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] for what is none or is gone,
    /// [`KernelError::NotSupported`] when they cannot.
    pub fn changeable<'a>(&self, inode: &'a Inode) -> Result<&'a Directory, KernelError> {
        let directory = inode.directory().filter(|it| !it.removed.get());
        let directory = directory.ok_or(KernelError::NotFound)?;
        if directory.fixed {
            return Err(KernelError::NotSupported);
        }
        Ok(directory)
    }

    /// Makes an empty regular file or directory.
    ///
    /// # Errors
    /// As [`Kernel::changeable`], and [`KernelError::NoMemory`].
    pub fn make(&self, at: &Place, name: &[u8], directory: bool) -> Result<Place, KernelError> {
        let parent = self.changeable(&at.inode)?;
        if self.machine.heap_low() {
            return Err(KernelError::NoMemory);
        }
        let name = Name::new(name).ok_or(KernelError::TooLong)?;
        let (files, now) = (self.files(), self.machine.now());
        let inode = match directory {
            true => files.directory(&at.inode, name, System::Memory, Seeds::None, now)?,
            false => files.inode(System::Memory, now, files.regular(None))?,
        };
        let entry = files.enter(parent, name, inode)?;
        at.inode.times.modify(now);
        Ok(self.place_of(at, entry))
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// As [`Kernel::make`].
    pub fn link(&self, at: &Place, name: &[u8], inode: Rc<Inode>) -> Result<(), KernelError> {
        let parent = self.changeable(&at.inode)?;
        if self.machine.heap_low() {
            return Err(KernelError::NoMemory);
        }
        let name = Name::new(name).ok_or(KernelError::TooLong)?;
        let now = self.machine.now();
        inode.times.changed.set(now);
        self.files().enter(parent, name, inode)?;
        at.inode.times.modify(now);
        Ok(())
    }

    /// Takes a name away, and of a directory everything below it.
    ///
    /// # Errors
    /// As [`Kernel::changeable`], and [`KernelError::NotEmpty`] unless `recursive`.
    pub fn unlink(&self, at: &Place, name: &[u8], recursive: bool) -> Result<(), KernelError> {
        let parent = self.changeable(&at.inode)?;
        let name = Name::new(name).ok_or(KernelError::TooLong)?;
        let entry = self.entry(&at.inode, &name)?;
        if let Some(directory) = entry.inode.directory() {
            if directory.fixed {
                return Err(KernelError::NotSupported);
            }
            self.sprout_all(&entry.inode)?;
            if !recursive && !directory.entries.borrow().is_empty() {
                return Err(KernelError::NotEmpty);
            }
        }
        // What is in it from the beginning must not grow again.
        self.sprout_all(&at.inode)?;
        let files = self.files();
        files.leave(parent, entry.id);
        let now = self.machine.now();
        at.inode.times.modify(now);
        // Level by level: a tree may be deeper than the kernel's stack.
        let mut gone = Vec::from([entry.inode]);
        while let Some(inode) = gone.pop() {
            inode.times.changed.set(now);
            let Some(directory) = inode.directory() else {
                continue;
            };
            directory.removed.set(true);
            directory.seeds.set(Seeds::None);
            for entry in directory.entries.take() {
                let links = &entry.inode.links;
                links.set(links.get().saturating_sub(1));
                files.forget_entry();
                gone.push(entry.inode);
            }
        }
        Ok(())
    }
}

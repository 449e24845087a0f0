//! Walking the file tree by names.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::Deref;

use crate::error::KernelError;
use crate::kernel::Kernel;
use crate::object::inode::{Directory, Inode, Name, Seeds, System, Target};
use crate::object::namespace::{Namespace, Place, View};
use crate::object::process::Process;
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

/// What a process sees: its mounts, and itself among the processes.
pub struct Seen<'a, P: Port> {
    namespace: &'a Namespace,
    /// The process.
    pub by: &'a Process<P>,
}

impl<P: Port> Deref for Seen<'_, P> {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        self.namespace
    }
}

impl<P: Port> Kernel<P> {
    /// What a process sees.
    pub fn namespace<'a>(&'a self, process: &'a Process<P>) -> Seen<'a, P> {
        Seen {
            namespace: match &process.view.namespace {
                Some(namespace) => namespace,
                None => &self.files_shared().namespace,
            },
            by: process,
        }
    }

    /// The entry of that name in a directory, as a process sees it.
    ///
    /// # Errors
    /// As [`Kernel::entry`].
    #[inline(always)]
    pub fn entry_for(
        &self,
        process: &Process<P>,
        inode: &Rc<Inode>,
        name: &Name,
    ) -> Result<Target, KernelError> {
        let directory = inode.directory().ok_or(KernelError::NotFound)?;
        match directory.find(name) {
            Some(entry) => Ok(entry),
            None if inode.system == System::Processes => self.process_entry(process, inode, name),
            None => self.sprout(inode, directory, name),
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
            _ if absolute => namespace.root(),
            Some(directory) => Ok(directory.clone()),
            None => namespace.origin(),
        }
    }

    /// Goes along steps.
    ///
    /// # Errors
    /// [`KernelError::NotFound`], [`KernelError::TooLong`] for a long name,
    /// [`KernelError::NoMemory`].
    pub fn walk<'a>(
        &self,
        seen: &Seen<'_, P>,
        mut at: Place,
        steps: impl Iterator<Item = Step<'a>>,
    ) -> Result<Place, KernelError> {
        for step in steps {
            at = match step {
                Step::Down(name) => self.down(seen, at, name)?,
                // Nothing leads through what is no directory.
                _ if at.inode.directory().is_none() => return Err(KernelError::NotFound),
                Step::Here => at,
                Step::Above => seen.above(at)?,
            };
        }
        Ok(at)
    }

    /// What an entry leads to.
    ///
    /// # Errors
    /// As [`Kernel::walk`].
    #[inline(always)]
    pub fn down(&self, seen: &Seen<'_, P>, at: Place, name: &[u8]) -> Result<Place, KernelError> {
        let name = Name::new(name).ok_or(KernelError::TooLong)?;
        let entry = self.entry_for(seen.by, &at.inode, &name)?;
        Ok(seen.follow(Place {
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
        let system = at.inode.system;
        if directory && system == System::Environments {
            return Err(KernelError::NotSupported);
        }
        let inode = match directory {
            true => files.directory(&at.inode, name, system, Seeds::None, now)?,
            false => files.inode(system, now, files.regular(None))?,
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

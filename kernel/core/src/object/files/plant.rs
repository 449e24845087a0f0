//! Files of bundles whose names are absolute paths.

use alloc::rc::Rc;

use super::Files;
use crate::bundle::{BundleFile, NotABundle};
use crate::error::KernelError;
use crate::kernel::Kernel;
use crate::object::inode::{Directory, Inode, Name, SeedKind, Seeds, System};
use crate::port::{Machine, PageFrame, Port};

impl<P: Port> Kernel<P> {
    /// Adds a bundle, also when programs have seen the file tree already; what
    /// they have seen of it stays.
    ///
    /// # Errors
    /// [`NotABundle`].
    pub fn add_bundle(&mut self, bytes: &'static [u8], first: PageFrame) -> Result<(), NotABundle> {
        self.bundles.add(bytes, first)?;
        if let Some(files) = self.files.get() {
            self.plant_absolute(files, self.bundles.newest());
        }
        Ok(())
    }

    /// Gives files of bundles whose name is an absolute path that path.
    pub(super) fn plant_absolute(
        &self,
        files: &Files,
        bundled: impl Iterator<Item = (&'static [u8], BundleFile)>,
    ) {
        for (path, file) in bundled {
            if let Some(path) = path.strip_prefix(b"/") {
                // A name that cannot be a path is no file of the tree.
                let _planted = self.plant(files, path, file);
            }
        }
    }

    fn plant(&self, files: &Files, path: &[u8], file: BundleFile) -> Result<(), KernelError> {
        let mut at = Rc::clone(&files.root.root);
        let mut names = path.split(|byte| *byte == b'/');
        let last = names.next_back().unwrap_or_default();
        for name in names {
            let name = Name::new(name).ok_or(KernelError::TooLong)?;
            let directory = at.directory().ok_or(KernelError::NotFound)?;
            at = match directory.find(&name) {
                Some(entry) => entry.inode,
                None => self.planted_directory(files, &at, directory, &name)?,
            };
        }
        let name = Name::new(last).ok_or(KernelError::TooLong)?;
        let directory = at.directory().filter(|directory| !directory.fixed);
        let directory = directory.ok_or(KernelError::NotSupported)?;
        if let Some(shadowed) = directory.find(&name) {
            files.leave(directory, shadowed.id);
        }
        let now = self.machine.now();
        let inode = files.inode(System::Memory, now, files.regular(Some(file)))?;
        files.enter(directory, name, inode)?;
        Ok(())
    }

    /// A directory on the way to a planted file: one of the layout, or a new one.
    fn planted_directory(
        &self,
        files: &Files,
        parent: &Rc<Inode>,
        directory: &Directory,
        name: &Name,
    ) -> Result<Rc<Inode>, KernelError> {
        let seeds = match directory.seeds.get() {
            Seeds::List(seeds) => seeds,
            _ => &[],
        };
        let seed = seeds
            .iter()
            .find(|seed| seed.name.as_bytes() == name.bytes());
        let (system, seeds) = match seed.map(|seed| &seed.kind) {
            Some(SeedKind::Directory(system, seeds)) => (*system, *seeds),
            _ => (System::Memory, Seeds::None),
        };
        let made = files.directory(parent, *name, system, seeds, self.machine.now())?;
        Ok(files.enter(directory, *name, made)?.inode)
    }
}

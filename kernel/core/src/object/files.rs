//! The file tree of a kernel, and what else all files share.
//!
//! It is made when a program first names a file, so that booting and starting
//! programs cost nothing; and of the tree only as much is made as was looked at
//! ([`Seeds`]). Files of bundles appear in it without being copied: those with
//! an absolute name there, the others where [`Seeds::Programs`] says.

mod plant;

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell, RefCell};

use crate::bundle::BundleFile;
use crate::error::KernelError;
use crate::kernel::Kernel;
use crate::object::file::Mode;
use crate::object::inode::{
    Body, Directory, ENTRY_COST, Entry, INODE_COST, Inode, Name, Regular, SeedKind, Seeds, System,
    Target, Times,
};
use crate::object::input::Inputs;
use crate::object::log::Log;
use crate::object::namespace::{Mount, Namespace, Place};
use crate::object::pipe::{Hangup, Hangups};
use crate::object::share::Shares;
use crate::object::socket::Sockets;
use crate::object::store::{Quota, Store};
use crate::object::terminal::TerminalRef;
use crate::port::{Machine, PAGE_SIZE, Port};

/// Share of memory that files may take from the kernel's heap, and its bound.
const MEMORY_SHARE: u64 = 32;
const QUOTA_MAX: u64 = 16 << 20;
/// Deepest directory: whoever goes through a tree needs a bound.
const DEPTH_MAX: usize = 128;

/// What all files of a kernel share.
#[derive(Debug)]
pub struct Files {
    /// The namespace of processes that have none of their own.
    pub namespace: Rc<Namespace>,
    /// The root of it all.
    pub root: Rc<Mount>,
    /// What files may take from the kernel's heap.
    pub quota: Rc<Quota>,
    /// Who must look at a pipe again.
    pub hangups: Rc<Hangups>,
    /// The kernel's log.
    pub log: Log,
    /// Local sockets.
    pub sockets: Rc<Sockets>,
    /// The kernel's own directory among those of processes.
    pub kernel_directory: OnceCell<Rc<Inode>>,
    /// Open files that were left for somebody.
    pub shares: RefCell<Shares>,
    /// Standard inputs that the host may send.
    pub inputs: RefCell<Inputs>,
    /// The terminal, once a program is on it.
    pub terminal: OnceCell<TerminalRef>,
    ids: Cell<u64>,
}

impl Files {
    fn new<M: Machine>(machine: &M, layout: Seeds, seed: u64) -> Self {
        let quota = (machine.frames() * PAGE_SIZE / MEMORY_SHARE).min(QUOTA_MAX);
        let quota = Quota::new(quota);
        let root = Rc::new(Inode {
            number: 0,
            system: System::Memory,
            links: Cell::new(1),
            times: Times::at(machine.now()),
            body: Body::Directory(Directory {
                entry: 0,
                name: Name::default(),
                parent: Weak::new(),
                entries: RefCell::default(),
                seeds: Cell::new(layout),
                fixed: false,
                removed: Cell::new(false),
            }),
            quota: Rc::clone(&quota),
        });
        let root = Rc::new(Mount {
            id: 0,
            root,
            root_entry: 0,
            mode: Mode::ALL,
            covered: None,
            beside: None,
        });
        let hangups = Rc::default();
        Self {
            namespace: Namespace::new(Some(Rc::clone(&root))),
            root,
            log: Log::new(&quota),
            sockets: Sockets::new(&quota, &hangups),
            quota,
            hangups,
            kernel_directory: OnceCell::new(),
            shares: RefCell::new(Shares::new(seed)),
            inputs: RefCell::default(),
            terminal: OnceCell::new(),
            ids: Cell::new(0),
        }
    }

    /// A number that was not given before.
    pub fn id(&self) -> u64 {
        self.ids.update(|id| id + 1);
        self.ids.get()
    }

    /// A new inode; the caller gives it a name.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn inode(&self, system: System, now: u64, body: Body) -> Result<Rc<Inode>, KernelError> {
        self.quota.take(INODE_COST)?;
        Ok(Rc::new(Inode {
            number: self.id(),
            system,
            links: Cell::new(0),
            times: Times::at(now),
            body,
            quota: Rc::clone(&self.quota),
        }))
    }

    /// The body of an empty regular file, or of one of a bundle.
    pub fn regular(&self, origin: Option<BundleFile>) -> Body {
        let contents = origin.map_or(&[][..], |file| file.contents);
        Body::File(Regular {
            store: RefCell::new(Store::new(contents, &self.quota)),
            size: Cell::new(contents.len() as u64),
            origin,
        })
    }

    /// Gives an inode a name in a directory.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn enter(
        &self,
        directory: &Directory,
        name: Name,
        inode: Rc<Inode>,
    ) -> Result<Target, KernelError> {
        self.quota.take(ENTRY_COST)?;
        let id = inode.directory().map_or_else(|| self.id(), |it| it.entry);
        inode.links.update(|links| links + 1);
        let entry = Entry { id, name, inode };
        let target = entry.target();
        directory.entries.borrow_mut().push(entry);
        Ok(target)
    }

    /// Takes an entry out of a directory that has it.
    pub fn leave(&self, directory: &Directory, id: u64) -> Option<Entry> {
        let mut entries = directory.entries.borrow_mut();
        let at = entries.iter().position(|entry| entry.id == id)?;
        let entry = entries.remove(at);
        entry.inode.links.update(|links| links.saturating_sub(1));
        self.quota.give(ENTRY_COST);
        Some(entry)
    }

    /// Gives back what the name of an entry cost that is gone.
    pub(crate) fn forget_entry(&self) {
        self.quota.give(ENTRY_COST);
    }

    /// A new directory below `parent`; its entry has its number.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`], [`KernelError::TooLong`] when it is too deep.
    pub fn directory(
        &self,
        parent: &Rc<Inode>,
        name: Name,
        system: System,
        seeds: Seeds,
        now: u64,
    ) -> Result<Rc<Inode>, KernelError> {
        if depth(parent) >= DEPTH_MAX {
            return Err(KernelError::TooLong);
        }
        let body = Body::Directory(Directory {
            entry: self.id(),
            name,
            parent: Rc::downgrade(parent),
            entries: RefCell::default(),
            seeds: Cell::new(seeds),
            fixed: matches!(system, System::Devices | System::Processes),
            removed: Cell::new(false),
        });
        self.inode(system, now, body)
    }
}

/// Directories above an inode.
fn depth(inode: &Rc<Inode>) -> usize {
    let above = |inode: &Rc<Inode>| inode.directory()?.parent.upgrade();
    core::iter::successors(Some(Rc::clone(inode)), above).count()
}

impl<P: Port> Kernel<P> {
    /// What all files share; made at the first call.
    pub fn files(&self) -> Rc<Files> {
        Rc::clone(self.files_shared())
    }

    /// The same, for a look.
    pub(super) fn files_shared(&self) -> &Rc<Files> {
        let made = || {
            let layout = crate::personality::file_layout();
            let files = Rc::new(Files::new(&self.machine, layout, self.seed));
            self.plant_absolute(&files, self.bundles.iter());
            files
        };
        self.files.get_or_init(made)
    }

    /// What random numbers are made of from now on.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        if let Some(files) = self.files.get() {
            files.shares.borrow_mut().reseed(seed);
        }
    }

    /// Acts on what was noticed when open files went: wakes those whose pipes
    /// have lost their other side, and tells the host of inputs without readers.
    #[inline(always)]
    pub fn wake_hung_up(&mut self) {
        if let Some(files) = self.files.get()
            && !files.hangups.is_empty()
        {
            let files = Rc::clone(files);
            self.hang_up(&files);
        }
    }

    #[cold]
    fn hang_up(&mut self, files: &Files) {
        for hangup in files.hangups.take() {
            match hangup {
                Hangup::Wake(entry) => drop(self.wake_entry(entry)),
                Hangup::Unread(number) => self.unread(number),
            }
        }
    }

    /// Forgets open files that were left past their time.
    pub(crate) fn expire_shares(&mut self) {
        let Some(files) = self.files.get() else {
            return;
        };
        let next = files.shares.borrow_mut().expire(self.machine.now());
        if let Some(deadline) = next {
            self.arm_by(deadline);
        }
    }

    /// The entry of that name in a directory.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when it has none, or `inode` is no directory;
    /// [`KernelError::NoMemory`].
    pub fn entry(&self, inode: &Rc<Inode>, name: &Name) -> Result<Target, KernelError> {
        let directory = inode.directory().ok_or(KernelError::NotFound)?;
        match directory.find(name) {
            Some(entry) => Ok(entry),
            None => self.sprout(inode, directory, name),
        }
    }

    /// Makes the entry of a seed of that name.
    #[cold]
    pub(super) fn sprout(
        &self,
        parent: &Rc<Inode>,
        directory: &Directory,
        name: &Name,
    ) -> Result<Target, KernelError> {
        let files = self.files();
        let now = self.machine.now();
        let inode = match directory.seeds.get() {
            Seeds::None | Seeds::Processes | Seeds::Process => return Err(KernelError::NotFound),
            Seeds::List(seeds) => {
                let mut seeds = seeds.iter();
                let seed = seeds.find(|seed| seed.name.as_bytes() == name.bytes());
                match &seed.ok_or(KernelError::NotFound)?.kind {
                    SeedKind::Device(device) => {
                        files.inode(parent.system, now, Body::Device(*device))?
                    }
                    SeedKind::Directory(system, seeds) => {
                        files.directory(parent, *name, *system, *seeds, now)?
                    }
                }
            }
            Seeds::Programs => {
                let program = core::str::from_utf8(name.bytes());
                let program = program.map_err(|_| KernelError::NotFound)?;
                let file = self.bundles.find(program).ok_or(KernelError::NotFound)?;
                files.inode(System::Memory, now, files.regular(Some(file)))?
            }
            Seeds::Segments(new, device) if name.bytes() == new.as_bytes() => {
                files.inode(parent.system, now, Body::Device(device))?
            }
            Seeds::Segments(..) => return self.segment_entry(parent.system, name),
        };
        files.enter(directory, *name, inode)
    }

    /// Makes every entry of a directory's seeds, in their order and before all others.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn sprout_all(&self, inode: &Rc<Inode>) -> Result<(), KernelError> {
        let Some(directory) = inode.directory() else {
            return Ok(());
        };
        let mut names: Vec<Name> = Vec::new();
        match directory.seeds.get() {
            Seeds::None | Seeds::Processes | Seeds::Process | Seeds::Segments(..) => {
                return Ok(());
            }
            Seeds::List(seeds) => {
                names.extend(
                    seeds
                        .iter()
                        .filter_map(|seed| Name::new(seed.name.as_bytes())),
                );
            }
            Seeds::Programs => {
                for (name, _) in self
                    .bundles
                    .iter()
                    .filter(|(name, _)| !name.contains(&b'/'))
                {
                    let name = Name::new(name).filter(|name| !names.contains(name));
                    names.extend(name);
                }
            }
        }
        for name in &names {
            self.entry(inode, name)?;
        }
        // What was looked at early was made early: the order is that of the seeds.
        let place = |entry: &Entry| names.iter().position(|name| *name == entry.name);
        let mut entries = directory.entries.borrow_mut();
        entries.sort_by_key(|entry| place(entry).unwrap_or(usize::MAX));
        directory.seeds.set(Seeds::None);
        Ok(())
    }

    /// The place that an entry of a directory leads to, under the same mount.
    pub fn place_of(&self, parent: &Place, entry: Target) -> Place {
        Place {
            mount: Rc::clone(&parent.mount),
            entry: entry.id,
            inode: entry.inode,
        }
    }
}

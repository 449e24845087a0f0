//! What names of the file tree lead to: regular files, directories, devices.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::bundle::BundleFile;
use crate::error::KernelError;
use crate::object::processes;
use crate::object::socket::Socket;
use crate::object::socket::file::Part;
use crate::object::store::{Quota, Store};
use crate::object::usage::Usage;

/// What an inode costs, its contents apart.
pub(crate) const INODE_COST: u64 = 256;
/// What a name in a directory costs.
pub(crate) const ENTRY_COST: u64 = 64;
/// Longest name, in bytes.
pub const NAME_MAX: usize = 31;

/// Something that has names in the file tree.
#[derive(Debug)]
pub struct Inode {
    /// Number that no other inode has.
    pub number: u64,
    /// The file system it is of: names in one cannot lead to another.
    pub system: System,
    /// Names that lead to it.
    pub links: Cell<u64>,
    /// When things happened to it.
    pub times: Times,
    /// What it is.
    pub body: Body,
    pub(crate) quota: Rc<Quota>,
}

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Files in memory, which come and go.
    Memory,
    /// Devices, which are always the same.
    Devices,
    /// Processes, whose names come and go with them.
    Processes,
    /// Environments of processes: files in memory, which go with them.
    Environments,
}

/// Times, in nanoseconds since boot.
#[derive(Debug, Default)]
pub struct Times {
    /// Last read.
    pub accessed: Cell<u64>,
    /// Last change of the contents.
    pub modified: Cell<u64>,
    /// Last change of anything.
    pub changed: Cell<u64>,
    /// Creation.
    pub created: u64,
}

impl Times {
    /// Everything happened at `now`.
    pub fn at(now: u64) -> Self {
        Self {
            accessed: Cell::new(now),
            modified: Cell::new(now),
            changed: Cell::new(now),
            created: now,
        }
    }

    /// The contents change at `now`.
    pub fn modify(&self, now: u64) {
        self.modified.set(now);
        self.changed.set(now);
    }
}

/// What an inode is.
#[derive(Debug)]
pub enum Body {
    /// A regular file.
    File(Regular),
    /// A directory.
    Directory(Directory),
    /// What opening it leads to has no contents of its own.
    Device(Device),
    /// A part of a local socket.
    Socket(Weak<Socket>, Part),
    /// A file of a process's directory.
    Process(processes::Part),
}

/// A regular file.
#[derive(Debug)]
pub struct Regular {
    /// Its bytes.
    pub store: RefCell<Store>,
    /// How many they are.
    pub size: Cell<u64>,
    /// The file of a bundle that it was at first.
    pub origin: Option<BundleFile>,
}

impl Regular {
    /// The file of a bundle that it still is, nothing having changed;
    /// `store` are its bytes.
    pub fn untouched(&self, store: &Store) -> Option<BundleFile> {
        let whole = |file: &BundleFile| {
            let length = file.contents.len();
            let original = store.original();
            self.size.get() == length as u64 && original.is_some_and(|it| it.len() == length)
        };
        self.origin.filter(whole)
    }
}

/// A device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Reads nothing, takes everything.
    Null,
    /// Reads zeros.
    Zero,
    /// Reads 0xff.
    One,
    /// The kernel's log.
    Log,
    /// Opening it makes a pipe.
    NewPipe,
    /// Opening it makes memory to share.
    NewMemory,
    /// The memory under a key ([`crate::object::segment`]).
    Segment(u16),
    /// What the machine's parts have done so far.
    Usage(Usage),
    /// Opening it makes a local socket.
    NewSocket,
    /// The name of an address of a local socket.
    SocketAddress,
    /// The terminal.
    Terminal,
    /// Commands to the terminal.
    TerminalControl,
}

/// A name: padded with zeros.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct Name([u8; NAME_MAX + 1]);

impl PartialEq for Name {
    // By words: names are compared at every step of every path.
    fn eq(&self, other: &Self) -> bool {
        let [words, others] = [self, other].map(|name| name.0.as_chunks().0);
        let mut pairs = words.iter().zip(others);
        pairs.all(|(word, other)| u64::from_ne_bytes(*word) == u64::from_ne_bytes(*other))
    }
}

impl Name {
    /// A name; `None` if it is empty or too long.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut name = [0; NAME_MAX + 1];
        if bytes.is_empty() {
            return None;
        }
        name[..NAME_MAX]
            .get_mut(..bytes.len())?
            .copy_from_slice(bytes);
        Some(Self(name))
    }

    /// Its bytes, padded with zeros; the last one is zero.
    pub fn padded(&self) -> &[u8; NAME_MAX + 1] {
        &self.0
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        &self.0[..end.unwrap_or(NAME_MAX)]
    }
}

/// A directory. It has one name only, so it knows its parent.
#[derive(Debug)]
pub struct Directory {
    /// Number of its entry in its parent.
    pub entry: u64,
    /// Its name there.
    pub name: Name,
    /// Its parent; the root has none.
    pub parent: Weak<Inode>,
    /// Names in it, in the order of their creation.
    pub entries: RefCell<Vec<Entry>>,
    /// What else is in it as soon as somebody looks.
    pub seeds: Cell<Seeds>,
    /// Programs cannot change it.
    pub fixed: bool,
    /// It was removed: nothing can be made in it any more.
    pub removed: Cell<bool>,
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Number that no other entry has.
    pub id: u64,
    /// The name.
    pub name: Name,
    /// What it leads to.
    pub inode: Rc<Inode>,
}

/// What a directory holds before anyone has looked: making it costs nothing.
#[derive(Clone, Copy, Debug)]
pub enum Seeds {
    /// Nothing.
    None,
    /// These.
    List(&'static [Seed]),
    /// The programs of the bundles.
    Programs,
    /// The directories of processes ([`crate::object::processes`]).
    Processes,
    /// The files of one process.
    Process,
    /// A device of that name, and the memory that is under keys.
    Segments(&'static str, Device),
}

/// One thing that a directory holds from the beginning.
#[derive(Debug)]
pub struct Seed {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: SeedKind,
}

/// What a seed becomes.
#[derive(Debug)]
pub enum SeedKind {
    /// A device.
    Device(Device),
    /// A directory of a file system, programs' to change or not.
    Directory(System, Seeds),
}

/// What an entry leads to, without its name.
#[derive(Clone, Debug)]
pub struct Target {
    /// Number of the entry.
    pub id: u64,
    /// What it leads to.
    pub inode: Rc<Inode>,
}

impl Regular {
    /// The same contents once more.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn duplicate(&self) -> Result<Self, KernelError> {
        Ok(Self {
            store: RefCell::new(self.store.borrow().duplicate()?),
            size: self.size.clone(),
            origin: None,
        })
    }
}

impl Entry {
    /// What it leads to.
    pub fn target(&self) -> Target {
        Target {
            id: self.id,
            inode: Rc::clone(&self.inode),
        }
    }
}

impl Directory {
    /// The entry of that name, if it was made or looked at already.
    pub fn find(&self, name: &Name) -> Option<Target> {
        let entries = self.entries.borrow();
        let entry = entries.iter().find(|entry| entry.name == *name)?;
        Some(entry.target())
    }
}

impl Inode {
    /// Its contents as a regular file.
    pub fn regular(&self) -> Option<&Regular> {
        match &self.body {
            Body::File(regular) => Some(regular),
            _ => None,
        }
    }

    /// It as a directory.
    pub fn directory(&self) -> Option<&Directory> {
        match &self.body {
            Body::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// Bytes in it.
    pub fn size(&self) -> u64 {
        self.regular().map_or(0, |regular| regular.size.get())
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        let names = self.directory().map_or(0, |it| it.entries.borrow().len());
        self.quota.give(INODE_COST + names as u64 * ENTRY_COST);
    }
}

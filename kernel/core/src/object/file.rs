//! Open files and the descriptors that name them.
//!
//! An open file is shared by every descriptor that was duplicated, inherited or
//! passed on from it, with its mode and its position. What it leads to is a
//! [`Node`]: a closed set, so that every operation is one `match`.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use crate::error::KernelError;
use crate::object::inode::Inode;
use crate::object::input::InputRef;
use crate::object::memory::MemoryFile;
use crate::object::namespace::Place;
use crate::object::pipe::PipeEnd;
use crate::object::processes::OpenPart;
use crate::object::socket::file::SocketFile;
use crate::object::stream::Stream;
use crate::object::terminal::TerminalRef;
use crate::object::usage::UsageFile;

/// What an open file leads to.
#[derive(Debug)]
pub enum Node {
    /// Standard input of a process the host started: what the host sends, or
    /// nothing at all.
    Input(Option<InputRef>),
    /// Standard output or error of a process the host started.
    Stream(Stream),
    /// Reads nothing, takes everything.
    Null,
    /// Reads zeros; memory of zeros.
    Zero,
    /// Reads 0xff; memory of 0xff.
    One,
    /// The kernel's log.
    Log,
    /// A regular file.
    File(Rc<Inode>),
    /// A directory.
    Directory(Rc<Inode>),
    /// An end of a pipe, or both.
    Pipe(PipeEnd),
    /// Memory to share.
    Memory(MemoryFile),
    /// What a part of the machine has done so far.
    Usage(UsageFile),
    /// A file of a local socket.
    Socket(SocketFile),
    /// A file of a process's directory.
    Process(Box<OpenPart>),
    /// The terminal.
    Terminal(TerminalRef),
    /// Commands to the terminal, and what is known of it.
    TerminalControl(TerminalRef),
}

/// What can be done without waiting. The bits are those of PatchworkOS's POLL
/// (specs/patchwork.md §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready(pub u32);

impl Ready {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Reading.
    pub const IN: Self = Self(1);
    /// Writing.
    pub const OUT: Self = Self(2);
    /// The other side is gone.
    pub const HANG_UP: Self = Self(8);

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How a file was opened. The bits are those of PatchworkOS's path flags
/// (specs/patchwork.md §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Mode {
    /// Reading is allowed.
    pub const READ: Self = Self(1);
    /// Writing is allowed.
    pub const WRITE: Self = Self(2);
    /// Executing is allowed.
    pub const EXECUTE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);
    /// Calls that cannot go on fail instead of waiting.
    pub const NONBLOCK: Self = Self(8);
    /// Every write goes to the end.
    pub const APPEND: Self = Self(0x10);
    /// A directory is listed with everything below it.
    pub const RECURSIVE: Self = Self(0x200);

    /// All of `other` is in this mode.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An open file.
#[derive(Debug)]
pub struct OpenFile {
    /// What it leads to.
    pub node: Node,
    /// How it was opened.
    pub mode: Mode,
    /// Where the next read or write begins.
    pub position: Cell<u64>,
    /// Where it was opened; standard streams were not.
    pub place: Option<Place>,
}

/// Open files are shared.
pub type FileRef = Rc<OpenFile>;

impl OpenFile {
    /// A file at its beginning that is nowhere in the file tree.
    pub fn new(node: Node, mode: Mode) -> FileRef {
        Self::at(node, mode, None)
    }

    /// A file at its beginning.
    #[inline(always)]
    pub fn at(node: Node, mode: Mode, place: Option<Place>) -> FileRef {
        Rc::new(Self {
            node,
            mode,
            position: Cell::new(0),
            place,
        })
    }
}

/// The descriptors of a process: small numbers for open files.
#[derive(Debug, Default)]
pub struct Handles {
    files: Vec<Option<FileRef>>,
    /// Most descriptors; 0 is none.
    most: usize,
}

/// Most descriptors that any interface allows.
const ROOM: usize = 64;

impl Handles {
    /// No descriptor yet, at most `most`. The table never grows, whichever
    /// interface's it becomes.
    pub fn new(most: usize) -> Self {
        Self {
            files: Vec::with_capacity(most.max(ROOM)),
            most,
        }
    }

    /// The same files under the same numbers, for a child; those from `below`
    /// on are left out.
    #[must_use]
    pub fn inherited(&self, below: usize) -> Self {
        let mut files = Vec::with_capacity(ROOM.max(self.most));
        files.extend_from_slice(&self.files[..self.files.len().min(below)]);
        Self {
            files,
            most: self.most,
        }
    }

    /// Allows as many as `most` descriptors; those beyond are closed.
    #[must_use]
    pub fn limited(mut self, most: usize) -> Self {
        self.files.truncate(most);
        self.most = most;
        self
    }

    /// The file of a descriptor.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`].
    pub fn get(&self, handle: u64) -> Result<&FileRef, KernelError> {
        let index = usize::try_from(handle).map_err(|_| KernelError::BadHandle)?;
        let file = self.files.get(index).and_then(Option::as_ref);
        file.ok_or(KernelError::BadHandle)
    }

    /// Gives a file the lowest free descriptor.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`].
    #[inline(always)]
    pub fn insert(&mut self, file: FileRef) -> Result<u64, KernelError> {
        let free = self.files.iter().position(Option::is_none);
        let index = free.unwrap_or(self.files.len());
        self.set(index as u64, Some(file))?;
        Ok(index as u64)
    }

    /// Gives a file that descriptor; what it named before is closed.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] beyond the last descriptor, [`KernelError::NoRoom`]
    /// from [`insert`](Self::insert).
    pub fn set(&mut self, handle: u64, file: Option<FileRef>) -> Result<(), KernelError> {
        let index = usize::try_from(handle).map_err(|_| KernelError::BadHandle)?;
        if index >= self.most {
            return Err(KernelError::NoRoom);
        }
        if self.files.len() <= index {
            self.files.resize(index + 1, None);
        }
        self.files[index] = file;
        Ok(())
    }

    /// Most descriptors.
    pub fn most(&self) -> usize {
        self.most
    }

    /// No descriptor is open.
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(Option::is_none)
    }

    /// No descriptor is left.
    pub fn is_full(&self) -> bool {
        self.files.len() >= self.most && self.files.iter().all(Option::is_some)
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`].
    pub fn close(&mut self, handle: u64) -> Result<FileRef, KernelError> {
        let index = usize::try_from(handle).map_err(|_| KernelError::BadHandle)?;
        let file = self.files.get_mut(index).and_then(Option::take);
        file.ok_or(KernelError::BadHandle)
    }

    /// Every open descriptor with its file, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &FileRef)> {
        (0..)
            .zip(&self.files)
            .filter_map(|(index, file)| Some((index, file.as_ref()?)))
    }
}

#[cfg(test)]
mod tests;

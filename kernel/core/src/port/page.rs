//! Pages: their frames, what they hold, and what programs may do with them.
//!
//! Neighbours: `frames.rs` has lists of frames.

use super::PAGE_SIZE;

/// A frame of physical memory, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageFrame(pub u64);

impl PageFrame {
    /// Physical address of its first byte.
    pub const fn address(self) -> u64 {
        self.0 * PAGE_SIZE
    }
}

/// What a freshly allocated frame must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Zeros.
    Zero,
    /// 0xff in every byte.
    Ones,
    /// Anything: the caller overwrites all of it before a program sees it.
    Any,
}

/// What ring 3 may do with a page. What it may write or execute it may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

impl Access {
    /// Nothing: the page keeps what it holds.
    pub const NONE: Self = Self {
        read: false,
        write: false,
        execute: false,
    };
    /// Read only.
    pub const READ: Self = Self {
        read: true,
        write: false,
        execute: false,
    };
    /// Read and write.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
        execute: false,
    };
    /// Everything.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        execute: true,
    };

    /// All of `other` is in this one.
    pub const fn contains(self, other: Self) -> bool {
        self.read >= other.read && self.write >= other.write && self.execute >= other.execute
    }
}

/// What is mapped at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// A new frame.
    New(PageFrame),
    /// What was mapped there before, and what ring 3 may do with it.
    Old(PageFrame, Access),
}

//! The port: what core needs of a processor, its memory, and the host.
//!
//! Purpose: the traits that `kernel/arch` (and, for tests, `fake`)
//! implement, so that core decides without touching anything. Neighbours:
//! `kernel/arch/src/hardware.rs` implements [`Machine`], `kernel/src/link.rs`
//! implements [`Host`].

mod frames;
mod host;
mod page;

pub use frames::{DeadFrames, FrameList};
pub use host::{Host, Line, NewChild, PROGRAM_MAX};
pub use page::{Access, Contents, Page, PageFrame};

use alloc::rc::Rc;

use crate::frame::TrapFrame;

/// Size of a page, in bytes.
pub const PAGE_SIZE: u64 = 4096;
/// The same, for slices.
pub const PAGE_BYTES: usize = 4096;
/// First address that no user page may have (specs/patchwork.md §9).
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;

/// No frame is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFrames;

/// A user access that failed after some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFault {
    /// First address that could not be accessed.
    pub address: u64,
    /// Bytes that were copied before it.
    pub copied: usize,
}

/// Why ring 3 was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A system call.
    Syscall,
    /// A processor exception.
    Fault,
    /// A device or timer interrupt.
    Interrupt,
}

/// A thread, as the report of a panic names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Kernel-wide number of its process.
    pub process: u64,
    /// Its id.
    pub thread: u64,
    /// Code of its interface.
    pub abi: u8,
}

/// The processor and its memory.
pub trait Machine {
    /// Registers of a thread, vector state included, at a place that does not move.
    type Context;
    /// Page tables of an address space, with the frames that belong to it.
    type Tables;

    /// Registers for a new thread: all zero, interrupts on, vector state initial.
    fn context(&mut self) -> Self::Context;
    /// General registers.
    fn registers(context: &Self::Context) -> &TrapFrame;
    /// General registers, to change.
    fn registers_mut(context: &mut Self::Context) -> &mut TrapFrame;
    /// Notes whose registers these are, for the report of a panic.
    fn name(_context: &mut Self::Context, _owner: Owner) {}
    /// Makes a thread and its address space the ones that run next. The
    /// vector registers of `previous` are saved.
    fn switch(
        &mut self,
        previous: Option<&mut Self::Context>,
        next: &Self::Context,
        tables: &Self::Tables,
    );
    /// Runs ring 3 until it traps.
    fn run(&mut self, context: &mut Self::Context) -> Reason;
    /// Address that the last page fault accessed.
    fn fault_address(&self) -> u64;

    /// Frames not in use; those of dead objects are among them.
    fn frames_free(&self) -> u64;
    /// Frames in all.
    fn frames(&self) -> u64;
    /// Bytes of the kernel's heap in use.
    fn heap_used(&self) -> u64;
    /// The kernel's heap is low: no new processes, threads or other large things
    /// for programs.
    fn heap_low(&self) -> bool;
    /// The kernel's heap is nearly full: nothing more for programs, not even what
    /// is small. What is left is for what cannot be refused.
    fn heap_full(&self) -> bool;

    /// Empty page tables (the kernel's own half is present in all).
    ///
    /// # Errors
    /// [`NoFrames`].
    fn tables(&mut self) -> Result<Self::Tables, NoFrames>;
    /// Physical address of the root table.
    fn root(tables: &Self::Tables) -> u64;
    /// Frames that belong to the tables: pages and the tables themselves.
    fn owned(tables: &Self::Tables) -> u64;
    /// Most frames that belonged to the tables at a time, or as far as that is
    /// known those of now.
    fn most_owned(tables: &Self::Tables) -> u64 {
        Self::owned(tables)
    }
    /// Gives back the tables and every frame that belongs to them. If they are
    /// the running ones, the kernel goes on without a user half.
    fn release(&mut self, tables: Self::Tables);
    /// A new frame that belongs to `tables`.
    ///
    /// # Errors
    /// [`NoFrames`].
    fn page(
        &mut self,
        tables: &mut Self::Tables,
        contents: Contents,
    ) -> Result<PageFrame, NoFrames>;
    /// Gives back a frame that belongs to `tables` and is mapped nowhere.
    fn free_page(&mut self, tables: &mut Self::Tables, frame: PageFrame);
    /// A new frame that belongs to no tables; it goes onto `list`.
    ///
    /// # Errors
    /// [`NoFrames`].
    fn object_page(
        &mut self,
        list: &mut FrameList,
        contents: Contents,
    ) -> Result<PageFrame, NoFrames>;
    /// Where objects leave their frames when they go.
    fn dead_frames(&self) -> &Rc<DeadFrames>;
    /// Takes back the frames of objects that are gone. They are mapped nowhere.
    fn reap(&mut self);
    /// Maps the page at `address` to `frame`, replacing what was there.
    ///
    /// # Errors
    /// [`NoFrames`] when a table cannot be allocated.
    fn map(
        &mut self,
        tables: &mut Self::Tables,
        address: u64,
        frame: PageFrame,
        access: Access,
    ) -> Result<(), NoFrames>;
    /// Removes the page at `address`, and the tables that are empty without
    /// it; says what it was mapped to.
    fn unmap(&mut self, tables: &mut Self::Tables, address: u64) -> Option<PageFrame>;
    /// Maps a new frame that belongs to `tables` at `address`, if nothing is
    /// mapped there.
    ///
    /// # Errors
    /// [`NoFrames`], and nothing has changed.
    fn new_page(
        &mut self,
        tables: &mut Self::Tables,
        address: u64,
        contents: Contents,
        access: Access,
    ) -> Result<Page, NoFrames> {
        if let Some((frame, access)) = self.lookup(tables, address) {
            return Ok(Page::Old(frame, access));
        }
        let frame = self.page(tables, contents)?;
        if let Err(no_frames) = self.map(tables, address, frame, access) {
            self.free_page(tables, frame);
            return Err(no_frames);
        }
        Ok(Page::New(frame))
    }
    /// Removes the page at `address`, if there is one, and gives back its
    /// frame, which belongs to `tables`.
    fn drop_page(&mut self, tables: &mut Self::Tables, address: u64) {
        if let Some(frame) = self.unmap(tables, address) {
            self.free_page(tables, frame);
        }
    }
    /// What the page at `address` is mapped to.
    fn lookup(&self, tables: &Self::Tables, address: u64) -> Option<(PageFrame, Access)>;
    /// Changes what ring 3 may do with the page at `address`, if it is present.
    fn protect(&mut self, tables: &mut Self::Tables, address: u64, access: Access);
    /// The first page that is present in `start..end`, and what it is mapped to.
    /// The time this takes grows with the tables there are, not with the range.
    fn next_page(&self, tables: &Self::Tables, start: u64, end: u64) -> Option<(u64, PageFrame)>;
    /// Copies all of a frame to another.
    fn copy_frame(&mut self, from: PageFrame, to: PageFrame);
    /// Writes into a frame.
    ///
    /// # Panics
    /// If the bytes do not fit the frame, or it is not one of RAM.
    fn write_frame(&mut self, frame: PageFrame, offset: usize, bytes: &[u8]);
    /// Reads from a frame.
    ///
    /// # Panics
    /// If the range does not fit the frame.
    fn read_frame(&self, frame: PageFrame, offset: usize, buffer: &mut [u8]);

    /// Copies from the running address space. `address..+len` lies below [`USER_END`].
    ///
    /// # Errors
    /// [`CopyFault`] at the first page that is not readable.
    fn read_user(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), CopyFault>;
    /// Copies to the running address space. `address..+len` lies below [`USER_END`].
    ///
    /// # Errors
    /// [`CopyFault`] at the first page that is not writable.
    fn write_user(&mut self, address: u64, bytes: &[u8]) -> Result<(), CopyFault>;

    /// Four words of the running address space, at addresses below 2^48. The last
    /// is `u64::MAX` after a fault, which it may be otherwise.
    fn read_user_four(&mut self, address: u64) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, at) in words.iter_mut().zip((address..).step_by(8)) {
            let mut bytes = [0; 8];
            if at >= USER_END || self.read_user(at, &mut bytes).is_err() {
                return [u64::MAX; 4];
            }
            *word = u64::from_le_bytes(bytes);
        }
        words
    }
    /// Copies words to the running address space, as
    /// [`write_user`](Self::write_user); some may have been copied before a fault.
    ///
    /// # Errors
    /// [`CopyFault`], without a count of bytes.
    fn write_user_words<const N: usize>(
        &mut self,
        address: u64,
        words: &[u64; N],
    ) -> Result<(), CopyFault> {
        for (word, at) in words.iter().zip((address..).step_by(8)) {
            self.write_user(at, &word.to_le_bytes())?;
        }
        Ok(())
    }

    /// Copies from the running address space to a frame. `address..+length`
    /// lies below [`USER_END`], and `offset..+length` in the frame.
    ///
    /// # Errors
    /// [`CopyFault`] at the first page that is not readable.
    fn read_user_to_frame(
        &mut self,
        address: u64,
        frame: PageFrame,
        offset: usize,
        length: usize,
    ) -> Result<(), CopyFault> {
        let mut bytes = [0; 64];
        let mut done = 0;
        while done < length {
            let part = &mut bytes[..(length - done).min(64)];
            let read = self.read_user(address + done as u64, part);
            let copied = read.map_or_else(|fault| fault.copied, |()| part.len());
            self.write_frame(frame, offset + done, &part[..copied]);
            done += copied;
            if let Err(fault) = read {
                return Err(CopyFault {
                    copied: done,
                    ..fault
                });
            }
        }
        Ok(())
    }
    /// Ring 3 could read the byte at `address`, which lies below [`USER_END`],
    /// in the running address space, or write it too. It stays as it is.
    fn probe_user(&mut self, address: u64, write: bool) -> bool {
        let mut byte = [0];
        let read = self.read_user(address, &mut byte);
        read.is_ok() && (!write || self.write_user(address, &byte).is_ok())
    }

    /// As [`read_user`](Self::read_user), where it is called, for a few bytes of
    /// addresses below 2^47; false after a fault.
    fn read_user_inline(&mut self, address: u64, buffer: &mut [u8]) -> bool {
        address < USER_END && self.read_user(address, buffer).is_ok()
    }
    /// Ring 3 could write the bytes at all addresses, which are below 2^48.
    fn probe_user_all<const N: usize>(&mut self, addresses: [u64; N]) -> bool {
        let mut addresses = addresses.into_iter();
        addresses.all(|address| address < USER_END && self.probe_user(address, true))
    }
    /// Writes bytes and words at two places of the running address space, which
    /// are below 2^47; false after a fault.
    fn write_user_both(&mut self, bytes: (u64, &[u8]), words: (u64, &[u64])) -> bool {
        let (at, bytes) = bytes;
        let (place, words) = words;
        let mut words = (place..).step_by(8).zip(words);
        at < USER_END
            && self.write_user(at, bytes).is_ok()
            && words
                .all(|(at, word)| at < USER_END && self.write_user(at, &word.to_le_bytes()).is_ok())
    }

    /// Raw time stamp counter.
    fn ticks(&self) -> u64;
    /// How long so many ticks are, in nanoseconds.
    fn nanoseconds(&self, ticks: u64) -> u64;
    /// Nanoseconds since boot.
    fn now(&self) -> u64;
    /// Nanoseconds since boot when the counter was at `ticks`: always the same,
    /// where both are one clock.
    fn time_at(&self, ticks: u64) -> u64 {
        let age = self.nanoseconds(self.ticks().wrapping_sub(ticks));
        self.now().saturating_sub(age)
    }
    /// Unix time at boot, in seconds.
    fn boot_epoch(&self) -> u64;
    /// Asks for a timer interrupt at `deadline` (nanoseconds since boot), or none.
    fn arm_timer(&mut self, deadline: Option<u64>);
    /// The clock does not count the ticks `since` then, in which the machine
    /// stood still; `epoch` is the Unix time now, 0 if nobody knows. The number
    /// of those ticks: none, where the clock stands still by itself.
    fn stood_still(&mut self, _since: u64, _epoch: u64) -> u64 {
        0
    }
}

/// Bytes in a frame: part of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The frame.
    pub frame: PageFrame,
    /// First byte in it.
    pub offset: u32,
    /// Number of bytes; offset and length stay in the frame.
    pub length: u32,
}

impl Piece {
    /// No bytes.
    pub const NONE: Self = Self {
        frame: PageFrame(0),
        offset: 0,
        length: 0,
    };

    /// `length` bytes at `offset`, both within a frame.
    #[expect(clippy::cast_possible_truncation, reason = "both stay within a page")]
    pub const fn new(frame: PageFrame, offset: u64, length: u64) -> Self {
        Self {
            frame,
            offset: offset as u32,
            length: length as u32,
        }
    }
}

/// Most pieces in one [`Host::output`].
pub const PIECES_MAX: usize = 14;

/// The parts of a kernel, as one type parameter.
pub trait Port {
    /// The processor and its memory.
    type Machine: Machine;
    /// The host side.
    type Host: Host;
}

//! The host side of the port: what programs and the kernel tell it.

use super::{PageFrame, Piece};

/// Where the terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The console of a virtio device.
    Console,
    /// A serial line.
    Serial,
}

/// A process that another one made.
#[derive(Clone, Copy, Debug)]
pub struct NewChild<'a> {
    /// Its number.
    pub process: u64,
    /// Number of whoever made it.
    pub parent: u64,
    /// Physical address of its root table.
    pub root: u64,
    /// Its interface.
    pub abi: mayfly_abi::Abi,
    /// Its argv\[0\], at most [`PROGRAM_MAX`] bytes of it.
    pub program: &'a [u8],
}

/// Bytes of an argv\[0\] that the host is told.
pub const PROGRAM_MAX: usize = 256;

/// The host side: what programs and the kernel tell it.
pub trait Host {
    /// A process wrote to standard output (1), standard error (2) or the
    /// terminal (0). The bytes are taken when this returns.
    fn output(&mut self, process: u64, stream: u8, pieces: &[Piece]);
    /// Bytes of the kernel's own making on a process's stream.
    fn output_bytes(&mut self, process: u64, stream: u8, bytes: &[u8]);
    /// A traced system call returned.
    fn traced(&mut self, call: &crate::trace::TracedCall);
    /// A traced process's child has its image, or none; or an untraced one dies.
    fn child(&mut self, child: &NewChild<'_>);
    /// The kernel's own words went into its log, which is in the machine.
    fn logged(&mut self, words: &[u8]);
    /// There is room for so many bytes more of a process's standard input.
    fn input_room(&mut self, process: u64, bytes: usize);
    /// Nobody is left to read a process's standard input.
    fn input_closed(&mut self, process: u64);
    /// Programs use the terminal from now on.
    fn terminal_begins(&mut self, line: Line);
    /// Bytes of the kernel's own making for the terminal.
    fn terminal_echo(&mut self, bytes: &[u8]);
    /// Hands over at most `room` typed bytes, if there are any; true if there may be
    /// more then, and there was room.
    fn terminal_bytes(&mut self, room: usize, consume: impl FnOnce(&[u8])) -> bool;
    /// Typed bytes wait that there was no room for.
    fn terminal_waits(&self) -> bool;
    /// Something happened that the host side waits for.
    fn event(&mut self, event: crate::event::Event);
    /// The machine stands still: the host may put a call into that mailbox, in
    /// this machine or in copies that it makes of it, before this returns.
    fn awaiting(&mut self, mailbox: PageFrame);
    /// The call that was in the mailbox has returned, and its result is there.
    fn called(&mut self);
}

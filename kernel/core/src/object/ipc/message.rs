//! Messages as they lie in a queue.

use alloc::boxed::Box;

use crate::object::capability::NodeKey;
use crate::object::wait::Entry;
use crate::port::PAGE_BYTES;

/// Longest message that needs no memory of its own, in bytes.
pub const SMALL_BYTES: usize = 64;

/// The length of a small message; at most as much as there is room for.
#[inline(always)]
pub fn small_length(length: u64) -> usize {
    usize::try_from(length).map_or(SMALL_BYTES, |length| length.min(SMALL_BYTES))
}

/// Memory for a message that is not small. What is behind its end is left from
/// others, and never read.
pub type Page = [u8; PAGE_BYTES];

/// A message that nobody has received yet.
#[derive(Debug)]
pub struct Message {
    /// Id of the process that sent it.
    pub sender: u64,
    /// The thread that waits for a reply, if it is a call.
    pub caller: Option<Entry>,
    /// The capability that comes with it: on its way, or revoked since.
    pub capability: Option<NodeKey>,
    /// Its length in bytes.
    pub length: usize,
    /// What it says.
    pub body: Body,
}

/// Where the bytes of a message are.
#[derive(Debug)]
pub enum Body {
    /// In the message itself.
    Small([u8; SMALL_BYTES]),
    /// In memory of its own.
    Large(Box<Page>),
}

impl Message {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        let room: &[u8] = match &self.body {
            Body::Small(bytes) => bytes,
            Body::Large(page) => &page[..],
        };
        &room[..self.length.min(room.len())]
    }

    /// Its bytes, to fill in.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let room: &mut [u8] = match &mut self.body {
            Body::Small(bytes) => bytes,
            Body::Large(page) => &mut page[..],
        };
        let length = self.length.min(room.len());
        &mut room[..length]
    }
}

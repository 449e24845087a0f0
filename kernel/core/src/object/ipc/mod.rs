//! Messages between processes: endpoints, channels, calls and replies.
//!
//! An endpoint is a queue of messages that its owner receives from. A channel
//! connects two endpoints: what is sent for one side goes to the queue of the
//! other. A message may be a call, whose sender waits for a reply; whoever
//! receives it owes that reply and holds a token for it.
//!
//! - `message.rs`: what is queued. `exchange.rs`: what a thread waits for, and
//!   what came for it. `receivers.rs`: who waits at an endpoint. `reply.rs`: the
//!   replies that a process owes.
//! - Here: endpoints and channels themselves, and their limits.
//!
//! `kernel/ipc.rs` moves messages between threads. It keeps one rule: where a
//! message is queued no thread waits, so that nobody sleeps over a message.

mod exchange;
mod message;
mod receivers;
mod reply;

pub use exchange::{Arrival, Exchange, Route, Stage, Wanted};
pub use message::{Body, Message, Page, SMALL_BYTES, small_length};
pub use receivers::Receivers;
pub use reply::{Debt, REPLIES_MAX, Replies, Vacancy};

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::error::KernelError;
use crate::object::process::ProcessKey;
use crate::object::thread::ThreadKey;
use crate::port::{Machine, PAGE_BYTES};
use crate::slab::{Key, Table};
use reply::SERIAL_MAX;

/// Longest message, in bytes.
pub const MESSAGE_MAX: u64 = 4096;
/// Messages that an endpoint queues.
pub const QUEUE_MAX: usize = 64;
/// Endpoints of a process, the one that it starts with among them.
pub const ENDPOINTS_MAX: usize = 256;
/// Channels of an endpoint.
pub const CHANNELS_MAX: usize = 1024;
/// Channels of a process's endpoints together, and of all there are: a process
/// that makes as many as it can leaves the others theirs.
pub const PROCESS_CHANNELS_MAX: usize = 2048;
const ALL_CHANNELS_MAX: usize = 16 << 10;
/// Pages that are kept for the next messages.
const SPARE_MAX: usize = 4;
/// Most messages that keep room in a queue that is empty.
const ROOM_KEPT: usize = 8;

/// Key of an endpoint; its number is the endpoint's id.
pub type EndpointKey = Key<EndpointMark>;

/// Marks keys of endpoints.
#[derive(Debug)]
pub enum EndpointMark {}

/// Key of a channel; its number is the channel's id.
pub type ChannelKey = Key<ChannelMark>;

/// Marks keys of channels.
#[derive(Debug)]
pub enum ChannelMark {}

/// A queue that messages are received from.
#[derive(Debug)]
pub struct Endpoint {
    /// The process that made it: it ends with that one.
    pub owner: ProcessKey,
    /// Messages, oldest first.
    pub queue: VecDeque<Message>,
    /// Threads that wait for one.
    pub receivers: Receivers,
    /// Capabilities for it, in processes and messages: it ends with the last one.
    pub tokens: u32,
    channels: Vec<ChannelKey>,
}

impl Endpoint {
    /// Makes sure that a message can be appended; takes more room only if the
    /// heap has enough.
    ///
    /// # Errors
    /// [`KernelError::Busy`] when the queue is full, [`KernelError::NoMemory`].
    pub fn make_room(&mut self, machine: &impl Machine) -> Result<(), KernelError> {
        if self.queue.len() >= QUEUE_MAX {
            return Err(KernelError::Busy);
        }
        if self.queue.len() == self.queue.capacity() && machine.heap_low() {
            return Err(KernelError::NoMemory);
        }
        Ok(self.queue.try_reserve(1)?)
    }

    /// Takes the oldest message.
    pub fn pop(&mut self) -> Option<Message> {
        let message = self.queue.pop_front();
        if self.queue.is_empty() && self.queue.capacity() > ROOM_KEPT {
            self.queue = VecDeque::new();
        }
        message
    }

    /// Takes out the call that a thread made, if it is still queued.
    pub fn withdraw(&mut self, caller: ThreadKey) -> Option<Message> {
        let mut queue = self.queue.iter();
        let called = |message: &Message| message.caller.is_some_and(|by| by.thread == caller);
        let at = queue.position(called)?;
        self.queue.remove(at)
    }
}

/// A link between two endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// Its sides.
    pub sides: [EndpointKey; 2],
}

impl Channel {
    /// Where messages go that are sent for the side of `endpoint`; `None` when
    /// that is no side of it.
    #[inline(always)]
    pub fn opposite(&self, endpoint: EndpointKey) -> Option<EndpointKey> {
        let [one, other] = self.sides;
        if endpoint == one {
            Some(other)
        } else if endpoint == other {
            Some(one)
        } else {
            None
        }
    }
}

/// What a process has of all this.
#[derive(Debug, Default)]
pub struct Holdings {
    /// Endpoints that it made.
    pub endpoints: Vec<EndpointKey>,
    /// Replies that it owes.
    pub replies: Replies,
}

/// All endpoints and channels.
#[derive(Default)]
pub struct Ipc {
    endpoints: Table<EndpointMark, Endpoint>,
    channels: Table<ChannelMark, Channel>,
    /// Channels of each process, by the index of its key.
    charged: Vec<u16>,
    /// Pages of messages that are queued.
    pages_used: u64,
    /// Pages for the next ones.
    spare: Vec<Box<Page>>,
    /// Serial number of the last reply token.
    serial: u64,
    /// Endpoints and channels that have gone.
    pub gone: u64,
    /// Endpoints without tokens that are about to end.
    pub doomed: Vec<EndpointKey>,
}

/// The serial number of the last reply token.
pub struct Serial<'a>(&'a mut u64);

impl Serial<'_> {
    /// A serial number that no reply token has.
    #[inline(always)]
    pub fn take(self) -> u64 {
        *self.0 = (*self.0 + 1) & SERIAL_MAX;
        *self.0
    }
}

impl Ipc {
    /// Endpoints that there are.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    /// Channels that there are.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Pages that queued messages have.
    pub fn pages_used(&self) -> u64 {
        self.pages_used
    }

    /// Memory for a message that is not small, if fewer than `most` are in use.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn take_page(&mut self, most: u64) -> Result<Box<Page>, KernelError> {
        if self.pages_used >= most {
            return Err(KernelError::NoMemory);
        }
        let page = match self.spare.pop() {
            Some(page) => page,
            None => {
                let bytes = alloc::vec![0; PAGE_BYTES].into_boxed_slice();
                bytes.try_into().map_err(|_| KernelError::NoMemory)?
            }
        };
        self.pages_used += 1;
        Ok(page)
    }

    /// Takes back the memory of a message.
    pub fn give_back(&mut self, body: Body) {
        if let Body::Large(page) = body {
            self.pages_used -= 1;
            if self.spare.len() < SPARE_MAX {
                self.spare.push(page);
            }
        }
    }

    /// Keeps no memory for messages to come.
    pub fn forget_spare(&mut self) {
        self.spare = Vec::new();
    }

    /// A serial number that no reply token has.
    #[inline(always)]
    pub fn next_serial(&mut self) -> u64 {
        Serial(&mut self.serial).take()
    }

    /// An endpoint.
    #[inline(always)]
    pub fn endpoint(&mut self, key: EndpointKey) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(key)
    }

    /// An endpoint, and what the next serial number is made of.
    #[inline(always)]
    pub fn endpoint_and_serial(&mut self, key: EndpointKey) -> Option<(&mut Endpoint, Serial<'_>)> {
        let serial = Serial(&mut self.serial);
        Some((self.endpoints.get_mut(key)?, serial))
    }

    /// A channel.
    #[inline(always)]
    pub fn channel(&self, key: ChannelKey) -> Option<&Channel> {
        self.channels.get(key)
    }

    /// Makes an endpoint of a process that has `owned` already.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] when it has too many, [`KernelError::NoMemory`].
    pub fn add_endpoint(
        &mut self,
        owner: ProcessKey,
        owned: &mut Vec<EndpointKey>,
    ) -> Result<EndpointKey, KernelError> {
        if owned.len() + 1 >= ENDPOINTS_MAX {
            owned.retain(|key| self.endpoints.get(*key).is_some());
        }
        if owned.len() + 1 >= ENDPOINTS_MAX {
            return Err(KernelError::NoRoom);
        }
        owned.try_reserve(1)?;
        let key = self.new_endpoint(owner)?;
        owned.push(key);
        Ok(key)
    }

    /// Makes an endpoint, which no list has.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn new_endpoint(&mut self, owner: ProcessKey) -> Result<EndpointKey, KernelError> {
        let key = self.endpoints.try_reserve()?;
        let endpoint = Endpoint {
            owner,
            queue: VecDeque::new(),
            receivers: Receivers::default(),
            tokens: 0,
            channels: Vec::new(),
        };
        self.endpoints.put(key, endpoint);
        Ok(key)
    }

    /// Connects two endpoints.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when one is closed, [`KernelError::Exists`]
    /// when they are connected already, [`KernelError::NoRoom`] when one, its
    /// process, or all have too many channels, [`KernelError::NoMemory`].
    pub fn connect(&mut self, sides: [EndpointKey; 2]) -> Result<ChannelKey, KernelError> {
        let [one, other] = sides;
        let lists = [self.channels_of(one)?, self.channels_of(other)?];
        // The shorter list tells as much.
        let [shorter, longer] = match lists[0].len() <= lists[1].len() {
            true => [one, other],
            false => [other, one],
        };
        let mut connected = self.channels_of(shorter)?.iter();
        if connected.any(|key| self.leads_to(*key, longer)) {
            return Err(KernelError::Exists);
        }
        if lists.iter().any(|list| list.len() >= CHANNELS_MAX) {
            return Err(KernelError::NoRoom);
        }
        let owners = self.owners(sides);
        let full = |owner: &ProcessKey| self.channels_charged(*owner) >= PROCESS_CHANNELS_MAX;
        if self.channels.len() >= ALL_CHANNELS_MAX || owners.iter().flatten().any(full) {
            return Err(KernelError::NoRoom);
        }
        self.make_room_to_charge(&owners)?;
        for side in sides {
            let endpoint = self.endpoints.get_mut(side).ok_or(KernelError::NotFound)?;
            endpoint.channels.try_reserve(1)?;
        }
        let key = self.channels.try_reserve()?;
        self.channels.put(key, Channel { sides });
        for side in sides {
            if let Some(endpoint) = self.endpoints.get_mut(side) {
                endpoint.channels.push(key);
            }
        }
        self.charge(&owners, |count| count.saturating_add(1));
        Ok(key)
    }

    /// The processes that a channel counts for: one or two.
    fn owners(&self, sides: [EndpointKey; 2]) -> [Option<ProcessKey>; 2] {
        let [one, other] = sides.map(|key| self.endpoints.get(key).map(|it| it.owner));
        [one, other.filter(|_| other != one)]
    }

    /// Channels of a process's endpoints.
    pub fn channels_charged(&self, owner: ProcessKey) -> usize {
        let count = self.charged.get(owner.index() as usize);
        count.copied().unwrap_or(0).into()
    }

    fn make_room_to_charge(&mut self, owners: &[Option<ProcessKey>]) -> Result<(), KernelError> {
        let indices = owners.iter().flatten().map(|owner| owner.index() as usize);
        let length = indices.max().unwrap_or(0) + 1;
        let missing = length.saturating_sub(self.charged.len());
        self.charged.try_reserve(missing)?;
        self.charged.resize(self.charged.len() + missing, 0);
        Ok(())
    }

    fn charge(&mut self, owners: &[Option<ProcessKey>], change: impl Fn(u16) -> u16) {
        for owner in owners.iter().flatten() {
            if let Some(count) = self.charged.get_mut(owner.index() as usize) {
                *count = change(*count);
            }
        }
    }

    fn channels_of(&self, key: EndpointKey) -> Result<&[ChannelKey], KernelError> {
        let endpoint = self.endpoints.get(key).ok_or(KernelError::NotFound)?;
        Ok(&endpoint.channels)
    }

    fn leads_to(&self, channel: ChannelKey, endpoint: EndpointKey) -> bool {
        let channel = self.channels.get(channel);
        channel.is_some_and(|channel| channel.sides.contains(&endpoint))
    }

    /// Ends an endpoint and its channels; what was queued and who waited is
    /// the caller's to deal with.
    pub fn close(&mut self, key: EndpointKey) -> Option<Endpoint> {
        let channels = core::mem::take(&mut self.endpoints.get_mut(key)?.channels);
        self.gone += 1;
        for channel in channels {
            let Some(ended) = self.channels.remove(channel) else {
                continue;
            };
            let owners = self.owners(ended.sides);
            self.charge(&owners, |count| count.saturating_sub(1));
            let peer = ended.opposite(key);
            if let Some(peer) = peer.and_then(|peer| self.endpoints.get_mut(peer)) {
                peer.channels.retain(|other| *other != channel);
            }
        }
        self.endpoints.remove(key)
    }
}

#[cfg(test)]
mod tests;

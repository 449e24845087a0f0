//! What a thread waits for in a receive or a call, and what came for it.
//!
//! A small message is left here by whoever sends it, and the thread copies it
//! out in its own address space when its turn comes; a larger one goes straight
//! into the pages of its buffer. A thread has its [`Exchange`] from its first
//! such wait on, so that none of this allocates later.

use core::hint::cold_path;

use super::{EndpointKey, SMALL_BYTES};
use crate::error::KernelError;
use crate::object::process::ProcessKey;

/// A thread's side of a receive or a call.
#[derive(Debug)]
pub struct Exchange {
    /// Where what comes is to go.
    pub wanted: Wanted,
    /// It is a call, not a receive.
    pub calls: bool,
    /// How far it is.
    pub stage: Stage,
    /// What came.
    pub arrival: Arrival,
    /// Its bytes lie in the buffer already; otherwise they are the first of `bytes`.
    pub in_place: bool,
    /// The bytes of a small message.
    pub bytes: [u8; SMALL_BYTES],
    /// What its last call named.
    pub called: Route,
    /// What its last receive named.
    pub heard: Route,
}

/// What a channel, or an endpoint, and a token led to when they were looked at.
/// It holds as long as nothing has gone since (specs/veridian.md 4.7).
#[derive(Clone, Copy, Debug, Default)]
pub struct Route {
    id: u64,
    token: u64,
    /// What had gone then: see [`Self::new`].
    gone: u64,
    to: Option<EndpointKey>,
}

impl Route {
    /// Notes where an id and a token lead to. `gone` counts the tokens, endpoints
    /// and channels that have gone, which those that count are among.
    pub fn new(id: u64, token: u64, gone: u64, to: EndpointKey) -> Self {
        Self {
            id,
            token,
            gone,
            to: Some(to),
        }
    }

    /// Where these lead to, if that was noted and holds still.
    #[inline(always)]
    pub fn find(&self, id: u64, token: u64, gone: u64) -> Option<EndpointKey> {
        if self.token != token || self.id != id || self.gone != gone {
            cold_path();
            return None;
        }
        self.to
    }
}

/// What a receive or a call asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Address of the buffer for what comes.
    pub buffer: u64,
    /// Bytes that it has room for.
    pub room: u64,
    /// Address of the structure that tells the rest.
    pub result: u64,
    /// The token that gives the right to it: the wait ends with that.
    pub token: u64,
    /// Nanoseconds until it is given up; `u64::MAX` is for ever.
    pub timeout: u64,
}

/// How far a receive or a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for a message at an endpoint.
    Receiving(EndpointKey),
    /// Its request is queued at an endpoint.
    Queued(EndpointKey),
    /// A process has its request and owes the reply.
    Served(ProcessKey),
    /// It is a call, and a reply is here with which no capability came.
    Answered,
    /// It is over.
    Done(Result<(), KernelError>),
}

/// What came for a thread, beside the bytes: four words, in the order in which
/// programs are told them. With [`KernelError::TooSmall`] only the sender and
/// the length say something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival([u64; 4]);

impl Arrival {
    /// Words that a receiver is told.
    pub const MESSAGE: u64 = 4;
    /// Words that a caller is told.
    pub const REPLY: u64 = 2;

    /// A message of a process: that one's id, and its length in bytes.
    #[inline(always)]
    pub fn new(sender: u64, length: u64) -> Self {
        Self([sender, length, 0, 0])
    }

    /// The same of a call, with the token for the reply.
    #[inline(always)]
    pub fn of_call(sender: u64, length: u64, reply: u64) -> Self {
        Self([sender, length, 0, reply])
    }

    /// Its length in bytes.
    #[inline(always)]
    pub fn length(&self) -> u64 {
        self.0[1]
    }

    /// Token of the capability that came with it; 0 is none.
    #[inline(always)]
    pub fn capability(&self) -> u64 {
        self.0[2]
    }

    /// Token for the reply; 0 is none.
    #[inline(always)]
    pub fn reply(&self) -> u64 {
        self.0[3]
    }

    /// Notes the token of the capability that came with it.
    pub fn set_capability(&mut self, token: u64) {
        self.0[2] = token;
    }

    /// Notes the token for the reply.
    #[inline(always)]
    pub fn set_reply(&mut self, token: u64) {
        self.0[3] = token;
    }

    /// All that a receiver is told: sender, length, capability, reply.
    #[inline(always)]
    pub fn of_message(&self) -> &[u64; 4] {
        &self.0
    }

    /// All that a caller is told: length, capability.
    #[inline(always)]
    pub fn of_reply(&self) -> &[u64; 2] {
        let [_, told @ .., _] = &self.0;
        told
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            wanted: Wanted::default(),
            calls: false,
            stage: Stage::Done(Ok(())),
            arrival: Arrival::default(),
            in_place: false,
            bytes: [0; SMALL_BYTES],
            called: Route::default(),
            heard: Route::default(),
        }
    }
}

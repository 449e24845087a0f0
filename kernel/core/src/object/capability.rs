//! Capabilities: tokens of a process, what they name, and who gave them.
//!
//! A token is local to its process and names a slot of its table; everything
//! that a call needs lies in that slot (`slots.rs`). Who derived or received a
//! capability from whom is a tree over all processes (`tree.rs`), whose nodes
//! know the slot that they stand for. Every capability has exactly one node.
//!
//! How the rest of the kernel uses this:
//!
//! - [`Capabilities::find`] and [`Capabilities::check`] of `process.capabilities`:
//!   a token's [`Capability`]. The order of errors (specs/veridian.md 2.5) is
//!   [`KernelError::BadHandle`] for a token that is none or names something of
//!   another kind, then [`KernelError::NotPermitted`] for a missing right.
//! - `Kernel::grant`: a new token, as a root or as the child of a node.
//! - `Kernel::send_off`, `Kernel::deliver`, `Kernel::abandon`: a capability on
//!   its way in a message. It is a child of the sender's at once, so that it
//!   dies with it: a message whose capability was revoked delivers none.
//! - `Kernel::revoke`: a capability and all below it, in every process.
//! - A new kind of object is a variant of [`Object`], its arms in
//!   [`Object::kind`] and [`Object::id`], and its arms in the two hooks of
//!   `kernel/capabilities.rs`: `lost` (this process may not use it any more:
//!   mappings go, waiting threads look again) and `released` (one reference
//!   less: objects that need the machine to go are given back).

mod rights;
mod slots;
#[cfg(test)]
mod tests;
mod tree;

pub use rights::Rights;
pub use slots::{Capabilities, SLOTS_MAX};
pub use tree::{NODES_MAX, NodeKey, NodeMark, Place, Removed, Tree};

use alloc::rc::Rc;

#[cfg(doc)]
use crate::error::KernelError;
use crate::object::ipc::{ChannelKey, EndpointKey};
use crate::object::memory::MemoryObject;
use crate::object::process::ProcessKey;
use crate::object::stream::Stream;

/// Kinds of objects (specs/veridian.md 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A memory object.
    Memory = 0,
    /// A process.
    Process = 1,
    /// A thread.
    Thread = 2,
    /// A receive queue.
    IpcEndpoint = 3,
    /// A file.
    File = 4,
    /// A device.
    Device = 5,
    /// A link between two endpoints.
    IpcChannel = 6,
    /// An interrupt.
    Interrupt = 7,
    /// A range of I/O ports.
    IoPort = 8,
    /// The right of a process to mint capabilities.
    CapSpace = 9,
    /// A clock.
    Time = 10,
}

impl Kind {
    /// Every kind, in the order of the codes.
    pub const ALL: [Kind; 11] = [
        Kind::Memory,
        Kind::Process,
        Kind::Thread,
        Kind::IpcEndpoint,
        Kind::File,
        Kind::Device,
        Kind::IpcChannel,
        Kind::Interrupt,
        Kind::IoPort,
        Kind::CapSpace,
        Kind::Time,
    ];

    /// The kind with a code.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

/// What a capability names: a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// Memory.
    Memory {
        /// The object itself.
        object: Rc<MemoryObject>,
        /// Its id.
        id: u64,
    },
    /// A process, which may have ended.
    Process {
        /// Its key.
        key: ProcessKey,
        /// Its id.
        id: u64,
    },
    /// A thread, which may have ended.
    Thread {
        /// Its process.
        process: ProcessKey,
        /// Its id there.
        id: u64,
    },
    /// A queue of messages.
    IpcEndpoint {
        /// Its key.
        key: EndpointKey,
    },
    /// A link between two endpoints.
    IpcChannel {
        /// Its key.
        key: ChannelKey,
        /// The side that it sends for.
        side: EndpointKey,
    },
    /// A device: a stream of the console.
    Device(Stream),
    /// The right to mint capabilities.
    CapSpace {
        /// Id of the process whose right it is.
        owner: u64,
        /// Devices can be minted too: the kernel started the process.
        boot: bool,
    },
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Object::Memory { .. } => Kind::Memory,
            Object::Process { .. } => Kind::Process,
            Object::Thread { .. } => Kind::Thread,
            Object::IpcEndpoint { .. } => Kind::IpcEndpoint,
            Object::IpcChannel { .. } => Kind::IpcChannel,
            Object::Device(_) => Kind::Device,
            Object::CapSpace { .. } => Kind::CapSpace,
        }
    }

    /// The endpoint that it is, if it is one.
    #[inline(always)]
    pub fn endpoint(&self) -> Option<EndpointKey> {
        match self {
            Object::IpcEndpoint { key } => Some(*key),
            _ => None,
        }
    }

    /// Its id, as calls name it.
    pub fn id(&self) -> u64 {
        match self {
            Object::Memory { id, .. } | Object::Process { id, .. } | Object::Thread { id, .. } => {
                *id
            }
            Object::IpcEndpoint { key, .. } => key.number(),
            Object::IpcChannel { key, .. } => key.number(),
            Object::Device(_) => CONSOLE,
            Object::CapSpace { owner, .. } => *owner,
        }
    }
}

/// Id of the only device: the console.
pub const CONSOLE: u64 = 1;

/// A token's entry.
#[derive(Debug)]
pub struct Capability {
    /// The whole token, which a lookup compares.
    token: u64,
    /// What it allows.
    pub rights: Rights,
    /// Its place in the tree.
    pub node: NodeKey,
    /// What it names.
    pub object: Object,
}

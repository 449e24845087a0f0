//! Processes: an address space, threads, and what its ABI keeps.

use alloc::boxed::Box;
use alloc::vec::Vec;

use mayfly_abi::Abi;

use crate::object::capability::Capabilities;
use crate::object::exit::ExitRef;
use crate::object::file::Handles;
use crate::object::futex::Futexes;
use crate::object::ipc::{EndpointKey, Holdings};
use crate::object::join::Joins;
use crate::object::memory::Space;
use crate::object::namespace::View;
use crate::object::thread::ThreadKey;
use crate::port::{PageFrame, Port};
use crate::slab::Key;

/// A process in the kernel's table.
pub struct Process<P: Port> {
    /// Its own key.
    pub key: ProcessKey,
    /// Number that no other process of this kernel has, whatever its ABI.
    pub number: u64,
    /// Number of the process that made it; 0 is the host.
    pub parent: u64,
    /// Id of the process that made it, as that one's ABI has it; 0 is the host.
    pub parent_id: u64,
    /// Number of the program that the host started and it came of: its output
    /// is that program's.
    pub console: u64,
    /// Its system-call interface.
    pub abi: Abi,
    /// Where its calls go first.
    pub gate: Gate,
    /// The next call panics the kernel (a test asked for it).
    pub panics: bool,
    /// It has an image, and its first thread registers to run it with.
    pub loaded: bool,
    /// System calls so far.
    pub calls: u64,
    /// System calls recorded so far.
    pub records: u64,
    /// Process id, as its ABI has it.
    pub id: u64,
    /// What whoever made it calls it, where that is of another ABI.
    pub alias: Option<(Abi, u64)>,
    /// Its arguments, each NUL-terminated.
    pub arguments: Vec<u8>,
    /// Its memory.
    pub space: Space<P::Machine>,
    /// Its threads that are not gone.
    pub threads: Vec<ThreadKey>,
    /// Threads it has had: their ids go on from here, where its ABI counts so.
    pub threads_made: u64,
    /// Bytes of its heap so far (XenevaOS).
    pub heap: u64,
    /// Exit codes of its threads, once one has left one (VeridianOS).
    pub joins: Option<Box<Joins>>,
    /// Its threads that wait on addresses.
    pub futexes: Futexes,
    /// How it ends, for whoever waits for that.
    pub exit: ExitRef,
    /// Ticks at its start.
    pub started: u64,
    /// Time on the processor so far.
    pub spent: Spent,
    /// It makes calls for the host.
    pub probe: Option<Probe>,
    /// Its descriptors (PatchworkOS, XenevaOS).
    pub handles: Handles,
    /// How it sees files (PatchworkOS, XenevaOS).
    pub view: View,
    /// The endpoint that it started with (VeridianOS).
    pub endpoint: Option<EndpointKey>,
    /// The endpoints that it made, and the replies that it owes, once it has any.
    pub holdings: Option<Box<Holdings>>,
    /// Its tokens (VeridianOS).
    pub capabilities: Capabilities,
}

impl<P: Port> Process<P> {
    /// Programs of an interface know it by that id.
    pub fn is(&self, abi: Abi, id: u64) -> bool {
        (self.abi, self.id) == (abi, id) || self.alias == Some((abi, id))
    }
}

/// Time that a process has had, in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// On the processor, the kernel's work for it included.
    pub running: u64,
    /// In its system calls, since somebody first asked or it was traced.
    pub calls: u64,
}

/// Where a system call goes first: one test for the ABI and for being watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// To XenevaOS's services.
    Xeneva,
    /// To PatchworkOS's calls.
    Patchwork,
    /// To VeridianOS's calls.
    Veridian,
    /// It is timed on its way, because somebody has asked for the times.
    Timed,
    /// It is recorded on its way, or a test wants it to panic.
    Watched,
}

impl Gate {
    /// The gate of an interface.
    pub const fn of(abi: Abi) -> Self {
        match abi {
            Abi::Xeneva => Gate::Xeneva,
            Abi::Patchwork => Gate::Patchwork,
            Abi::Veridian => Gate::Veridian,
        }
    }

    /// The same, with times told.
    pub const fn timed(self) -> Self {
        match self {
            Gate::Watched => Gate::Watched,
            _ => Gate::Timed,
        }
    }
}

/// A process that makes calls for the host (`kernel/probe.rs`).
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Address of its first instruction.
    pub entry: u64,
    /// Address of the instruction it stops at.
    pub stop: u64,
    /// Stack pointer of every call.
    pub stack: u64,
    /// Number of its last call.
    pub number: u64,
    /// The host's request that it answers, and the size of its buffer.
    pub request: u32,
    /// See above.
    pub room: u32,
    /// Its mailbox, if the call under way was put there by the host.
    pub mailbox: Option<PageFrame>,
}

/// Key of a process.
pub type ProcessKey = Key<ProcessMark>;

/// Marks keys of processes, whatever the port.
#[derive(Debug)]
pub enum ProcessMark {}

/// Boxes of processes, as tables hold them.
pub type ProcessBox<P> = Box<Process<P>>;

/// What ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It asked.
    Exit,
    /// A processor exception in ring 3.
    Fault(Fault),
    /// The host asked.
    Killed,
    /// No memory was left for a page it touched.
    OutOfMemory,
    /// Its executable could not be loaded.
    LoadFailed,
}

/// A processor exception in ring 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Exception vector.
    pub vector: u64,
    /// Error code the processor pushed, or 0.
    pub error: u64,
    /// Address that was accessed (page faults), or 0.
    pub address: u64,
    /// Instruction pointer.
    pub rip: u64,
    /// Stack pointer.
    pub rsp: u64,
}

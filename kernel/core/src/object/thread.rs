//! Threads: registers, what they wait for, and their place in the schedule.

use crate::object::ipc::Exchange;
use crate::object::process::{Process, ProcessKey};
use crate::port::{Machine, Owner, Port};
use crate::schedule::PRIORITY_DEFAULT;
use crate::slab::Key;
use crate::trace::CallInFlight;
use alloc::boxed::Box;
use core::hint::cold_path;

/// A thread in the kernel's table. Boxed: it moves in and out of the table.
pub struct Thread<P: Port> {
    /// Its own key.
    pub key: ThreadKey,
    /// Its process.
    pub process: ProcessKey,
    /// Its place among the threads of its process.
    pub place: usize,
    /// Thread id, as its ABI has it.
    pub id: u64,
    /// Registers; the running thread's are in [`crate::kernel::Running`].
    pub context: Option<<P::Machine as Machine>::Context>,
    /// Priority, 0 to 63, higher first (specs/patchwork.md §3).
    pub priority: u8,
    /// What it is parked for.
    pub wait: Option<Wait>,
    /// Counts the waits, so that a late timer knows it is late.
    pub wait_number: u32,
    /// When the call that it is parked in gives up, if it has such a time.
    pub deadline: Option<u64>,
    /// How much of a long call is done, whose rest it is to have a turn for.
    pub done: u64,
    /// That time has come.
    pub timed_out: bool,
    /// A note has ended its wait.
    pub interrupted: bool,
    /// A signal has come that no wait for one has ended with (XenevaOS).
    pub signalled: bool,
    /// Error number of its last failed call (PatchworkOS keeps one per thread).
    pub errno: u32,
    /// Its side of a receive or a call, from the first one on.
    pub exchange: Option<Box<Exchange>>,
    /// The call being traced.
    pub call: Option<CallInFlight>,
}

impl<P: Port> Thread<P> {
    /// A thread that has no registers yet.
    pub fn new(key: ThreadKey, process: ProcessKey, id: u64, place: usize) -> Self {
        Self {
            key,
            process,
            place,
            id,
            context: None,
            priority: PRIORITY_DEFAULT,
            wait: None,
            wait_number: 0,
            deadline: None,
            done: 0,
            timed_out: false,
            interrupted: false,
            signalled: false,
            errno: 0,
            exchange: None,
            call: None,
        }
    }

    /// What the report of a panic says of it.
    pub fn owner(&self, process: &Process<P>) -> Owner {
        Owner {
            process: process.number,
            thread: self.id,
            abi: process.abi.code(),
        }
    }

    /// Its side of a receive or a call.
    #[inline(always)]
    pub fn exchange(&mut self) -> &mut Exchange {
        match self.exchange {
            Some(ref mut exchange) => exchange,
            None => self.exchange.insert(Box::default()),
        }
    }

    /// It waits still: it has not gone on since a wait of that number began.
    #[inline(always)]
    pub fn waits(&self, wait_number: u32) -> bool {
        self.wait.is_some() && self.wait_number == wait_number
    }

    /// Its side of the receive or the call that it waits in still.
    #[inline(always)]
    pub fn waiting(&mut self, wait_number: u32) -> Option<&mut Exchange> {
        if self.wait_number != wait_number {
            cold_path();
            return None;
        }
        // A thread that is put away waits if the number is its wait's.
        debug_assert!(self.wait.is_some());
        let exchange = self.exchange.as_deref_mut();
        if exchange.is_none() {
            cold_path();
        }
        exchange
    }

    /// Its wait is over: what else it waited in may not wake it a second time.
    /// Says its priority, for whoever lets it run.
    #[inline(always)]
    pub fn end_wait(&mut self) -> u8 {
        self.wait_number = self.wait_number.wrapping_add(1);
        self.priority
    }

    /// Notes what the thread waits for from now on.
    #[inline(always)]
    pub fn park(&mut self, wait: Wait) {
        self.wait = Some(wait);
        self.wait_number = self.wait_number.wrapping_add(1);
    }
}

/// Key of a thread.
pub type ThreadKey = Key<ThreadMark>;

/// Marks keys of threads, whatever the port.
#[derive(Debug)]
pub enum ThreadMark {}

/// What a parked thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A time.
    Sleep,
    /// Something in a [`crate::object::wait::WaitQueue`]: the call is made
    /// again, with the registers it was made with.
    Retry,
    /// A wake-up at an address of its process ([`crate::object::futex`]).
    Futex {
        /// The address.
        address: u64,
    },
    /// The end of a process, of which there is nothing to tell.
    End,
    /// A signal, of which nothing is told but that it came.
    Pause,
    /// To be started by whoever made its process.
    Start,
    /// Its first turn: its process loads its image, unless it has one.
    Load,
    /// A message or a reply: [`Thread::exchange`] says which, and what came.
    Exchange,
    /// The host's next request (probe processes).
    Request,
    /// Its next turn, in which the machine stands still for the host to put a
    /// call into its mailbox (probe processes).
    Mailbox,
}

/// Boxes of threads, as tables hold them.
pub type ThreadBox<P> = Box<Thread<P>>;

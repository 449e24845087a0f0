//! The kernel as a whole: what exists, what runs now, and the turn of a thread.
//!
//! The loop around this is `kernel/src/runner.rs`: it takes a thread that could
//! run ([`Kernel::dispatch`]), lets it run until it stops ([`Kernel::run`]), and
//! looks after the host and the clock in between. The running thread and its
//! process are out of their tables and owned by that loop.
//!
//! - `start.rs`: new processes. `load.rs`: their images. `child.rs`: those that
//!   processes make.
//! - `threads.rs`: more threads. `end.rs`: faults and ends. `lookup.rs`: who there is.
//! - `capabilities.rs`: capabilities that come, move and go.
//! - `others.rs`: what one process does to another. `watched.rs`: traced and timed calls.
//! - `ipc.rs`, `reply.rs`: messages between threads. `wake.rs`, `switch.rs`: who goes on.

mod capabilities;
mod child;
mod end;
mod ipc;
mod load;
mod lookup;
mod others;
mod probe;
mod reply;
mod start;
mod switch;
mod threads;
mod wake;
mod watched;

pub use child::Child;
pub use ipc::{Parcel, Receipt, Short};
pub use load::{LoadError, Source};
pub use probe::{ProbeCall, ProbeResult};
pub use start::{Input, SpawnError, SpawnRequest};

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::OnceCell;

use crate::bundle::Bundles;
use crate::object::capability::Tree;
use crate::object::collect::Records;
use crate::object::exit::Exited;
use crate::object::file::FileRef;
use crate::object::files::Files;
use crate::object::ipc::Ipc;
use crate::object::note::Notes;
use crate::object::process::{Cause, Gate, Process, ProcessKey, ProcessMark};
use crate::object::reap::Reaper;
use crate::object::segment::Segments;
use crate::object::thread::{Thread, ThreadKey, ThreadMark, Wait};
use crate::object::usage::Clocks;
use crate::object::wait::{Entry, WaitQueue};
use crate::personality::veridian::Served;
use crate::personality::{patchwork, veridian, xeneva};
use crate::port::{Machine, Port, Reason};
use crate::schedule::{RunQueue, Timers};
use crate::slab::Table;

/// Everything there is.
pub struct Kernel<P: Port> {
    /// The processor and its memory.
    pub machine: P::Machine,
    /// The host side.
    pub host: P::Host,
    /// Files that came with the kernel.
    pub bundles: Bundles,
    /// What the processor has been used for.
    pub clocks: Clocks,
    processes: Table<ProcessMark, Box<Process<P>>>,
    threads: Table<ThreadMark, Box<Thread<P>>>,
    ready: RunQueue,
    timers: Timers,
    /// Deadline that the machine's timer is set to.
    armed: Option<u64>,
    /// The timer fires by the end of the running thread's slice.
    sliced: bool,
    /// A call has given up the processor before it was done.
    long: bool,
    /// The thread that was handed the processor: it runs next.
    next: Option<ThreadKey>,
    /// Thread whose vector registers and tables the machine has.
    loaded: Option<ThreadKey>,
    ids: start::Ids,
    /// Who got which capability from whom.
    capabilities: Tree,
    /// Processes that are to be collected (VeridianOS).
    pub(crate) records: Records,
    /// Endpoints and channels.
    pub(crate) ipc: Ipc,
    /// Processes that have ended and are to be reaped (XenevaOS).
    pub(crate) reaper: Reaper,
    /// Memory under keys (XenevaOS).
    pub(crate) segments: Segments,
    /// Children that whoever made them loads later (XenevaOS).
    slots: Vec<ProcessKey>,
    /// The last processes that ended.
    pub(crate) exited: Exited,
    /// Notes that have not come to their thread yet.
    notes: Notes,
    /// Ticks when the running thread was dispatched.
    dispatched: u64,
    /// Files of the standard streams, once a process has them.
    streams: Option<[FileRef; 3]>,
    /// What random numbers are made of.
    pub(crate) seed: u64,
    /// What all files share, once a program has named one.
    pub(crate) files: OnceCell<Rc<Files>>,
}

/// The thread that runs now, and its process.
pub struct Running<P: Port> {
    /// The thread.
    pub thread: Box<Thread<P>>,
    /// Its id, at hand: programs ask for it all the time.
    pub thread_id: u64,
    /// Its registers.
    pub context: <P::Machine as Machine>::Context,
    /// Its process.
    pub process: Box<Process<P>>,
    /// How the process ends, with [`Flow::End`], or the thread, with
    /// [`Flow::EndThread`], where that leaves a code.
    ending: Option<(Cause, i64)>,
}

/// How a system call, a fault or a wake-up goes on. Two words, so that it
/// travels in registers; what is rare lies in [`Running`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Back to ring 3 with this result.
    Return(u64),
    /// Back to ring 3 with registers as they are.
    Resume,
    /// A call is awaited in the mailbox of this probe, standing still.
    Await,
    /// Others have a turn first; then back with this result.
    Yield(u64),
    /// Others have a turn first; then back with registers as they are.
    Preempt,
    /// The thread is parked (`Running::park`) until something wakes it.
    Park,
    /// The thread is parked until then (nanoseconds since boot).
    ParkUntil(u64),
    /// The thread is parked, and `Kernel::next`, which is not, runs at once.
    HandOver,
    /// The thread ends, and its process with its last one.
    EndThread,
    /// The process ends (`Running::end`).
    End,
}

impl<P: Port> Running<P> {
    /// Parks the thread: until `deadline` (nanoseconds since boot), or until
    /// something wakes it.
    pub(crate) fn park(&mut self, wait: Wait, deadline: Option<u64>) -> Flow {
        self.thread.park(wait);
        deadline.map_or(Flow::Park, Flow::ParkUntil)
    }

    /// Parks the thread until a queue is woken or its deadline comes; then the
    /// call is made again. A call that may wait for more than one thing enters
    /// the other queues itself, with [`Running::entry`], after this.
    pub(crate) fn wait_in(&mut self, queue: &WaitQueue) -> Flow {
        let flow = self.park(Wait::Retry, self.thread.deadline);
        queue.enter(self.entry());
        flow
    }

    /// The running thread's entry for a queue, once it is parked.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            thread: self.thread.key,
            wait: self.thread.wait_number,
        }
    }

    /// When the call gives up: `timeout` nanoseconds after it was first made;
    /// never for `u64::MAX`.
    pub(crate) fn give_up_after(&mut self, machine: &P::Machine, timeout: u64) {
        if self.thread.deadline.is_none() {
            self.thread.deadline = match timeout {
                u64::MAX => None,
                timeout => machine.now().checked_add(timeout),
            };
        }
    }

    /// Ends the process with the exit status its ABI gives.
    pub(crate) fn end(&mut self, cause: Cause, status: i64) -> Flow {
        self.ending = Some((cause, status));
        Flow::End
    }
}

impl<P: Port> Kernel<P> {
    /// A kernel without processes.
    pub fn new(machine: P::Machine, host: P::Host) -> Self {
        Self {
            // Nobody knows exactly when that was.
            seed: machine.ticks(),
            machine,
            host,
            bundles: Bundles::default(),
            clocks: Clocks::default(),
            processes: Table::default(),
            threads: Table::default(),
            ready: RunQueue::default(),
            timers: Timers::default(),
            armed: None,
            sliced: false,
            long: false,
            next: None,
            loaded: None,
            ids: start::Ids::default(),
            files: OnceCell::new(),
            capabilities: Tree::default(),
            records: Records::default(),
            ipc: Ipc::default(),
            reaper: Reaper::default(),
            segments: Segments::default(),
            slots: Vec::new(),
            exited: Exited::default(),
            notes: Notes::default(),
            dispatched: 0,
            streams: None,
        }
    }

    /// Takes the next thread that could run and loads it into the machine.
    pub fn dispatch(&mut self) -> Option<Running<P>> {
        self.wake_hung_up();
        loop {
            let key = match self.next.take() {
                Some(key) => key,
                None => self.ready.pop()?,
            };
            let Some(mut thread) = self.threads.take(key) else {
                continue;
            };
            let Some(process) = self.processes.take(thread.process) else {
                // Its process ended while it was queued.
                self.threads.remove(key);
                continue;
            };
            let context = thread
                .context
                .take()
                .expect("a thread that is not running keeps its registers");
            if self.loaded != Some(key) {
                let previous = self.loaded.and_then(|key| self.threads.get_mut(key));
                let previous = previous.and_then(|thread| thread.context.as_mut());
                self.machine
                    .switch(previous, &context, process.space.tables());
                self.loaded = Some(key);
            }
            if !self.ready.is_empty() {
                self.slice();
            }
            self.deliver_notes(key);
            self.dispatched = self.machine.ticks();
            return Some(Running {
                thread_id: thread.id,
                thread,
                context,
                process,
                ending: None,
            });
        }
    }

    /// Runs a thread until it parks, is preempted, or ends.
    pub fn run(&mut self, running: Running<P>) {
        self.run_turns::<false>(running);
    }

    /// Runs a thread, and those that it leaves the processor to, until one is
    /// interrupted or ends, or nobody could run.
    pub fn run_on(&mut self, running: Running<P>) {
        self.run_turns::<true>(running);
    }

    #[inline(always)]
    fn run_turns<const ON: bool>(&mut self, mut running: Running<P>) {
        let mut flow = self.resume(&mut running);
        loop {
            if flow == Flow::Resume {
                flow = self.run_ring_3::<ON>(&mut running);
            } else if flow == Flow::Await {
                flow = self.await_call(&mut running);
                continue;
            }
            if ON {
                flow = self.pass_on(&mut running, flow);
            }
            if !(ON && (flow == Flow::Resume || flow == Flow::Await)) {
                return self.leave(running, flow);
            }
        }
    }

    /// Runs a thread as long as its calls and faults return; if `ON`, those too
    /// that it hands over to.
    #[inline(always)]
    fn run_ring_3<const ON: bool>(&mut self, running: &mut Running<P>) -> Flow {
        loop {
            let flow = match self.machine.run(&mut running.context) {
                Reason::Syscall => {
                    running.process.calls += 1;
                    match running.process.gate {
                        Gate::Xeneva => xeneva::serve(self, running),
                        Gate::Patchwork => patchwork::serve(self, running),
                        Gate::Veridian if ON => match veridian::serve(self, running) {
                            Served::AtOnce(Short::Over | Short::Flow(Flow::Resume)) => continue,
                            Served::AtOnce(Short::Flow(flow)) => return flow,
                            Served::InFull(flow) => flow,
                        },
                        Gate::Veridian => veridian::serve_in_full(self, running),
                        Gate::Timed | Gate::Watched => self.watched_call(running),
                    }
                }
                Reason::Fault => self.fault(running),
                Reason::Interrupt => Flow::Preempt,
            };
            // The commonest first, and by itself.
            if let Flow::Return(value) = flow {
                P::Machine::registers_mut(&mut running.context).rax = value;
                continue;
            }
            if flow != Flow::Resume {
                return flow;
            }
        }
    }

    /// Puts a thread away that does not go on now.
    fn leave(&mut self, mut running: Running<P>, flow: Flow) {
        self.loaded = Some(running.thread.key);
        match flow {
            Flow::Return(value) | Flow::Yield(value) => {
                P::Machine::registers_mut(&mut running.context).rax = value;
                self.ready.push(running.thread.key, running.thread.priority);
            }
            Flow::Resume | Flow::Await | Flow::Preempt => {
                self.ready.push(running.thread.key, running.thread.priority);
            }
            Flow::Park | Flow::HandOver => {}
            Flow::ParkUntil(deadline) => {
                self.timers.set(deadline, running.thread.key);
                if self.armed.is_none_or(|armed| deadline < armed) {
                    self.arm(deadline);
                }
            }
            Flow::End => return self.end(running),
            Flow::EndThread => return self.end_thread(running),
        }
        let Running {
            mut thread,
            context,
            mut process,
            ..
        } = running;
        process.spent.running += self.machine.ticks().wrapping_sub(self.dispatched);
        thread.context = Some(context);
        self.processes.put(process.key, process);
        self.threads.put(thread.key, thread);
    }
}

#[cfg(test)]
mod tests;

//! Which processes there are, and how those that are over have ended.

use mayfly_abi::Abi;

use super::{Kernel, Running};
use crate::object::exit::ExitRef;
use crate::object::process::{Process, ProcessKey};
use crate::port::{Machine, Port};

impl<P: Port> Kernel<P> {
    /// Processes that are not gone.
    pub fn process_count(&self) -> usize {
        self.processes.len()
    }

    /// Threads that are not gone.
    pub fn thread_count(&self) -> usize {
        self.threads.len()
    }

    /// What processes hold and leave besides memory: descriptors, open files
    /// under keys, capabilities, endpoints, channels and long messages in their
    /// queues, and the ends of processes that somebody may ask for.
    pub fn object_count(&self) -> usize {
        let processes = self.processes.iter();
        let descriptors: usize = processes
            .map(|(_, process)| process.handles.iter().count())
            .sum();
        let shares = self
            .files
            .get()
            .map_or(0, |files| files.shares.borrow().len());
        let (endpoints, channels, _) = self.ipc_count();
        let messages = usize::try_from(self.ipc.pages_used()).unwrap_or(usize::MAX);
        let ends = self.exited.len() + self.records.len();
        descriptors + shares + self.capabilities.len() + endpoints + channels + messages + ends
    }

    /// A process that is not running now, by its number.
    pub fn process_by_number(&self, number: u64) -> Option<ProcessKey> {
        let mut all = self.processes.iter();
        all.find(|(_, process)| process.number == number)
            .map(|(key, _)| key)
    }

    /// A process that is not running now.
    pub fn process(&self, key: ProcessKey) -> Option<&Process<P>> {
        self.processes.get(key).map(|process| &**process)
    }

    /// A process that is not running now, to change.
    pub fn process_mut(&mut self, key: ProcessKey) -> Option<&mut Process<P>> {
        self.processes.get_mut(key).map(|process| &mut **process)
    }

    /// A process that is not running now, by the id that programs of an
    /// interface know it by.
    pub fn process_by_id(&self, abi: Abi, id: u64) -> Option<ProcessKey> {
        let mut all = self.processes.iter();
        all.find(|(_, process)| process.is(abi, id))
            .map(|(key, _)| key)
    }

    /// A process of the running one's interface has that id.
    pub(crate) fn is_process(&self, running: &Running<P>, id: u64) -> bool {
        let abi = running.process.abi;
        running.process.id == id || self.process_by_id(abi, id).is_some()
    }

    /// The end, to come or past, of a process that is not running now, by the
    /// id that programs of an interface know it by.
    pub fn exit_of(&mut self, abi: Abi, id: u64) -> Option<ExitRef> {
        let mut all = self.processes.iter();
        let lives = all.find(|(_, process)| process.is(abi, id));
        match lives {
            Some((_, process)) => Some(ExitRef::clone(&process.exit)),
            None => self.exited.find(self.machine.now(), abi, id),
        }
    }
}

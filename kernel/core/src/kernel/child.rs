//! Processes that processes make: made, loaded, started, each in its own time.
//!
//! A child begins with the interface of whoever makes it, what that hands over
//! ([`Child`]), an empty space and a thread that waits ([`Wait::Start`]).
//!
//! - [`Kernel::create_child`] makes it; nothing runs yet.
//! - [`Kernel::load_child`] loads an image while its maker runs. A child that is
//!   started without one loads it in its own first turn ([`Wait::Load`]), as
//!   its personality says, and ends if it cannot.
//! - [`Kernel::start_child`] lets it run.
//! - [`Kernel::create_slot`] makes one that is to be loaded by a later call; as
//!   long as it is not, it goes with its maker.
//!
//! A child goes on when its maker ends. When the host kills a program that it
//! started, everything that came of it ends too ([`Kernel::kill_program`]).

use alloc::vec::Vec;

use super::start::Birth;
use super::{Kernel, LoadError, Running, Source};
use crate::error::KernelError;
use crate::object::file::Handles;
use crate::object::namespace::View;
use crate::object::process::Process;
use crate::object::process::{Cause, Gate, ProcessKey};
use crate::object::thread::Wait;
use crate::personality;
use crate::port::{Machine, Port};

/// What a process hands over to one that it makes.
pub struct Child {
    /// Arguments, each NUL-terminated.
    pub arguments: Vec<u8>,
    /// Descriptors.
    pub handles: Handles,
    /// How it sees files.
    pub view: View,
}

impl<P: Port> Kernel<P> {
    /// Descriptors of a child whose maker has none of its own: the standard
    /// streams that the maker was given, or the host's with what it sends him.
    pub(crate) fn standard_handles(&mut self, maker: &Process<P>) -> Handles {
        if !maker.handles.is_empty() {
            return personality::given_handles(&maker.handles);
        }
        let streams = self
            .streams
            .get_or_insert_with(personality::standard_streams);
        let input = maker.capabilities.console_input.clone();
        personality::standard_handles(streams, input)
    }

    /// Makes a process for the running one; says the id that programs of the
    /// running one's interface know it by. It has the running thread's
    /// priority, is traced and limited as its maker is, and waits to be started.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn create_child(
        &mut self,
        running: &Running<P>,
        child: Child,
    ) -> Result<(ProcessKey, u64), KernelError> {
        let maker = &running.process;
        let space = self.new_space(maker.space.frames_max())?;
        let birth = Birth {
            abi: maker.abi,
            traced: maker.gate == Gate::Watched,
            space,
            made_by: Some((maker.number, maker.console)),
            arguments: child.arguments,
            handles: child.handles,
            view: child.view,
        };
        let (mut process, mut thread) = self.bear(birth);
        thread.priority = running.thread.priority;
        thread.context = Some(self.machine.context());
        thread.park(Wait::Start);
        let id = process.id;
        process.parent_id = maker.id;
        Ok((self.admit(process, thread), id))
    }

    /// Makes a child that anybody may load later; without an image it goes with
    /// the running process.
    ///
    /// # Errors
    /// As [`Kernel::create_child`].
    pub fn create_slot(&mut self, running: &Running<P>, child: Child) -> Result<u64, KernelError> {
        let (key, id) = self.create_child(running, child)?;
        self.slots.push(key);
        Ok(id)
    }

    /// Ends a child that has no image, and will have none.
    pub fn drop_child(&mut self, key: ProcessKey) {
        let process = self.processes.get(key);
        if process.is_some_and(|process| !process.loaded)
            && let Some(process) = self.processes.take(key)
        {
            let status = personality::load_failed_status(process.abi);
            self.bury_other(process, Cause::LoadFailed, status);
        }
    }

    /// A process is gone, and nobody loads what it has made for that.
    #[cold]
    pub(super) fn drop_slots(&mut self, maker: u64) {
        let made = |key: &ProcessKey| {
            let process = self.processes.get(*key);
            process.is_none_or(|process| process.parent == maker)
        };
        let (gone, kept) = self.slots.iter().copied().partition::<Vec<_>, _>(made);
        self.slots = kept;
        for key in gone {
            self.drop_child(key);
        }
    }

    /// Loads an image into a child that has none and was not started. If it
    /// cannot be, the child is gone.
    ///
    /// # Errors
    /// [`LoadError`]; [`KernelError::NotFound`] inside, and no change, when
    /// that is no such child.
    pub fn load_child(
        &mut self,
        key: ProcessKey,
        source: &mut Source<'_, P::Machine>,
    ) -> Result<(), LoadError> {
        let thread_key = self.unstarted(key)?;
        let (Some(mut process), Some(mut thread)) =
            (self.processes.take(key), self.threads.take(thread_key))
        else {
            return Err(KernelError::NotFound.into());
        };
        if process.loaded {
            self.admit(process, thread);
            return Err(KernelError::NotFound.into());
        }
        let context = thread.context.take();
        let mut context = context.expect("a thread that is not running keeps its registers");
        self.slots.retain(|slot| *slot != key);
        let loaded = self.load(&mut process, &mut thread, &mut context, source);
        thread.context = Some(context);
        self.tell_of(&process);
        match loaded {
            Ok(()) => drop(self.admit(process, thread)),
            Err(_) => {
                let status = personality::load_failed_status(process.abi);
                self.bury_other(process, Cause::LoadFailed, status);
            }
        }
        loaded
    }

    /// Lets a child run that waits for that.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when that is no such child.
    pub fn start_child(&mut self, key: ProcessKey) -> Result<(), KernelError> {
        let thread_key = self.unstarted(key)?;
        if let Some(thread) = self.threads.get_mut(thread_key) {
            thread.wait = Some(Wait::Load);
        }
        self.wake(thread_key);
        // Whoever runs now was alone perhaps, and had no end of its slice.
        self.slice();
        Ok(())
    }

    /// It is a child that was not started.
    pub(super) fn is_unstarted(&self, key: ProcessKey) -> bool {
        self.unstarted(key).is_ok()
    }

    /// The thread of a child that was not started.
    fn unstarted(&self, key: ProcessKey) -> Result<crate::object::thread::ThreadKey, KernelError> {
        let process = self.processes.get(key).ok_or(KernelError::NotFound)?;
        let key = process.threads.first().copied();
        let thread = key.and_then(|key| self.threads.get(key));
        let waits = thread.filter(|thread| thread.wait == Some(Wait::Start));
        Ok(waits.ok_or(KernelError::NotFound)?.key)
    }
}

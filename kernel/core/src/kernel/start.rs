//! New processes: those that the host starts, and what all have in common.

use alloc::boxed::Box;
use alloc::vec::Vec;

use mayfly_abi::Abi;

use super::Kernel;
use super::load::{LoadError, Source, check_start};
use crate::error::KernelError;
use crate::loader::{self, ImageError};
use crate::object::capability::Capabilities;
use crate::object::exit::ExitRef;
use crate::object::file::Handles;
use crate::object::futex::Futexes;
use crate::object::memory::{Region, Space};
use crate::object::namespace::View;
use crate::object::process::{Gate, Process, ProcessBox, ProcessKey, Spent};
use crate::object::thread::{Thread, ThreadBox};
use crate::personality;
use crate::port::{Line, Machine, Port};

/// Frames that are kept for the kernel's own needs: page tables, mostly.
const FRAMES_KEPT: u64 = 64;

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct SpawnRequest<'a> {
    /// Interface; `None` lets the executable say.
    pub abi: Option<Abi>,
    /// Name of the executable in a bundle.
    pub program: &'a str,
    /// Arguments, each NUL-terminated, argv\[0\] first.
    pub arguments: &'a [u8],
    /// Record every call.
    pub traced: bool,
    /// Most frames the process may own; 0 is no limit of its own.
    pub frames_max: u64,
    /// Its standard input.
    pub input: Input,
}

/// Where a new process's standard input comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// It is at its end.
    #[default]
    Empty,
    /// The host sends it ([`Kernel::feed`]).
    Sent,
    /// It is the terminal on that line, and so are the outputs.
    Terminal(Line),
}

/// Why a process cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// No bundle has such a file.
    NoProgram,
    /// The file cannot be loaded.
    BadImage(ImageError),
    /// Neither the request nor the executable names an interface.
    NoAbi,
    /// Memory or a table is full.
    NoRoom,
    /// The arguments do not fit the new process's stack.
    BadArguments,
}

impl From<LoadError> for SpawnError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Image(error) => SpawnError::BadImage(error),
            LoadError::Arguments => SpawnError::BadArguments,
            LoadError::Kernel(_) => SpawnError::NoRoom,
        }
    }
}

/// Numbers for the next process: the kernel's own, and one for each ABI.
#[derive(Default)]
pub(super) struct Ids {
    last_number: u64,
    /// Of the threads whose ids are of one space, whoever's they are.
    last_thread: u16,
    last_of_abi: [u64; Abi::ALL.len()],
}

impl Ids {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Id of a process's first thread.
    #[inline]
    pub(super) fn first_thread(&mut self, abi: Abi) -> u64 {
        match personality::first_thread_id(abi) {
            Some(id) => id,
            None => self.thread(),
        }
    }

    /// The next id of 16 bits: neither 0 nor all ones. They begin anew after
    /// the last one, as nothing finds a thread by such an id.
    pub(super) fn thread(&mut self) -> u64 {
        self.last_thread = match self.last_thread {
            last if last >= u16::MAX - 1 => 1,
            last => last + 1,
        };
        self.last_thread.into()
    }

    /// An id that no process of the interface had before.
    pub(super) fn id(&mut self, abi: Abi) -> u64 {
        let last = &mut self.last_of_abi[usize::from(abi.code()) - 1];
        *last += 1;
        *last + personality::first_process_id(abi) - 1
    }
}

/// What a process begins with, its image apart.
pub(super) struct Birth<M: Machine> {
    pub(super) abi: Abi,
    /// Its calls are recorded.
    pub(super) traced: bool,
    pub(super) space: Space<M>,
    /// Numbers of whoever made it and of the program it came of; the host has none.
    pub(super) made_by: Option<(u64, u64)>,
    pub(super) arguments: Vec<u8>,
    pub(super) handles: Handles,
    pub(super) view: View,
}

impl<P: Port> Kernel<P> {
    /// Makes a process; it runs when its turn comes.
    ///
    /// # Errors
    /// [`SpawnError`]; nothing is left of a process that could not be made.
    pub fn spawn(&mut self, request: &SpawnRequest<'_>) -> Result<ProcessKey, SpawnError> {
        let input = (request.input == Input::Sent).then(|| self.input());
        let input = input.transpose().map_err(|_| SpawnError::NoRoom)?;
        let key = self.create(request, &[])?;
        if let Some(input) = input {
            self.connect(key, input);
        } else if let Input::Terminal(line) = request.input {
            let Ok(terminal) = self.terminal(line) else {
                self.kill(key);
                return Err(SpawnError::NoRoom);
            };
            self.attach(key, terminal);
        }
        for thread in self.threads_of(key) {
            self.wake(thread);
        }
        Ok(key)
    }

    /// Makes a process whose thread is parked, with regions besides its image's.
    pub(super) fn create(
        &mut self,
        request: &SpawnRequest<'_>,
        regions: &[Region],
    ) -> Result<ProcessKey, SpawnError> {
        let file = self
            .bundles
            .find(request.program)
            .ok_or(SpawnError::NoProgram)?;
        let image = loader::read(file.contents).map_err(SpawnError::BadImage)?;
        let abi = request.abi.or(image.abi).ok_or(SpawnError::NoAbi)?;
        check_start(abi, &image).map_err(SpawnError::BadImage)?;
        if request.arguments.last().is_some_and(|last| *last != 0) {
            return Err(SpawnError::BadArguments);
        }
        let limit = match request.frames_max {
            0 => u64::MAX,
            limit => limit,
        };
        let mut space = self.new_space(limit).map_err(|_| SpawnError::NoRoom)?;
        for region in regions {
            // Regions of the kernel's own making fit an empty space.
            let _added = space.add(&self.machine, *region);
        }
        let streams = self
            .streams
            .get_or_insert_with(personality::standard_streams);
        let birth = Birth {
            abi,
            traced: request.traced,
            space,
            made_by: None,
            arguments: request.arguments.to_vec(),
            handles: personality::first_handles(abi, streams),
            view: View::default(),
        };
        let (mut process, mut thread) = self.bear(birth);
        if let Some(id) = personality::named_process_id(abi, request.program)
            && self.process_by_id(abi, id).is_none()
        {
            process.id = id;
        }
        let mut context = self.machine.context();
        let source = &mut Source::Bundle(file);
        let placed = self.place(&mut process, &thread, &mut context, &image, source);
        thread.context = Some(context);
        match placed {
            Ok(()) => Ok(self.admit(process, thread)),
            Err(error) => {
                self.undo(process, &thread);
                Err(error.into())
            }
        }
    }

    /// An empty space, unless memory is low.
    pub(super) fn new_space(&mut self, limit: u64) -> Result<Space<P::Machine>, KernelError> {
        if self.machine.heap_low() || self.machine.frames_free() < FRAMES_KEPT {
            return Err(KernelError::NoMemory);
        }
        self.make_room_for_thread()?;
        Ok(Space::new(&mut self.machine, limit)?)
    }

    /// A process and its thread, which are in no table yet: they are to be
    /// [admitted](Self::admit) or [undone](Self::undo).
    pub(super) fn bear(&mut self, birth: Birth<P::Machine>) -> (ProcessBox<P>, ThreadBox<P>) {
        let (number, id) = (self.ids.number(), self.ids.id(birth.abi));
        let (parent, console) = birth.made_by.unwrap_or((0, number));
        let process_key = self.processes.reserve();
        let thread_key = self.threads.reserve();
        let process = Box::new(Process {
            key: process_key,
            number,
            parent,
            parent_id: 0,
            console,
            abi: birth.abi,
            gate: match birth.traced {
                true => Gate::Watched,
                false => Gate::of(birth.abi),
            },
            panics: false,
            loaded: false,
            calls: 0,
            records: 0,
            id,
            alias: None,
            arguments: birth.arguments,
            space: birth.space,
            threads: Vec::from([thread_key]),
            threads_made: 1,
            heap: 0,
            joins: None,
            futexes: Futexes::default(),
            exit: ExitRef::default(),
            started: self.machine.ticks(),
            spent: Spent::default(),
            probe: None,
            handles: birth.handles,
            view: birth.view,
            endpoint: None,
            holdings: None,
            capabilities: Capabilities::default(),
        });
        let id = self.ids.first_thread(birth.abi);
        let thread = Box::new(Thread::new(thread_key, process_key, id, 0));
        (process, thread)
    }

    /// Puts a new process and its thread into their tables.
    pub(super) fn admit(&mut self, process: ProcessBox<P>, thread: ThreadBox<P>) -> ProcessKey {
        let key = process.key;
        self.processes.put(key, process);
        self.threads.put(thread.key, thread);
        key
    }

    /// Gives back all of a process that nobody has heard of.
    fn undo(&mut self, mut process: ProcessBox<P>, thread: &Thread<P>) {
        self.surrender(&mut process);
        if let Some(endpoint) = process.endpoint {
            self.close_endpoint(endpoint);
        }
        self.processes.remove(process.key);
        self.threads.remove(thread.key);
        process.space.release(&mut self.machine);
    }

    fn threads_of(&self, key: ProcessKey) -> Vec<crate::object::thread::ThreadKey> {
        let process = self.processes.get(key);
        process.map_or_else(Vec::new, |process| process.threads.clone())
    }
}

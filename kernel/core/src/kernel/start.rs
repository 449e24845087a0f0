//! New processes: from a file of a bundle to a thread that could run.

use alloc::boxed::Box;
use alloc::vec::Vec;

use mayfly_abi::Abi;

use super::Kernel;
use crate::bundle::BundleFile;
use crate::loader::{self, Image, ImageError, Segment};
use crate::object::capability::Capabilities;
use crate::object::exit::ExitRef;
use crate::object::futex::Futexes;
use crate::object::memory::{Backing, FilePart, Region, Space};
use crate::object::namespace::View;
use crate::object::process::{Gate, Process, ProcessKey};
use crate::object::thread::Thread;
use crate::personality::{self, Arguments};
use crate::port::{Machine, PAGE_SIZE, Port};

/// Pages of a read-only segment that are mapped before the program runs.
const MAP_AHEAD: u64 = 8;
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

/// Numbers for the next process: the kernel's own, and one for each ABI.
#[derive(Default)]
pub(super) struct Ids {
    last_number: u64,
    last_of_abi: [u64; Abi::ALL.len()],
}

impl Ids {
    fn next(&mut self, abi: Abi) -> (u64, u64) {
        self.last_number += 1;
        let last = &mut self.last_of_abi[usize::from(abi.code()) - 1];
        *last += 1;
        (
            self.last_number,
            *last + personality::first_process_id(abi) - 1,
        )
    }
}

impl<P: Port> Kernel<P> {
    /// Makes a process; it runs when its turn comes.
    ///
    /// # Errors
    /// [`SpawnError`]; nothing is left of a process that could not be made.
    pub fn spawn(&mut self, request: &SpawnRequest<'_>) -> Result<ProcessKey, SpawnError> {
        let key = self.create(request, &[])?;
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
        let lowest = image.segments.first().map_or(0, |segment| segment.address);
        if lowest < personality::user_start(abi) {
            return Err(SpawnError::BadImage(ImageError::OutOfRange));
        }
        if request.arguments.last().is_some_and(|last| *last != 0) {
            return Err(SpawnError::BadArguments);
        }
        if self.machine.heap_low() || self.machine.frames_free() < FRAMES_KEPT {
            return Err(SpawnError::NoRoom);
        }
        let limit = match request.frames_max {
            0 => u64::MAX,
            limit => limit,
        };
        let mut space = Space::new(&mut self.machine, limit).map_err(|_| SpawnError::NoRoom)?;
        match build(&mut self.machine, &mut space, &image, file, regions) {
            Ok(()) => self.admit(abi, space, &image, request),
            Err(error) => {
                space.release(&mut self.machine);
                Err(error)
            }
        }
    }

    /// Gives a loaded space a process and a thread.
    fn admit(
        &mut self,
        abi: Abi,
        space: Space<P::Machine>,
        image: &Image,
        request: &SpawnRequest<'_>,
    ) -> Result<ProcessKey, SpawnError> {
        let (number, id) = self.ids.next(abi);
        let process_key = self.processes.reserve();
        let thread_key = self.threads.reserve();
        let mut process = Box::new(Process {
            key: process_key,
            number,
            abi,
            gate: match request.traced {
                true => Gate::Watched,
                false => Gate::of(abi),
            },
            panics: false,
            calls: 0,
            records: 0,
            id,
            space,
            threads: Vec::from([thread_key]),
            threads_made: 1,
            joins: None,
            futexes: Futexes::default(),
            exit: ExitRef::default(),
            started: self.machine.ticks(),
            probe: None,
            handles: personality::first_handles(
                abi,
                self.streams
                    .get_or_insert_with(personality::standard_streams),
            ),
            view: View::default(),
            capabilities: Capabilities::default(),
        });
        let id = personality::first_thread_id(abi, number);
        let mut thread = Box::new(Thread::new(thread_key, process_key, id, 0));
        let mut context = self.machine.context();
        P::Machine::registers_mut(&mut context).rip = image.entry;
        let arguments = Arguments::new(request.arguments);
        let started = personality::start(
            &mut self.machine,
            &mut self.capabilities,
            &mut process,
            &thread,
            &mut context,
            &arguments,
        );
        if started.is_err() {
            self.surrender(&mut process);
            self.processes.remove(process_key);
            self.threads.remove(thread_key);
            process.space.release(&mut self.machine);
            return Err(SpawnError::BadArguments);
        }
        thread.context = Some(context);
        self.processes.put(process_key, process);
        self.threads.put(thread_key, thread);
        Ok(process_key)
    }

    fn threads_of(&self, key: ProcessKey) -> Vec<crate::object::thread::ThreadKey> {
        let process = self.processes.get(key);
        process.map_or_else(Vec::new, |process| process.threads.clone())
    }
}

/// Adds an image's segments and other regions to a space.
fn build<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    image: &Image,
    file: BundleFile,
    others: &[Region],
) -> Result<(), SpawnError> {
    let overlap = |_| SpawnError::BadImage(ImageError::OutOfRange);
    for region in others {
        space.add(*region).map_err(overlap)?;
    }
    for segment in &image.segments {
        let region = region(segment, file);
        space.add(region).map_err(overlap)?;
        if !region.access.write {
            space
                .map_ahead(machine, region.start, MAP_AHEAD)
                .map_err(|_| SpawnError::NoRoom)?;
        }
    }
    Ok(())
}

/// The region of a segment: its pages, backed by its part of the file.
fn region(segment: &Segment, file: BundleFile) -> Region {
    let start = segment.address & !(PAGE_SIZE - 1);
    let end = (segment.address + segment.memory_size).next_multiple_of(PAGE_SIZE);
    let backing = match segment.file_size {
        0 => Backing::Zero,
        size => Backing::File(FilePart {
            contents: file.contents,
            // Zeros behind the file's part need a page of the process's own.
            first: (size == segment.memory_size).then_some(file.first),
            offset: segment.file_offset,
            data_start: segment.address,
            data_end: segment.address + size,
        }),
    };
    Region {
        start,
        end,
        access: segment.access,
        backing,
    }
}

//! Loading: from an executable, wherever it lies, to a process that could run it.

use alloc::vec::Vec;
use core::mem;

use mayfly_abi::Abi;

use super::Kernel;
use crate::bundle::BundleFile;
use crate::error::KernelError;
use crate::loader::{self, Image, ImageError, Part, Pieces, Segment};
use crate::object::memory::{Backing, FilePart, Region, RegionError, Space};
use crate::object::process::{Gate, Process};
use crate::object::store::Store;
use crate::object::thread::Thread;
use crate::personality::{self, Arguments};
use crate::port::{Host, Machine, NewChild, PAGE_SIZE, PROGRAM_MAX, Port};
use crate::user;

/// Pages of a read-only segment that are mapped before the program runs.
const MAP_AHEAD: u64 = 8;
/// Bytes of user memory that are copied at a time.
const CHUNK: usize = 1024;

/// Where an executable lies.
pub enum Source<'a, M: Machine> {
    /// In a bundle: its pages are mapped where they lie.
    Bundle(BundleFile),
    /// In a file that was written: copied. The second word is its size.
    File(&'a Store, u64),
    /// In the memory of the running process: copied.
    Memory {
        /// The running space.
        space: &'a mut Space<M>,
        /// Its first byte.
        address: u64,
        /// Its length.
        length: u64,
    },
}

/// Why an executable cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// It is none, or not for this kernel.
    Image(ImageError),
    /// Its arguments do not fit its stack, or its stack does not fit beside it.
    Arguments,
    /// There is no memory, or the executable cannot be read.
    Kernel(KernelError),
}

impl From<KernelError> for LoadError {
    fn from(error: KernelError) -> Self {
        LoadError::Kernel(error)
    }
}

impl From<ImageError> for LoadError {
    fn from(error: ImageError) -> Self {
        LoadError::Image(error)
    }
}

impl<M: Machine> Source<'_, M> {
    fn length(&self) -> u64 {
        match self {
            Source::Bundle(file) => file.contents.len() as u64,
            Source::File(_, size) => *size,
            Source::Memory { length, .. } => *length,
        }
    }

    /// What its headers say.
    fn image(&mut self, machine: &mut M) -> Result<Image, LoadError> {
        match self {
            Source::Bundle(file) => Ok(loader::read(file.contents)?),
            _ => {
                let pieces = Pieces::new(self.length());
                Ok(pieces.read(|part| self.part(machine, part))??)
            }
        }
    }

    /// A copy of a part of it.
    fn part(&mut self, machine: &mut M, part: Part) -> Result<Vec<u8>, KernelError> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(part.length)?;
        let (from, length) = (part.at, part.length as u64);
        self.copy(machine, from, length, |_, _, bytes| {
            copy.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(copy)
    }

    /// Gives `put` the bytes of `from..from + length` in turn, each time with
    /// how many came before.
    fn copy(
        &mut self,
        machine: &mut M,
        from: u64,
        length: u64,
        mut put: impl FnMut(&mut M, u64, &[u8]) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        let mut done = 0;
        let mut chunk = [0; CHUNK];
        while done < length {
            let (at, most) = (from + done, length - done);
            let bytes = match self {
                Source::Bundle(_) => return Err(KernelError::NotSupported),
                Source::File(store, _) => store.run(at, most),
                Source::Memory { space, address, .. } => {
                    let most = usize::try_from(most).map_or(CHUNK, |most| most.min(CHUNK));
                    let chunk = &mut chunk[..most];
                    let at = address.checked_add(at).ok_or(KernelError::BadAddress)?;
                    user::read(machine, space, at, chunk)?;
                    chunk
                }
            };
            put(machine, done, bytes)?;
            done += bytes.len() as u64;
        }
        Ok(())
    }

    /// Adds an image's segments to a space.
    fn map(
        &mut self,
        machine: &mut M,
        space: &mut Space<M>,
        image: &Image,
    ) -> Result<(), LoadError> {
        let refused = |error| match error {
            RegionError::NoRoom => LoadError::from(KernelError::from(error)),
            RegionError::OutOfRange | RegionError::Overlap => ImageError::OutOfRange.into(),
        };
        for segment in &image.segments {
            let region = region(segment, self);
            space.add(machine, region).map_err(refused)?;
            match self {
                Source::Bundle(_) if region.access.write => {}
                Source::Bundle(_) => space.map_ahead(machine, region.start, MAP_AHEAD)?,
                Source::Memory {
                    space: source,
                    address,
                    ..
                } => {
                    let from = address.checked_add(segment.file_offset);
                    let from = from.ok_or(KernelError::BadAddress)?;
                    let length = segment.file_size;
                    space.fill_from(machine, segment.address, source, from, length)?;
                }
                Source::File(..) => {
                    let (from, length) = (segment.file_offset, segment.file_size);
                    self.copy(machine, from, length, |machine, done, bytes| {
                        space.fill(machine, segment.address + done, bytes)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// What is copied is in the file once: segments may share the page of
    /// their border, and no more.
    fn check(&self, image: &Image) -> Result<(), ImageError> {
        let sizes = image.segments.iter().map(|segment| segment.file_size);
        let shared = image.segments.len() as u64 * PAGE_SIZE;
        let copied = sizes.fold(0_u64, u64::saturating_add);
        match self {
            Source::Bundle(_) => Ok(()),
            _ if copied <= self.length().saturating_add(shared) => Ok(()),
            _ => Err(ImageError::Malformed),
        }
    }
}

impl<P: Port> Kernel<P> {
    /// Loads an executable into a process that has none yet, and prepares its
    /// thread to run it. Whatever the process was so far, it has the interface
    /// that the executable names. After an error the process is to be ended.
    ///
    /// # Errors
    /// [`LoadError`].
    pub(crate) fn load(
        &mut self,
        process: &mut Process<P>,
        thread: &mut Thread<P>,
        context: &mut <P::Machine as Machine>::Context,
        source: &mut Source<'_, P::Machine>,
    ) -> Result<(), LoadError> {
        let image = source.image(&mut self.machine)?;
        source.check(&image)?;
        let abi = image.abi.unwrap_or(process.abi);
        check_start(abi, &image)?;
        if abi != process.abi {
            self.change_abi(process, thread, abi);
        }
        self.place(process, thread, context, &image, source)
    }

    /// Tells the host of a child that it traces, which has an image now, or was
    /// refused one.
    pub(crate) fn tell_of(&mut self, process: &Process<P>) {
        if process.gate == Gate::Watched {
            self.name(process);
        }
    }

    /// Tells the host what a child is.
    pub(super) fn name(&mut self, process: &Process<P>) {
        let program = Arguments::new(&process.arguments).first();
        self.host.child(&NewChild {
            process: process.number,
            parent: process.parent,
            root: P::Machine::root(process.space.tables()),
            abi: process.abi,
            program: &program[..program.len().min(PROGRAM_MAX)],
        });
    }

    /// A process that was made by one of another interface gets an id of its
    /// own; whoever made it goes on to know it by the one it was told.
    fn change_abi(&mut self, process: &mut Process<P>, thread: &mut Thread<P>, abi: Abi) {
        process.alias = Some((process.abi, process.id));
        process.id = self.ids.id(abi);
        process.abi = abi;
        if process.gate != Gate::Watched {
            process.gate = Gate::of(abi);
        }
        personality::adopt_handles(process, || self.files().id());
        thread.id = self.ids.first_thread(abi);
    }

    /// Maps an image and prepares the thread that runs it.
    ///
    /// # Errors
    /// [`LoadError`].
    pub(super) fn place(
        &mut self,
        process: &mut Process<P>,
        thread: &Thread<P>,
        context: &mut <P::Machine as Machine>::Context,
        image: &Image,
        source: &mut Source<'_, P::Machine>,
    ) -> Result<(), LoadError> {
        P::Machine::name(context, thread.owner(process));
        source.map(&mut self.machine, &mut process.space, image)?;
        P::Machine::registers_mut(context).rip = image.entry;
        let bytes = mem::take(&mut process.arguments);
        let arguments = Arguments::new(&bytes);
        let started = personality::start(
            &mut self.machine,
            (&mut self.capabilities, &mut self.ipc),
            process,
            thread,
            context,
            &arguments,
        );
        process.arguments = bytes;
        process.loaded = true;
        started.map_err(|error| match error {
            KernelError::NoRoom => error.into(),
            KernelError::NoMemory if process.abi == Abi::Veridian => error.into(),
            _ => LoadError::Arguments,
        })
    }
}

/// Nothing is loaded below the first user address of an interface.
pub(super) fn check_start(abi: Abi, image: &Image) -> Result<(), ImageError> {
    let lowest = image.segments.first().map_or(0, |segment| segment.address);
    if lowest < personality::user_start(abi) {
        return Err(ImageError::OutOfRange);
    }
    let mut segments = image.segments.iter();
    let both = segments.any(|segment| segment.access.write && segment.access.execute);
    match both && !personality::may_write_code(abi) {
        true => Err(ImageError::WritableCode),
        false => Ok(()),
    }
}

/// The region of a segment: its pages, backed by its part of a bundle's file,
/// or zeros that the bytes are copied over.
fn region<M: Machine>(segment: &Segment, source: &Source<'_, M>) -> Region {
    let start = segment.address & !(PAGE_SIZE - 1);
    let end = (segment.address + segment.memory_size).next_multiple_of(PAGE_SIZE);
    let backing = match (source, segment.file_size) {
        (Source::Bundle(file), size) if size > 0 => Backing::File(FilePart {
            contents: file.contents,
            // Zeros behind the file's part need a page of the process's own.
            first: (size == segment.memory_size).then_some(file.first),
            offset: segment.file_offset,
            data_start: segment.address,
            data_end: segment.address + size,
        }),
        _ => Backing::Zero,
    };
    Region {
        start,
        end,
        access: segment.access,
        backing,
    }
}

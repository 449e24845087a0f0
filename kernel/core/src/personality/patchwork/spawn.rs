//! SPAWN of PatchworkOS, and a child's first turn (specs/patchwork.md §6).

use alloc::vec::Vec;

use mayfly_abi::patchwork::{Errno, nr};
use mayfly_abi::table::{self, Load};

use super::error::{answer, errno};
use super::open;
use super::path::{PATH_MAX, Path};
use crate::error::KernelError;
use crate::kernel::{Child, Flow, Kernel, LoadError, Running, Source};
use crate::loader::ImageError;
use crate::object::file::{Handles, Mode};
use crate::object::inode::Body;
use crate::object::namespace::View;
use crate::object::process::Cause;
use crate::personality::{Arguments, append};
use crate::port::Port;
use crate::user;

/// Spawn flags (§3).
const SUSPEND: u32 = 1;
const EMPTY_FDS: u32 = 2;
const STDIO_FDS: u32 = 4;
const EMPTY_NS: u32 = 8;
const EMPTY_ENV: u32 = 16;
const EMPTY_CWD: u32 = 32;

/// Most entries of an argv array, its NULL included.
const ENTRIES_MAX: u64 = 512;
/// Bytes of arguments that most programs are given at most.
const ROOM: usize = 128;
/// The standard descriptors.
const STDIO: usize = 3;

/// SPAWN: what is wrong with the executable is the child's to find out.
pub(crate) fn spawn<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Load(argv): Load,
    table::Flags(flags): table::Flags,
) -> Flow {
    let spawned = spawn_checked(kernel, running, argv, flags);
    answer(running, nr::SPAWN, spawned)
}

fn spawn_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    argv: u64,
    flags: u32,
) -> Result<u64, KernelError> {
    let arguments = read_arguments(kernel, running, argv)?;
    let child = handed_over(kernel, running, arguments, flags)?;
    let (key, id) = kernel.create_child(running, child)?;
    if flags & EMPTY_ENV == 0
        && let Some(child) = kernel.process(key)
        && let Err(error) = kernel.copy_environment(&running.process, child)
    {
        kernel.kill(key);
        return Err(error);
    }
    if flags & SUSPEND == 0 {
        kernel.start_child(key)?;
    }
    Ok(id)
}

/// Copies the strings of an array that ends with NULL.
fn read_arguments<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    argv: u64,
) -> Result<Vec<u8>, KernelError> {
    if argv == 0 {
        return Err(KernelError::NullPointer);
    }
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    let mut arguments = Vec::with_capacity(ROOM);
    let mut string = [0; PATH_MAX];
    for entry in 0..ENTRIES_MAX {
        let at = argv.checked_add(entry * 8).ok_or(KernelError::BadAddress)?;
        let address = user::read_word(machine, space, at).map_err(unreadable)?;
        if address == 0 {
            // Without argv[0] there is nothing to open.
            let some = !arguments.is_empty();
            return some.then_some(arguments).ok_or(KernelError::NullPointer);
        }
        let length = user::read_string(machine, space, address, &mut string);
        let length = length.map_err(unreadable)?;
        // The terminator follows: `read_string` found it there.
        append(machine, &mut arguments, &string[..=length])?;
    }
    Err(KernelError::TooMany)
}

/// SPAWN knows no EOVERFLOW: what wraps is what cannot be read.
fn unreadable(error: KernelError) -> KernelError {
    match error {
        KernelError::Overflow => KernelError::BadAddress,
        error => error,
    }
}

/// What a child takes over from its parent, as the flags say, its environment apart.
fn handed_over<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    arguments: Vec<u8>,
    flags: u32,
) -> Result<Child, KernelError> {
    let handles = &running.process.handles;
    let handles = match flags {
        flags if flags & EMPTY_FDS != 0 => Handles::new(handles.most()),
        flags if flags & STDIO_FDS != 0 => handles.inherited(STDIO),
        _ => handles.inherited(handles.most()),
    };
    Ok(Child {
        arguments,
        handles,
        view: view(kernel, running, flags)?,
    })
}

/// How a child sees files. Its namespace is linked to its parent's from the
/// beginning: either may be bound into later, and pass that on.
fn view<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    flags: u32,
) -> Result<View, KernelError> {
    let root = &kernel.files().root;
    let parent = &mut running.process.view;
    let mut view = match flags & EMPTY_NS {
        0 => parent.child(root)?,
        _ => parent.rootless(root),
    };
    if flags & EMPTY_CWD != 0 {
        view.directory = Some(root.top());
    }
    Ok(view)
}

/// The first turn of a child: it opens and loads what its argv\[0\] names, in
/// its own namespace. A failure is its exit status.
pub(crate) fn load<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Flow {
    let loaded = load_checked(kernel, running);
    kernel.tell_of(&running.process);
    match loaded {
        Ok(()) => Flow::Resume,
        Err(error) => running.end(Cause::LoadFailed, status(error).code().into()),
    }
}

fn load_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
) -> Result<(), LoadError> {
    let path = Path::parse(Arguments::new(&running.process.arguments).first())?;
    let (place, mode) = open::prepare(kernel, running, None, &path)?;
    let regular = match &place.inode.body {
        Body::File(regular) => regular,
        Body::Directory(_) => return Err(KernelError::IsDirectory.into()),
        // A device has no contents that could be an executable.
        Body::Device(_) | Body::Socket(..) | Body::Process(_) => {
            return Err(ImageError::UnknownFormat.into());
        }
    };
    if !mode.contains(Mode::READ) || mode.contains(Mode::APPEND) {
        return Err(KernelError::BadHandle.into());
    }
    let store = regular.store.borrow();
    let size = regular.size.get();
    let mut source = match regular.untouched(&store) {
        Some(file) => Source::Bundle(file),
        None => Source::File(&store, size),
    };
    let Running {
        thread,
        context,
        process,
        ..
    } = running;
    kernel.load(process, thread, context, &mut source)
}

/// How the failure to load an executable is spelled.
fn status(error: LoadError) -> Errno {
    match error {
        LoadError::Image(ImageError::OutOfRange) => Errno::EFAULT,
        LoadError::Image(_) => Errno::ESPAWNFAIL,
        LoadError::Arguments => Errno::ENOMEM,
        LoadError::Kernel(error) => errno(error),
    }
}

/// Exit status of a child whose image could not be loaded by another.
pub(crate) const LOAD_FAILED_STATUS: i64 = Errno::ESPAWNFAIL as i64;

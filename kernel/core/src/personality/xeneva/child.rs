//! Processes that XenevaOS programs make and wait for (specs/xeneva.md §3.6 to
//! §3.8, service 33).
//!
//! CreateProcess makes a slot, SetFileToProcess fills its descriptors, and
//! ProcessLoadExec loads it and lets it run. A slot that was given no file has
//! the standard streams of whoever loads it.

use alloc::rc::Rc;
use alloc::vec::Vec;

use mayfly_abi::Abi;
use mayfly_abi::table::{Load, Text};
use mayfly_abi::xeneva::FAILED;

use super::file::{self, PATH_MAX};
use crate::error::KernelError;
use crate::kernel::{Child, Flow, Kernel, LoadError, Running, Source};
use crate::loader::ImageError;
use crate::object::exit::ExitRef;
use crate::object::file::{Handles, Mode};
use crate::object::inode::Body;
use crate::object::namespace::{Place, View};
use crate::object::process::ProcessKey;
use crate::object::thread::Wait;
use crate::personality::{self, append};
use crate::port::Port;
use crate::user;

/// Longest name of a process, its terminator apart; the rest is cut off.
pub(super) const NAME_MAX: usize = 15;
/// What the name of an executable has behind its first full stop.
const ENDING: &[u8] = b"exe";
/// Most arguments: with the program's own path and the terminator they fill a page.
const ARGUMENTS_MAX: u64 = 510;
/// Longest argument with its terminator, and all together.
const STRING_MAX: usize = 4096;
const TEXT_MAX: usize = 128 << 10;
/// The standard descriptors.
const STDIO: usize = 3;
/// Waits for the end of any process.
const ANY: i32 = -1;

/// CreateProcess: a process without image, descriptors, or a thread that runs.
pub(crate) fn create<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(name): Text,
) -> Flow {
    Flow::Return(create_checked(kernel, running, name).unwrap_or(FAILED))
}

fn create_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    name: u64,
) -> Result<u64, KernelError> {
    let mut buffer = [0; NAME_MAX];
    let length = read_name(kernel, running, name, &mut buffer)?;
    let view = match running.process.view.namespace {
        Some(_) => running.process.view.child(&kernel.files().root)?,
        None => View::default(),
    };
    let child = Child {
        // Until it is loaded, its name stands for its arguments.
        arguments: [&buffer[..length], b"\0"].concat(),
        handles: Handles::new(personality::handles_max(Abi::Xeneva)),
        view,
    };
    kernel.create_slot(running, child)
}

/// Copies a name, cut off where it is too long; says its length.
pub(super) fn read_name<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    name: &mut [u8; NAME_MAX],
) -> Result<usize, KernelError> {
    let space = &mut running.process.space;
    match user::read_string(&mut kernel.machine, space, address, name) {
        Err(KernelError::TooLong) => Ok(NAME_MAX),
        length => length,
    }
}

/// ProcessLoadExec: whatever fails once there is a slot ends the slot.
pub(crate) fn load<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    pid: i32,
    Text(path): Text,
    argc: i32,
    Load(argv): Load,
) -> Flow {
    let slot = other(kernel, pid);
    // What has an image is no slot, and nobody's to end.
    let empty = |key: &ProcessKey| kernel.process(*key).is_some_and(|it| !it.loaded);
    let Some(slot) = slot.filter(empty) else {
        return Flow::Return(FAILED);
    };
    match load_checked(kernel, running, slot, path, (argc, argv)) {
        Ok(()) => Flow::Return(0),
        Err(_) => {
            kernel.drop_child(slot);
            Flow::Return(FAILED)
        }
    }
}

fn load_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    slot: ProcessKey,
    path: u64,
    array: (i32, u64),
) -> Result<(), LoadError> {
    let mut buffer = [0; PATH_MAX];
    let path = file::read_path(kernel, running, path, &mut buffer)?;
    let place = executable(kernel, running, path)?;
    let arguments = read_arguments(kernel, running, path, array)?;
    let process = kernel.process_mut(slot).ok_or(KernelError::NotFound)?;
    process.arguments = arguments;
    if process.handles.iter().next().is_none() {
        process.handles = running.process.handles.inherited(STDIO);
    }
    let Body::File(regular) = &place.inode.body else {
        return Err(ImageError::UnknownFormat.into());
    };
    let store = regular.store.borrow();
    let mut source = match regular.untouched(&store) {
        Some(file) => Source::Bundle(file),
        None => Source::File(&store, regular.size.get()),
    };
    kernel.load_child(slot, &mut source)?;
    Ok(kernel.start_child(slot)?)
}

/// Finds an executable by its path. Programs of a bundle are named without the
/// ending that XenevaOS asks for, and are found with it.
fn executable<P: Port>(
    kernel: &Kernel<P>,
    running: &Running<P>,
    path: &[u8],
) -> Result<Place, KernelError> {
    let stop = path.iter().position(|byte| *byte == b'.');
    let stop = stop.filter(|stop| path[stop + 1..] == *ENDING);
    let stop = stop.ok_or(KernelError::InvalidArgument)?;
    let place = match file::find(kernel, running, path, false) {
        Err(KernelError::NotFound) => {
            let place = file::find(kernel, running, &path[..stop], false)?;
            let bundled = match &place.inode.body {
                Body::File(regular) => regular.untouched(&regular.store.borrow()).is_some(),
                _ => false,
            };
            bundled.then_some(place).ok_or(KernelError::NotFound)?
        }
        place => place?,
    };
    match place.mount.mode.contains(Mode::READ) {
        true => Ok(place),
        false => Err(KernelError::NotPermitted),
    }
}

/// The path and the strings of an array, each with its terminator.
fn read_arguments<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    path: &[u8],
    (argc, argv): (i32, u64),
) -> Result<Vec<u8>, KernelError> {
    let count = u64::try_from(argc).map_err(|_| KernelError::InvalidArgument)?;
    if count > ARGUMENTS_MAX {
        return Err(KernelError::TooMany);
    }
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    let mut text = Vec::new();
    append(machine, &mut text, path)?;
    append(machine, &mut text, b"\0")?;
    let mut string = [0; STRING_MAX];
    for entry in 0..count {
        let at = argv.checked_add(entry * 8).ok_or(KernelError::BadAddress)?;
        let address = user::read_word(machine, space, at)?;
        let length = user::read_string(machine, space, address, &mut string)?;
        if text.len() + length + 1 > TEXT_MAX {
            return Err(KernelError::TooLong);
        }
        // The terminator follows: `read_string` found it there.
        append(machine, &mut text, &string[..=length])?;
    }
    Ok(text)
}

/// A process by its id, unless it is the running one.
pub(super) fn other<P: Port>(kernel: &Kernel<P>, pid: i32) -> Option<ProcessKey> {
    kernel.process_by_id(Abi::Xeneva, u64::try_from(pid).ok()?)
}

/// ProcessWaitForTermination: what is over, or never was, is not waited for.
/// Whoever waits for itself waits for ever.
pub(crate) fn wait<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, pid: i32) -> Flow {
    if pid == ANY {
        if kernel.reaper.reap() {
            return Flow::Return(0);
        }
        let flow = running.park(Wait::End, None);
        kernel.reaper.waiters.enter(running.entry());
        return flow;
    }
    let process = &running.process;
    let is_self = u64::try_from(pid).is_ok_and(|pid| process.is(Abi::Xeneva, pid));
    let exit = match is_self {
        true => Some(&process.exit),
        false => {
            let other = other(kernel, pid).and_then(|key| kernel.process(key));
            other.map(|process| &process.exit)
        }
    };
    let Some(exit) = exit.map(ExitRef::clone) else {
        return Flow::Return(0);
    };
    let flow = running.park(Wait::End, None);
    exit.waiters.enter(running.entry());
    flow
}

/// SetFileToProcess: into an empty descriptor of another process.
pub(crate) fn set_file<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: i32,
    dest: i32,
    pid: i32,
) -> Flow {
    match set_file_checked(kernel, running, fd, dest, pid) {
        Ok(()) => Flow::Return(0),
        Err(_) => Flow::Return(FAILED),
    }
}

fn set_file_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: i32,
    dest: i32,
    pid: i32,
) -> Result<(), KernelError> {
    let file = Rc::clone(file::file(running, fd)?);
    let dest = u64::try_from(dest).map_err(|_| KernelError::BadHandle)?;
    let key = other(kernel, pid).ok_or(KernelError::NotFound)?;
    let process = kernel.process_mut(key).ok_or(KernelError::NotFound)?;
    match process.handles.get(dest) {
        Ok(_) => Err(KernelError::Exists),
        Err(_) => process.handles.set(dest, Some(file)),
    }
}

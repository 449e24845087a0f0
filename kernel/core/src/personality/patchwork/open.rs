//! OPEN, OPEN2 and OPENAT of PatchworkOS (specs/patchwork.md §4, §5).

use mayfly_abi::patchwork::nr;
use mayfly_abi::table::{Handle, Store, Text};

use super::error::{answer, answer_flow};
use super::path::{self, Flags, PATH_MAX, Path};
use super::socket;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{FileRef, Mode, Node, OpenFile};
use crate::object::inode::{Body, Device};
use crate::object::namespace::{Namespace, Place};
use crate::object::opening::{new_pipe, node};
use crate::port::{Machine, Port};
use crate::user;

/// `from` of OPENAT that stands for the working directory: FD_NONE.
const NONE: u64 = u64::MAX;
/// Flags of a path that an open file keeps.
const KEPT: u32 = Mode::NONBLOCK.0 | Mode::APPEND.0 | Mode::RECURSIVE.0;

/// OPEN.
#[inline(always)]
pub(crate) fn open<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(path): Text,
) -> Flow {
    let opened = open_from(kernel, running, None, path);
    answer_flow(running, nr::OPEN, opened)
}

/// OPENAT: the descriptor is looked at first.
pub(crate) fn openat<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(from): Handle,
    Text(path): Text,
) -> Flow {
    let opened = match from {
        NONE => open_from(kernel, running, None, path),
        from => {
            let file = running.process.handles.get(from).cloned();
            file.and_then(|file| open_from(kernel, running, Some(&file), path))
        }
    };
    answer_flow(running, nr::OPENAT, opened)
}

#[inline(always)]
fn open_from<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    from: Option<&OpenFile>,
    address: u64,
) -> Result<Flow, KernelError> {
    let mut buffer = [0; PATH_MAX];
    let path = path::read(kernel, running, address, &mut buffer)?;
    let (place, mode) = prepare(kernel, running, from, &path)?;
    if socket::is_one(&place) {
        return socket::open(kernel, running, place, mode);
    }
    let file = OpenFile::at(node(kernel, &place)?, mode, Some(place));
    running.process.handles.insert(file).map(Flow::Return)
}

/// OPEN2: two ends where the file has two, else the file twice.
pub(crate) fn open2<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(path): Text,
    Store(out): Store,
) -> Flow {
    let opened = open_both(kernel, running, path, out);
    answer(running, nr::OPEN2, opened)
}

fn open_both<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    out: u64,
) -> Result<u64, KernelError> {
    if out == 0 {
        return Err(KernelError::NullPointer);
    }
    let mut buffer = [0; PATH_MAX];
    let path = path::read(kernel, running, address, &mut buffer)?;
    let (place, mode) = prepare(kernel, running, None, &path)?;
    let nodes = match place.inode.body {
        Body::Device(Device::NewPipe) => {
            let pipe = new_pipe(kernel)?;
            [(true, false), (false, true)]
                .map(|(reads, writes)| Node::Pipe(pipe.end(reads, writes)))
        }
        _ if socket::is_one(&place) => socket::both(kernel, running, &place, mode)?,
        _ => [node(kernel, &place)?, node(kernel, &place)?],
    };
    let files = nodes.map(|node| OpenFile::at(node, mode, Some(place.clone())));
    insert_both(kernel, running, files, out)
}

/// Both files get a descriptor and the program learns them, or neither does.
fn insert_both<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    [first, second]: [FileRef; 2],
    out: u64,
) -> Result<u64, KernelError> {
    let process = &mut running.process;
    let first = process.handles.insert(first)?;
    let second = match process.handles.insert(second) {
        Ok(second) => second,
        Err(error) => {
            process.handles.close(first)?;
            return Err(error);
        }
    };
    let words = (u128::from(second) << 64 | u128::from(first)).to_le_bytes();
    if user::write(&mut kernel.machine, &mut process.space, out, &words).is_err() {
        process.handles.close(first)?;
        process.handles.close(second)?;
        return Err(KernelError::BadAddress);
    }
    Ok(0)
}

/// Finds or makes what a path names, and settles how it is opened.
pub(crate) fn prepare<P: Port>(
    kernel: &mut Kernel<P>,
    running: &Running<P>,
    from: Option<&OpenFile>,
    path: &Path<'_>,
) -> Result<(Place, Mode), KernelError> {
    let place = if path.flags.has(Flags::CREATE) {
        find_or_make(kernel, running, from, path)?
    } else {
        let namespace = kernel.namespace(&running.process);
        let start = start(kernel, running, &namespace, from, path)?;
        kernel.walk(&namespace, start, path.steps())?
    };
    let mode = mode(&place, path.flags)?;
    let wants_directory = path.flags.has(Flags::DIRECTORY);
    match &place.inode.body {
        Body::Directory(_) if !wants_directory => return Err(KernelError::IsDirectory),
        Body::File(_) | Body::Device(_) | Body::Socket(..) | Body::Process(_)
            if wants_directory =>
        {
            return Err(KernelError::NotDirectory);
        }
        Body::File(regular) if path.flags.has(Flags::TRUNCATE) => {
            regular.store.borrow_mut().truncate(0);
            regular.size.set(0);
            place.inode.times.modify(kernel.machine.now());
        }
        _ => {}
    }
    Ok((place, mode))
}

/// Where a path begins: the root, the file it is relative to, or the working directory.
fn start<P: Port>(
    kernel: &Kernel<P>,
    running: &Running<P>,
    namespace: &Namespace,
    from: Option<&OpenFile>,
    path: &Path<'_>,
) -> Result<Place, KernelError> {
    let place = from.filter(|_| !path.is_absolute());
    match place {
        None => kernel.start(namespace, &running.process.view, path.is_absolute()),
        // A stream is nowhere in the tree.
        Some(file) => file.place.clone().ok_or(KernelError::NotFound),
    }
}

fn find_or_make<P: Port>(
    kernel: &Kernel<P>,
    running: &Running<P>,
    from: Option<&OpenFile>,
    path: &Path<'_>,
) -> Result<Place, KernelError> {
    let (steps, last) = path.parent()?;
    let namespace = kernel.namespace(&running.process);
    let start = start(kernel, running, &namespace, from, path)?;
    let parent = kernel.walk(&namespace, start, steps)?;
    match kernel.down(&namespace, parent.clone(), last) {
        Ok(_) if path.flags.has(Flags::EXCLUSIVE) => Err(KernelError::Exists),
        Err(KernelError::NotFound) => {
            if parent.inode.directory().is_none() {
                return Err(KernelError::NotFound);
            }
            mode(&parent, path.flags)?;
            if !parent.mount.mode.contains(Mode::WRITE) {
                return Err(KernelError::NotPermitted);
            }
            kernel.make(&parent, last, path.flags.has(Flags::DIRECTORY))
        }
        found => found,
    }
}

/// Permissions that were asked for, or all that the mount allows.
fn mode(place: &Place, flags: Flags) -> Result<Mode, KernelError> {
    let allowed = Mode(place.mount.mode.0 & Mode::ALL.0);
    let asked = Mode(flags.0 & Mode::ALL.0);
    let granted = match asked {
        Mode(0) => allowed,
        asked if allowed.contains(asked) => asked,
        _ => return Err(KernelError::NotPermitted),
    };
    Ok(granted.and(Mode(flags.0 & KEPT)))
}

//! Files of XenevaOS (specs/xeneva.md §3.12, §4): descriptors on the file tree
//! that all interfaces share.
//!
//! Paths begin with `/`; their names are those that every interface can use.
//! There is no working directory, and `.` and `..` are names that nothing has.

use alloc::rc::Rc;

use mayfly_abi::table::{Flags, Input, Output, Text};
use mayfly_abi::xeneva::FAILED;

use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{FileRef, Mode, Node, OpenFile};
use crate::object::memory::Touch;
use crate::object::namespace::Place;
use crate::object::opening;
use crate::object::pipe::CAPACITY;
use crate::object::walk::Step;
use crate::object::{stream, transfer};
use crate::personality::patchwork::path;
use crate::port::Port;
use crate::user;

/// Longest path with its terminator.
pub(super) const PATH_MAX: usize = 128;
/// Mode bits of OpenFile.
const READ_ONLY: u32 = 2;
const WRITE: u32 = 4;
const CREATE: u32 = 8;

/// OpenFile: -1 for any failure.
pub(crate) fn open<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(path): Text,
    Flags(mode): Flags,
) -> Flow {
    Flow::Return(open_checked(kernel, running, path, mode).unwrap_or(FAILED))
}

fn open_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    mode: u32,
) -> Result<u64, KernelError> {
    let mut buffer = [0; PATH_MAX];
    let path = read_path(kernel, running, address, &mut buffer)?;
    let place = find(kernel, running, path, mode & (WRITE | CREATE) != 0)?;
    // Without a bit for either it is read; what is created by that alone is written too.
    let writes = mode & WRITE != 0 || mode & (READ_ONLY | CREATE) == CREATE;
    let reads = mode & READ_ONLY != 0 || mode & WRITE == 0;
    let granted = match (reads, writes) {
        (true, true) => Mode::READ.and(Mode::WRITE),
        (_, true) => Mode::WRITE,
        _ => Mode::READ,
    };
    if !place.mount.mode.contains(granted) {
        return Err(KernelError::NotPermitted);
    }
    let node = opening::node(kernel, &place)?;
    let file = OpenFile::at(node, granted, Some(place));
    running.process.handles.insert(file)
}

/// Copies a path, and checks what it is made of.
pub(super) fn read_path<'a, P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    buffer: &'a mut [u8; PATH_MAX],
) -> Result<&'a [u8], KernelError> {
    let space = &mut running.process.space;
    let length = user::read_string(&mut kernel.machine, space, address, buffer)?;
    let path = &buffer[..length];
    match path.first() == Some(&b'/') && path.iter().all(|byte| path::is_legal(*byte)) {
        true => Ok(path),
        false => Err(KernelError::InvalidArgument),
    }
}

/// Walks a path; makes a regular file at its end if it is not there.
pub(super) fn find<P: Port>(
    kernel: &Kernel<P>,
    running: &Running<P>,
    path: &[u8],
    create: bool,
) -> Result<Place, KernelError> {
    let namespace = kernel.namespace(&running.process);
    let mut names = path.split(|byte| *byte == b'/');
    let mut names = names.by_ref().filter(|name| !name.is_empty()).peekable();
    let mut at = namespace.root()?;
    while let Some(name) = names.next() {
        if matches!(name, b"." | b"..") {
            return Err(KernelError::NotFound);
        }
        let is_last = names.peek().is_none();
        let next = kernel.walk(&namespace, at.clone(), [Step::Down(name)].into_iter());
        at = match next {
            Err(KernelError::NotFound) if is_last && create => {
                if !at.mount.mode.contains(Mode::WRITE) {
                    return Err(KernelError::NotPermitted);
                }
                kernel.make(&at, name, false)?
            }
            next => next?,
        };
    }
    Ok(at)
}

/// ReadFile: 0 for any failure, as at the end. An empty pipe does not wait.
#[inline(never)]
pub(crate) fn read<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: i32,
    Output(buffer): Output,
    count: u64,
) -> Flow {
    read_checked(kernel, running, fd, buffer, count).unwrap_or(Flow::Return(0))
}

fn read_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: i32,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let file = Rc::clone(file(running, fd)?);
    if count > transfer::PART {
        let what = (&*file, Touch::Write);
        return transfer::long(
            kernel,
            running,
            what,
            (buffer, count),
            |kernel, running, buffer, count| read_part(kernel, running, &file, buffer, count),
        );
    }
    read_part(kernel, running, &file, buffer, count)
}

#[inline(always)]
fn read_part<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &FileRef,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    transfer::check_output(kernel, running, buffer, count)?;
    transfer::readable(file)?;
    let count = match &file.node {
        Node::Pipe(end) if end.is_empty() => return Ok(Flow::Return(0)),
        Node::Pipe(_) => count.min(CAPACITY - 1),
        _ => count,
    };
    transfer::read(kernel, running, file, buffer, count)
}

/// WriteFile: 0 for any failure; waits for room in a pipe.
#[inline(never)]
pub(crate) fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: i32,
    Input(buffer): Input,
    count: u64,
) -> Flow {
    write_checked(kernel, running, fd, buffer, count).unwrap_or(Flow::Return(0))
}

fn write_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: i32,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let file = Rc::clone(file(running, fd)?);
    if count > transfer::PART {
        let what = (&*file, Touch::Read);
        return transfer::long(
            kernel,
            running,
            what,
            (buffer, count),
            |kernel, running, buffer, count| write_part(kernel, running, &file, buffer, count),
        );
    }
    write_part(kernel, running, &file, buffer, count)
}

#[inline(always)]
fn write_part<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &FileRef,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    stream::readable(kernel, running, buffer, count)?;
    transfer::writable(file)?;
    let count = match &file.node {
        Node::Pipe(_) => count.min(CAPACITY - 1),
        _ => count,
    };
    transfer::write(kernel, running, file, buffer, count)
}

/// CloseFile: -1 for what is not open.
pub(crate) fn close<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, fd: i32) -> Flow {
    let fd = u64::try_from(fd).map_err(|_| KernelError::BadHandle);
    match fd.and_then(|fd| running.process.handles.close(fd)) {
        Ok(file) => {
            transfer::close(kernel, file);
            Flow::Return(0)
        }
        Err(_) => Flow::Return(FAILED),
    }
}

/// The file of a descriptor; negative ones name none.
pub(super) fn file<P: Port>(running: &Running<P>, fd: i32) -> Result<&FileRef, KernelError> {
    let fd = u64::try_from(fd).map_err(|_| KernelError::BadHandle)?;
    running.process.handles.get(fd)
}

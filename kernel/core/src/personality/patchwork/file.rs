//! Calls on open files of PatchworkOS (specs/patchwork.md §5).
//!
//! Order of checks: the descriptor, the buffer, what the file is, how it was
//! opened. A null buffer is an error even for no bytes.

use alloc::rc::Rc;

use mayfly_abi::patchwork::nr;
use mayfly_abi::table::{Handle, Input, Output};

use super::error::{answer, answer_flow};
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{FileRef, Handles, Mode, Node};
use crate::object::memory::Touch;
use crate::object::stream::{self, Stream};
use crate::object::transfer;
use crate::port::Port;

/// CLOSE.
pub(crate) fn close<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(fd): Handle,
) -> Flow {
    let closed = running.process.handles.close(fd);
    let closed = closed.map(|file| {
        transfer::close(kernel, file);
        0
    });
    answer(running, nr::CLOSE, closed)
}

/// READ.
pub(crate) fn read<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(fd): Handle,
    Output(buffer): Output,
    count: u64,
) -> Flow {
    let read = read_checked(kernel, running, fd, buffer, count);
    answer_flow(running, nr::READ, read)
}

fn read_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: u64,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let file = Rc::clone(running.process.handles.get(fd)?);
    if buffer == 0 {
        return Err(KernelError::NullPointer);
    }
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

fn read_part<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &FileRef,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    transfer::check_output(kernel, running, buffer, count)?;
    transfer::readable(file)?;
    transfer::read(kernel, running, file, buffer, count)
}

/// WRITE.
#[inline(always)]
pub(crate) fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(fd): Handle,
    Input(buffer): Input,
    count: u64,
) -> Flow {
    let written = write_checked(kernel, running, fd, buffer, count);
    answer_flow(running, nr::WRITE, written)
}

fn write_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: u64,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let file = Rc::clone(running.process.handles.get(fd)?);
    if buffer == 0 {
        return Err(KernelError::NullPointer);
    }
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
    if let Node::Stream(stream) = file.node {
        // Streams are always writable, and look at the buffer themselves.
        return stream::write(kernel, running, stream, buffer, count).map(Flow::Return);
    }
    if matches!(file.node, Node::Terminal(_)) && file.mode.contains(Mode::WRITE) {
        let written = stream::write(kernel, running, Stream::Terminal, buffer, count);
        return written.map(Flow::Return);
    }
    stream::readable(kernel, running, buffer, count)?;
    transfer::writable(file)?;
    transfer::write(kernel, running, file, buffer, count)
}

/// SEEK: no range is checked; before the beginning is far beyond the end.
pub(crate) fn seek<P: Port>(
    running: &mut Running<P>,
    Handle(fd): Handle,
    offset: i64,
    origin: u8,
) -> Flow {
    let file = running.process.handles.get(fd);
    let position = file.and_then(|file| {
        let size = match &file.node {
            Node::File(inode) | Node::Directory(inode) => inode.size(),
            _ => return Err(KernelError::NotSeekable),
        };
        let base = match origin {
            0 => 0,
            1 => file.position.get(),
            2 => size,
            _ => return Err(KernelError::InvalidArgument),
        };
        let position = base.wrapping_add_signed(offset);
        file.position.set(position);
        Ok(position)
    });
    answer(running, nr::SEEK, position)
}

/// IOCTL: no driver knows any.
pub(crate) fn ioctl<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(fd): Handle,
    Input(argument): Input,
    size: u64,
) -> Flow {
    let refused = ioctl_checked(kernel, running, fd, argument, size);
    answer(running, nr::IOCTL, refused)
}

#[inline(never)]
fn ioctl_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: u64,
    argument: u64,
    size: u64,
) -> Result<u64, KernelError> {
    let file = Rc::clone(running.process.handles.get(fd)?);
    if argument == 0 && size > 0 {
        return Err(KernelError::NullPointer);
    }
    stream::readable(kernel, running, argument, size)?;
    match file.node {
        Node::Directory(_) => Err(KernelError::IsDirectory),
        _ => Err(KernelError::NoControl),
    }
}

/// DUP.
pub(crate) fn dup<P: Port>(running: &mut Running<P>, Handle(fd): Handle) -> Flow {
    let handles = &mut running.process.handles;
    let file = handles.get(fd).cloned();
    let duplicate = file.and_then(|file| handles.insert(file));
    answer(running, nr::DUP, duplicate)
}

/// DUP2: onto itself nothing is looked at.
pub(crate) fn dup2<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(old): Handle,
    Handle(new): Handle,
) -> Flow {
    if old == new {
        return Flow::Return(new);
    }
    let replaced = replace(&mut running.process.handles, old, new);
    let done = replaced.map(|replaced| {
        if let Some(file) = replaced {
            transfer::close(kernel, file);
        }
        new
    });
    answer(running, nr::DUP2, done)
}

/// Puts a file under another descriptor; gives what was there.
pub(super) fn replace(
    handles: &mut Handles,
    old: u64,
    new: u64,
) -> Result<Option<FileRef>, KernelError> {
    let file = Rc::clone(handles.get(old)?);
    if new >= handles.most() as u64 {
        return Err(KernelError::BadHandle);
    }
    let replaced = handles.close(new).ok();
    handles.set(new, Some(file))?;
    Ok(replaced)
}

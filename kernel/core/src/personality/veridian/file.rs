//! READ and WRITE of VeridianOS (specs/veridian.md §9).
//!
//! Their targets are the console, and memory that need not be mapped. The
//! console of a process that another interface's program made is what that one
//! has as its standard streams.

use core::mem;

use mayfly_abi::table::{Handle, Input, Output};

use super::error::answer;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::capability::{Object, Rights};
use crate::object::file::{FileRef, Node};
use crate::object::memory::Touch;
use crate::object::stream::{self, Stream};
use crate::object::transfer;
use crate::port::Port;
use crate::user;

/// Longest buffer of a call (specs/veridian.md §2.7).
const COUNT_MAX: u64 = 256 << 20;
/// Bytes of memory that are copied between two looks at the clock.
const PART: u64 = 16 << 10;
/// Standard streams, as other interfaces number them.
const INPUT: u64 = 0;
const OUTPUT: u64 = 1;

/// READ: checks in the order of §2.5; the console ignores the offset (§9).
pub(crate) fn read<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(token): Handle,
    Output(buffer): Output,
    count: u64,
    offset: u64,
) -> Flow {
    match read_checked(kernel, running, token, buffer, count, offset) {
        Ok(flow) => flow,
        Err(error) => answer(Err(error)),
    }
}

fn read_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    token: u64,
    buffer: u64,
    count: u64,
    offset: u64,
) -> Result<Flow, KernelError> {
    check_count(count, offset)?;
    let capability = running.process.capabilities.find(token)?;
    let memory = match &capability.object {
        Object::Memory { object, .. } => Some(object),
        Object::Device(_) => None,
        _ => return Err(KernelError::BadHandle),
    };
    capability.need(Rights::READ)?;
    if count == 0 {
        return Ok(Flow::Return(0));
    }
    if let Some(object) = memory {
        let done = mem::take(&mut running.thread.done);
        user::check_range(buffer, count)?;
        let mut at = done;
        loop {
            let (machine, space) = (&mut kernel.machine, &mut running.process.space);
            let part = PART.min(count - at);
            let read = object.read(machine, space, buffer + at, offset + at, part)?;
            at += read;
            if read < part || at == count {
                return Ok(Flow::Return(at));
            }
            if at - done >= transfer::TURN || kernel.is_due() {
                return Ok(kernel.go_on_later(running, at));
            }
        }
    }
    if count > transfer::PART {
        return read_long(kernel, running, buffer, count);
    }
    read_console(kernel, running, buffer, count)
}

/// More than an input holds, perhaps of a file that somebody gave.
#[cold]
#[inline(never)]
fn read_long<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    if let Some(file) = given(running, INPUT) {
        let what = (&*file, Touch::Write);
        return transfer::long(kernel, running, what, (buffer, count), read_console);
    }
    user::check_range(buffer, count)?;
    let range = buffer..buffer + count;
    match running.process.space.allows(range, Touch::Write) {
        true => read_console(kernel, running, buffer, transfer::PART),
        false => Err(KernelError::BadAddress),
    }
}

fn read_console<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let input = running.process.capabilities.console_input.clone();
    transfer::check_output(kernel, running, buffer, count)?;
    if let Some(file) = given(running, INPUT) {
        return read_given(kernel, running, &file, buffer, count);
    }
    match input {
        Some(input) => input.read(kernel, running, buffer, count),
        // The host sends nothing to this process: the end.
        None => Ok(Flow::Return(0)),
    }
}

/// What whoever made the process gave it as a standard stream, unless that is
/// the host's.
#[inline(always)]
fn given<P: Port>(running: &Running<P>, stream: u64) -> Option<FileRef> {
    let file = running.process.handles.get(stream).ok()?;
    let of_host = matches!(file.node, Node::Stream(_) | Node::Input(None));
    (!of_host).then(|| FileRef::clone(file))
}

// Out of the way: calls of this interface are not to pay for it.
#[cold]
#[inline(never)]
fn read_given<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &FileRef,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    transfer::readable(file)?;
    transfer::read(kernel, running, file, buffer, count)
}

#[cold]
#[inline(never)]
fn write_given<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &FileRef,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let write = |kernel: &mut Kernel<P>, running: &mut Running<P>, buffer, count| {
        stream::readable(kernel, running, buffer, count)?;
        transfer::writable(file)?;
        transfer::write(kernel, running, file, buffer, count)
    };
    if count > transfer::PART {
        let what = (&**file, Touch::Read);
        return transfer::long(kernel, running, what, (buffer, count), write);
    }
    write(kernel, running, buffer, count)
}

#[cold]
#[inline(never)]
fn stream_long<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    stream: Stream,
    buffer: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let whole = (buffer, count);
    transfer::in_turns(
        kernel,
        running,
        (true, Touch::Read),
        whole,
        |kernel, running, buffer, count| {
            stream::write(kernel, running, stream, buffer, count).map(Flow::Return)
        },
    )
}

fn check_count(count: u64, offset: u64) -> Result<(), KernelError> {
    if count > COUNT_MAX || offset.checked_add(count).is_none() {
        return Err(KernelError::InvalidArgument);
    }
    Ok(())
}

/// WRITE: checks in the order of §2.5; a stream ignores the offset (§9).
pub(crate) fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(token): Handle,
    Input(buffer): Input,
    count: u64,
    offset: u64,
) -> Flow {
    match write_checked(kernel, running, token, buffer, count, offset) {
        Ok(flow) => flow,
        Err(error) => answer(Err(error)),
    }
}

fn write_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    token: u64,
    buffer: u64,
    count: u64,
    offset: u64,
) -> Result<Flow, KernelError> {
    check_count(count, offset)?;
    let capability = running.process.capabilities.find(token)?;
    let target = match &capability.object {
        Object::Device(stream) => Ok(*stream),
        Object::Memory { object, .. } => Err(object),
        _ => return Err(KernelError::BadHandle),
    };
    capability.need(Rights::WRITE)?;
    if count == 0 {
        return Ok(Flow::Return(0));
    }
    let written = match target {
        Ok(stream) => match given(running, OUTPUT) {
            Some(file) => return write_given(kernel, running, &file, buffer, count),
            None if count > transfer::PART => {
                return stream_long(kernel, running, stream, buffer, count);
            }
            None => stream::write(kernel, running, stream, buffer, count),
        },
        Err(object) => {
            let done = mem::take(&mut running.thread.done);
            user::check_range(buffer, count)?;
            let mut at = done;
            loop {
                let (machine, space) = (&mut kernel.machine, &mut running.process.space);
                let part = PART.min(count - at);
                let written = match object.write(machine, space, buffer + at, offset + at, part) {
                    // The end of the memory.
                    Err(KernelError::NoRoom) if at > 0 => 0,
                    written => written?,
                };
                at += written;
                if written < part || at == count {
                    return Ok(Flow::Return(at));
                }
                if at - done >= transfer::TURN || kernel.is_due() {
                    return Ok(kernel.go_on_later(running, at));
                }
            }
        }
    };
    written.map(Flow::Return)
}

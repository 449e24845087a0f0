//! READ and WRITE of VeridianOS (specs/veridian.md §9).
//!
//! Their targets are the console, and memory that need not be mapped.

use mayfly_abi::table::{Handle, Input, Output};

use super::error::answer;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::capability::{Object, Rights};
use crate::object::{stream, transfer};
use crate::port::Port;

/// Longest buffer of a call (specs/veridian.md §2.7).
const COUNT_MAX: u64 = 256 << 20;

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
        let space = &mut running.process.space;
        let length = object.read(&mut kernel.machine, space, buffer, offset, count)?;
        return Ok(Flow::Return(length));
    }
    let input = running.process.capabilities.console_input.clone();
    transfer::check_output(kernel, running, buffer, count)?;
    match input {
        Some(input) => input.read(kernel, running, buffer, count),
        // The host sends nothing to this process: the end.
        None => Ok(Flow::Return(0)),
    }
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
    answer(write_checked(kernel, running, token, buffer, count, offset))
}

fn write_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    token: u64,
    buffer: u64,
    count: u64,
    offset: u64,
) -> Result<u64, KernelError> {
    check_count(count, offset)?;
    let capability = running.process.capabilities.find(token)?;
    let target = match &capability.object {
        Object::Device(stream) => Ok(*stream),
        Object::Memory { object, .. } => Err(object),
        _ => return Err(KernelError::BadHandle),
    };
    capability.need(Rights::WRITE)?;
    if count == 0 {
        return Ok(0);
    }
    match target {
        Ok(stream) => stream::write(kernel, running, stream, buffer, count),
        Err(object) => {
            let space = &mut running.process.space;
            object.write(&mut kernel.machine, space, buffer, offset, count)
        }
    }
}

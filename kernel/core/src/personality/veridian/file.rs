//! READ and WRITE of VeridianOS: so far WRITE to the console device.

use mayfly_abi::table::{Handle, Input};

use super::error::answer;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::capability::{Object, Rights};
use crate::object::stream;
use crate::port::Port;

/// Longest buffer of a call (specs/veridian.md §2.7).
const COUNT_MAX: u64 = 256 << 20;

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
    if count > COUNT_MAX || offset.checked_add(count).is_none() {
        return Err(KernelError::InvalidArgument);
    }
    let capability = running.process.capabilities.find(token)?;
    let Object::Device(stream) = capability.object else {
        return Err(KernelError::BadHandle);
    };
    capability.need(Rights::WRITE)?;
    if count == 0 {
        return Ok(0);
    }
    stream::write(kernel, running, stream, buffer, count)
}

//! Files of PatchworkOS: so far the standard streams.

use mayfly_abi::patchwork::nr;
use mayfly_abi::table::{Handle, Input};

use super::error;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::stream::{self, Stream};
use crate::port::Port;

/// WRITE: a null buffer is an error before anything else is asked, even for
/// no bytes (specs/patchwork.md §5, 13); but an unknown descriptor comes first.
pub(crate) fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(fd): Handle,
    Input(buffer): Input,
    count: u64,
) -> Flow {
    let written = match fd {
        0..=2 if buffer == 0 => Err(KernelError::NullPointer),
        // Standard input is open and has no write operation, but its buffer is checked first.
        0 => stream::readable(kernel, running, buffer, count).and(Err(KernelError::NotSupported)),
        1 => stream::write(kernel, running, Stream::Output, buffer, count),
        2 => stream::write(kernel, running, Stream::Error, buffer, count),
        _ => Err(KernelError::BadHandle),
    };
    match written {
        Ok(count) => Flow::Return(count),
        Err(error) => error::fail(running, nr::WRITE, error),
    }
}

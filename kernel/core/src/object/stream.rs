//! Output to the host: where a program's descriptors 1 and 2 lead.

use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::object::memory::{Space, Touch};
use crate::port::{Host, Machine, PAGE_SIZE, PIECES_MAX, Piece, Port};
use crate::user::{self, check_range};

/// An output stream to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stream {
    /// The terminal.
    Terminal = 0,
    /// Standard output.
    Output = 1,
    /// Standard error.
    Error = 2,
}

/// Writes user memory to a stream: the host takes the bytes from the pages
/// they lie in. Nothing is written unless all of it is readable.
///
/// # Errors
/// [`KernelError::BadAddress`] or [`KernelError::Overflow`] for the range,
/// [`KernelError::NoMemory`] when a page cannot be had.
pub fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    stream: Stream,
    address: u64,
    length: u64,
) -> Result<u64, KernelError> {
    check_range(address, length)?;
    let end = address + length;
    let number = running.process.console;
    if length == 0 {
        return Ok(0);
    }
    if (address | (PAGE_SIZE - 1)) >= end - 1 {
        // Most are short: no room for many pieces is made.
        let piece = Piece::new(
            present(kernel, running, address)?,
            address % PAGE_SIZE,
            length,
        );
        kernel.host.output(number, stream as u8, &[piece]);
        return Ok(length);
    }
    // More than one page: all must be there before the first byte goes out.
    readable(kernel, running, address, length)?;
    let mut at = address;
    while at < end {
        let mut pieces = [Piece::NONE; PIECES_MAX];
        let mut used = 0;
        while at < end && used < PIECES_MAX {
            let length = (PAGE_SIZE - at % PAGE_SIZE).min(end - at);
            let frame = present(kernel, running, at)?;
            pieces[used] = Piece::new(frame, at % PAGE_SIZE, length);
            used += 1;
            at += length;
        }
        kernel.host.output(number, stream as u8, &pieces[..used]);
    }
    Ok(length)
}

/// Checks that a range of user memory is readable, and brings its pages in.
///
/// # Errors
/// As [`write()`].
pub fn readable<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    length: u64,
) -> Result<(), KernelError> {
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    bring_in(machine, space, address, length, Touch::Read)
}

/// Checks that a range of the running space may be read or written, and brings its
/// pages in. A range of no length is to lie in the user half too.
///
/// # Errors
/// [`KernelError::BadAddress`], [`KernelError::Overflow`], [`KernelError::NoMemory`].
#[inline(always)]
pub(super) fn bring_in<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    length: u64,
    touch: Touch,
) -> Result<(), KernelError> {
    if length == 0 {
        return check_range(address, length);
    }
    user::check(machine, space, address, length, touch)
}

/// The frame of a page of the running space, brought in if need be.
fn present<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
) -> Result<crate::port::PageFrame, KernelError> {
    let space = &mut running.process.space;
    if let Some((frame, access)) = kernel.machine.lookup(space.tables(), address)
        && access.read
    {
        return Ok(frame);
    }
    space.touch(&mut kernel.machine, address, Touch::Read)
}

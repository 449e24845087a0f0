//! How PatchworkOS spells a failure (specs/patchwork.md §2).

use mayfly_abi::patchwork::{Call, ERR, Errno};
use mayfly_abi::table::Outcome;

use crate::error::KernelError;
use crate::kernel::{Flow, Running};
use crate::port::Port;

/// Error number of a failure.
pub fn errno(error: KernelError) -> Errno {
    match error {
        KernelError::NullPointer | KernelError::InvalidArgument => Errno::EINVAL,
        KernelError::Overflow => Errno::EOVERFLOW,
        KernelError::BadAddress => Errno::EFAULT,
        KernelError::TooLong => Errno::ENAMETOOLONG,
        KernelError::TooMany => Errno::E2BIG,
        KernelError::BadHandle => Errno::EBADF,
        KernelError::NotPermitted => Errno::EACCES,
        KernelError::NotFound => Errno::ENOENT,
        KernelError::NotSupported | KernelError::Unserved => Errno::ENOSYS,
        KernelError::NoMemory => Errno::ENOMEM,
        KernelError::NoRoom => Errno::EMFILE,
        KernelError::Changed | KernelError::WouldBlock => Errno::EAGAIN,
        KernelError::Busy => Errno::EBUSY,
        KernelError::TimedOut => Errno::ETIMEDOUT,
        KernelError::TooSmall => Errno::EOVERFLOW,
        KernelError::IsDirectory => Errno::EISDIR,
        KernelError::NotDirectory => Errno::ENOTDIR,
        KernelError::Exists => Errno::EEXIST,
        KernelError::NotEmpty => Errno::ENOTEMPTY,
        KernelError::NotSeekable => Errno::ESPIPE,
        KernelError::BrokenPipe => Errno::EPIPE,
        KernelError::WrongEnd => Errno::ENOTSUP,
        KernelError::OtherSystem => Errno::EXDEV,
        KernelError::TooLarge => Errno::EFBIG,
        KernelError::BadFlag => Errno::EBADFLAG,
        KernelError::NoControl => Errno::ENOTTY,
        KernelError::AddressInUse => Errno::EADDRINUSE,
        KernelError::NotConnected => Errno::ENOTCONN,
        KernelError::AlreadyConnected => Errno::EISCONN,
        KernelError::ConnectionRefused => Errno::ECONNREFUSED,
        KernelError::ConnectionReset => Errno::ECONNRESET,
        KernelError::MessageTooLong => Errno::EMSGSIZE,
        KernelError::Interrupted => Errno::EINTR,
        KernelError::BadCommand => Errno::EUNKNOWNCTL,
    }
}

/// The call failed: `ERR`, or `NULL` from a call that returns an address.
#[cold]
pub(crate) fn fail<P: Port>(running: &mut Running<P>, number: u64, error: KernelError) -> Flow {
    running.thread.errno = errno(error).code();
    Flow::Return(failure(number))
}

/// A result as the call returns it.
#[inline(always)]
pub(crate) fn answer<P: Port>(
    running: &mut Running<P>,
    number: u64,
    result: Result<u64, KernelError>,
) -> Flow {
    match result {
        Ok(value) => Flow::Return(value),
        Err(error) => fail(running, number, error),
    }
}

/// A flow as the call goes on.
#[inline(always)]
pub(crate) fn answer_flow<P: Port>(
    running: &mut Running<P>,
    number: u64,
    result: Result<Flow, KernelError>,
) -> Flow {
    result.unwrap_or_else(|error| fail(running, number, error))
}

/// Result word of a failure.
fn failure(number: u64) -> u64 {
    let row = Call::ROWS.iter().find(|row| row.number == number);
    match row.map(|row| row.result) {
        Some(Outcome::Address) => 0,
        _ => ERR,
    }
}

/// Error number that a result stands for.
pub fn code(number: u64, result: u64, errno: u32) -> u32 {
    if result == failure(number) { errno } else { 0 }
}

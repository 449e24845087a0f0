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
        KernelError::BadHandle => Errno::EBADF,
        KernelError::NotPermitted => Errno::EACCES,
        KernelError::NotFound => Errno::ENOENT,
        KernelError::NotSupported | KernelError::Unserved => Errno::ENOSYS,
        KernelError::NoMemory => Errno::ENOMEM,
        KernelError::NoRoom => Errno::EMFILE,
        KernelError::Changed => Errno::EAGAIN,
        KernelError::TimedOut => Errno::ETIMEDOUT,
    }
}

/// The call failed: `ERR`, or `NULL` from a call that returns an address.
#[cold]
pub(crate) fn fail<P: Port>(running: &mut Running<P>, number: u64, error: KernelError) -> Flow {
    running.thread.errno = errno(error).code();
    Flow::Return(failure(number))
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

//! How VeridianOS spells a failure (specs/veridian.md §2).

use mayfly_abi::veridian::{ERROR_BIT, SyscallError};

use crate::error::KernelError;
use crate::kernel::Flow;

/// Code of a failure.
pub fn syscall_error(error: KernelError) -> SyscallError {
    match error {
        KernelError::InvalidArgument
        | KernelError::TooLong
        | KernelError::TooMany
        | KernelError::Changed => SyscallError::InvalidParameter,
        KernelError::NullPointer | KernelError::Overflow | KernelError::BadAddress => {
            SyscallError::InvalidAddress
        }
        KernelError::BadHandle => SyscallError::InvalidCapability,
        KernelError::NotPermitted => SyscallError::PermissionDenied,
        KernelError::NotFound => SyscallError::NotFound,
        KernelError::NotSupported | KernelError::Unserved => SyscallError::NotSupported,
        KernelError::NoMemory => SyscallError::OutOfMemory,
        KernelError::NoRoom => SyscallError::ResourceExhausted,
        KernelError::Exists => SyscallError::AlreadyExists,
        KernelError::Busy => SyscallError::Busy,
        KernelError::TimedOut => SyscallError::Timeout,
        KernelError::Interrupted => SyscallError::Interrupted,
        KernelError::TooSmall => SyscallError::BufferTooSmall,
        // Only a standard stream that another interface's program gave meets these.
        KernelError::IsDirectory
        | KernelError::NotDirectory
        | KernelError::NotEmpty
        | KernelError::NotSeekable
        | KernelError::BrokenPipe
        | KernelError::WrongEnd
        | KernelError::OtherSystem
        | KernelError::TooLarge
        | KernelError::BadFlag
        | KernelError::NoControl
        | KernelError::WouldBlock
        | KernelError::AddressInUse
        | KernelError::NotConnected
        | KernelError::AlreadyConnected
        | KernelError::ConnectionRefused
        | KernelError::ConnectionReset
        | KernelError::MessageTooLong
        | KernelError::BadCommand => SyscallError::NotSupported,
    }
}

/// A result as the call returns it.
pub(crate) fn answer(result: Result<u64, KernelError>) -> Flow {
    Flow::Return(match result {
        Ok(value) => value,
        Err(error) => syscall_error(error).word(),
    })
}

/// Error code that a result stands for.
pub fn code(result: u64) -> u32 {
    if result & ERROR_BIT == 0 {
        return 0;
    }
    u32::try_from(result & !ERROR_BIT).unwrap_or(0)
}

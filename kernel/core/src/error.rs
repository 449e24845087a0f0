//! What can go wrong, before any ABI spells it.
//!
//! Personalities turn these into their own codes in one place each
//! (`personality/*/error.rs`).

use alloc::collections::TryReserveError;

use crate::port::NoFrames;

/// Why a call cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// A user pointer is null where that has a meaning of its own.
    NullPointer,
    /// A user range wraps around the address space.
    Overflow,
    /// A user address is not accessible in the way that is needed.
    BadAddress,
    /// A string has no terminator within its limit.
    TooLong,
    /// A list has no end within its limit.
    TooMany,
    /// A descriptor or token names nothing.
    BadHandle,
    /// The object does not allow this.
    NotPermitted,
    /// An argument is out of its range.
    InvalidArgument,
    /// Nothing has that name or number.
    NotFound,
    /// The object knows no such operation.
    NotSupported,
    /// Memory is full.
    NoMemory,
    /// A table or quota is full.
    NoRoom,
    /// A buffer is too small for what came.
    TooSmall,
    /// A value is not what the caller took it for.
    Changed,
    /// Another one does this already.
    Busy,
    /// The time is over.
    TimedOut,
    /// It is a directory, and something else is needed.
    IsDirectory,
    /// A directory is needed.
    NotDirectory,
    /// The name is taken.
    Exists,
    /// A directory still holds something.
    NotEmpty,
    /// The file has no position.
    NotSeekable,
    /// Nobody reads the pipe any more.
    BrokenPipe,
    /// A pipe has no such operation at this end.
    WrongEnd,
    /// A name would lead to another file system.
    OtherSystem,
    /// A file would be too large.
    TooLarge,
    /// A path has a flag that does not exist, or that cannot be here.
    BadFlag,
    /// The device knows no such request.
    NoControl,
    /// It would have to wait, and is not to.
    WouldBlock,
    /// A socket's address is taken.
    AddressInUse,
    /// A socket has no connection.
    NotConnected,
    /// A socket has a connection already.
    AlreadyConnected,
    /// Nobody takes connections at an address.
    ConnectionRefused,
    /// The other side of a connection is gone.
    ConnectionReset,
    /// A message is longer than a connection can carry.
    MessageTooLong,
    /// A note came while the call waited.
    Interrupted,
    /// A command is none, or has too few or too many words.
    BadCommand,
    /// The row exists and this kernel does not serve it yet.
    Unserved,
}

impl From<TryReserveError> for KernelError {
    fn from(_: TryReserveError) -> Self {
        KernelError::NoMemory
    }
}

impl From<NoFrames> for KernelError {
    fn from(_: NoFrames) -> Self {
        KernelError::NoMemory
    }
}

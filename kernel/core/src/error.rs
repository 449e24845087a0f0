//! What can go wrong, before any ABI spells it.
//!
//! Personalities turn these into their own codes in one place each
//! (`personality/*/error.rs`).

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
    /// A value is not what the caller took it for.
    Changed,
    /// The time is over.
    TimedOut,
    /// The row exists and this kernel does not serve it yet.
    Unserved,
}

impl From<NoFrames> for KernelError {
    fn from(_: NoFrames) -> Self {
        KernelError::NoMemory
    }
}

//! Capability calls of VeridianOS for programs (`specs/veridian.md` §4, §5).
//!
//! Neighbours: `../veridian.rs` has the calls that every program makes.

use mayfly_abi::veridian::{SyscallError, nr};

use super::{call, outcome};

/// Object types (§4.2).
pub mod kind {
    /// A memory object.
    pub const MEMORY: u64 = 0;
    /// A process.
    pub const PROCESS: u64 = 1;
    /// A thread.
    pub const THREAD: u64 = 2;
    /// A receive queue.
    pub const IPC_ENDPOINT: u64 = 3;
    /// A device.
    pub const DEVICE: u64 = 5;
    /// A link between endpoints.
    pub const IPC_CHANNEL: u64 = 6;
    /// A process's own capability space.
    pub const CAP_SPACE: u64 = 9;
}

/// Rights (§4.3).
pub mod right {
    /// Read, receive, wait.
    pub const READ: u64 = 1;
    /// Write, send.
    pub const WRITE: u64 = 2;
    /// Execute, bind, start.
    pub const EXECUTE: u64 = 4;
    /// Pass on.
    pub const GRANT: u64 = 8;
    /// Revoke.
    pub const REVOKE: u64 = 0x10;
    /// Delete.
    pub const DELETE: u64 = 0x20;
    /// Map, manage.
    pub const MODIFY: u64 = 0x40;
    /// Mint.
    pub const CREATE: u64 = 0x80;
}

/// Mints a token for an object: a child of `parent`.
///
/// # Errors
/// Those of `SYS_CAPABILITY_CREATE` (§5).
pub fn create(
    kind: u64,
    object: u64,
    rights: u64,
    parent: u64,
) -> Result<u64, Option<SyscallError>> {
    outcome(call(nr::CAPABILITY_CREATE, [kind, object, rights, parent]))
}

/// Makes a token with the same rights as `parent` or fewer.
///
/// # Errors
/// Those of `SYS_CAPABILITY_DERIVE` (§5).
pub fn derive(parent: u64, rights: u64) -> Result<u64, Option<SyscallError>> {
    outcome(call(nr::CAPABILITY_DERIVE, [parent, rights, 0, 0]))
}

/// Takes a token and all that derive from it away, in every process.
///
/// # Errors
/// Those of `SYS_CAPABILITY_REVOKE` (§5).
pub fn revoke(token: u64) -> Result<(), Option<SyscallError>> {
    outcome(call(nr::CAPABILITY_REVOKE, [token, 0, 0, 0])).map(|_| ())
}

/// The token is valid and has those rights.
///
/// # Errors
/// Those of `SYS_CAPABILITY_VALIDATE` (§5).
pub fn validate(token: u64, rights: u64) -> Result<(), Option<SyscallError>> {
    outcome(call(nr::CAPABILITY_VALIDATE, [token, rights, 0, 0])).map(|_| ())
}

//! Memory of XenevaOS for programs (`specs/xeneva.md` §3.9 to §3.11, §4).
//!
//! Neighbours: `../xeneva.rs` has the services that every program uses.

use core::ptr::{self, NonNull};

use mayfly_abi::xeneva::nr;

use super::{Failed, call, outcome, word};

/// Protection of a mapping: it cannot be written.
pub const READ_ONLY: u64 = 1;
/// Protection of a mapping: it can.
pub const WRITE: u64 = 2;
/// Protection of a mapping: it cannot be executed.
pub const NO_EXECUTE: u64 = 4;
/// Flag of a mapping of memory that is a file: stores are for all to see.
pub const SHARED: u64 = 1;
/// Flag of a mapping of a file: stores are the process's own.
pub const PRIVATE: u64 = 4;
/// No file.
pub const ANONYMOUS: i32 = -1;

/// Makes the segment of a key, or finds the one there is; says its id.
///
/// # Errors
/// When there is none and none can be made.
pub fn create_shared(key: u16, size: u64) -> Result<u16, Failed> {
    let id = outcome(call(nr::CreateSharedMem, [key.into(), size, 0, 0, 0, 0]))?;
    u16::try_from(id).map_err(|_| Failed)
}

/// Maps the segment of an id.
///
/// # Errors
/// When there is no such id, or no room.
pub fn obtain_shared(id: u16) -> Result<NonNull<u64>, Failed> {
    address(call(nr::ObtainSharedMem, [id.into(), 0, 0, 0, 0, 0]))
}

/// Ends one mapping of the segment of a key.
///
/// # Safety
/// Nothing uses that mapping any more.
pub unsafe fn unmap_shared(key: u16) -> u64 {
    call(nr::UnmapSharedMem, [key.into(), 0, 0, 0, 0, 0])
}

/// Maps `length` bytes where there is room: of a file, or zeros.
///
/// # Errors
/// When there is no room, no such file, or it cannot be mapped.
pub fn map(
    length: u64,
    prot: u64,
    flags: u64,
    fd: i32,
    offset: u64,
) -> Result<NonNull<u64>, Failed> {
    let words = [0, length, prot, flags, word(fd), offset];
    address(call(nr::CreateMemMapping, words))
}

/// Unmaps pages.
///
/// # Safety
/// Nothing uses them any more.
pub unsafe fn unmap(start: NonNull<u64>, length: u64) -> u64 {
    let start = start.as_ptr().expose_provenance() as u64;
    call(nr::UnmapMemMapping, [start, length, 0, 0, 0, 0])
}

/// Makes the heap larger by whole pages; where they begin.
///
/// # Errors
/// When they are none, or there is no room.
pub fn grow_heap(size: u64) -> Result<NonNull<u64>, Failed> {
    let start = outcome(call(nr::GetProcessHeapMem, [size, 0, 0, 0, 0, 0]))?;
    address(start)
}

fn address(word: u64) -> Result<NonNull<u64>, Failed> {
    let address = usize::try_from(word).map_err(|_| Failed)?;
    NonNull::new(ptr::with_exposed_provenance_mut(address)).ok_or(Failed)
}

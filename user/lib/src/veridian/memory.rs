//! Memory calls of VeridianOS for programs (`specs/veridian.md` §5, §8).
//!
//! Neighbours: `../veridian.rs` has the calls that every program makes,
//! `capability.rs` makes memory objects.

use mayfly_abi::veridian::{SyscallError, nr};

use super::{call, call_all, outcome};

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// Protections (§3).
pub mod prot {
    /// Nothing: the addresses are kept.
    pub const NONE: u64 = 0;
    /// It can be read.
    pub const READ: u64 = 1;
    /// It can be written, and read.
    pub const WRITE: u64 = 2;
    /// It can be executed.
    pub const EXEC: u64 = 4;
}

/// Flags of a mapping (§3).
pub mod map {
    /// A copy of its own.
    pub const PRIVATE: u64 = 1;
    /// What others see too.
    pub const SHARED: u64 = 2;
    /// Zeros, no object.
    pub const ANONYMOUS: u64 = 4;
    /// At that address or nowhere.
    pub const FIXED: u64 = 8;
    /// All pages are there at once.
    pub const POPULATE: u64 = 16;
}

/// The page's `mmap`: maps memory that nothing else uses, for a mapping never
/// replaces another one. A token of `None` is the null token. Says the address.
///
/// # Errors
/// Those of `SYS_MMAP` (§5).
pub fn mmap(
    address: u64,
    length: u64,
    prot: u64,
    flags: u64,
    capability: Option<u64>,
    offset: u64,
) -> Result<u64, Option<SyscallError>> {
    let token = capability.unwrap_or(0);
    outcome(call_all(
        nr::MMAP,
        [address, length, prot, flags, token, offset],
    ))
}

/// Unmaps memory.
///
/// # Errors
/// Those of `SYS_MUNMAP` (§5).
///
/// # Safety
/// Nothing refers to it any more.
pub unsafe fn munmap(address: u64, length: u64) -> Result<(), Option<SyscallError>> {
    outcome(call(nr::MUNMAP, [address, length, 0, 0])).map(|_| ())
}

/// Changes the protection of memory.
///
/// # Errors
/// Those of `SYS_MPROTECT` (§5).
///
/// # Safety
/// Nothing that refers to it does what it may not do then.
pub unsafe fn mprotect(address: u64, length: u64, prot: u64) -> Result<(), Option<SyscallError>> {
    outcome(call(nr::MPROTECT, [address, length, prot, 0])).map(|_| ())
}

/// Loads a word of mapped memory.
///
/// # Safety
/// The address is that of an aligned word that can be read.
pub unsafe fn load(address: u64) -> u64 {
    // SAFETY: as the caller says.
    unsafe { (address as *const u64).read_volatile() }
}

/// Stores a word in mapped memory.
///
/// # Safety
/// The address is that of an aligned word that can be written, and that no
/// reference is to.
pub unsafe fn store(address: u64, word: u64) {
    // SAFETY: as the caller says.
    unsafe { (address as *mut u64).write_volatile(word) }
}

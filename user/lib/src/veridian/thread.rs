//! Threads of VeridianOS for programs (`specs/veridian.md` §5, §7.7).
//!
//! Neighbours: `../veridian.rs` has the calls that every program makes.

use core::cell::UnsafeCell;

use mayfly_abi::veridian::{SyscallError, nr};

use super::{call, outcome};

/// Bytes of a [`Stack`].
pub const STACK_SIZE: usize = 8192;
/// For ever.
pub const FOREVER: u64 = u64::MAX;

/// Memory for a thread to run on.
#[repr(C, align(16))]
pub struct Stack(UnsafeCell<[u8; STACK_SIZE]>);

// SAFETY: nothing here touches the bytes; `create` gives them to one thread.
unsafe impl Sync for Stack {}

impl Stack {
    /// Zeros.
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; STACK_SIZE]))
    }

    /// Its lowest address.
    pub fn base(&self) -> u64 {
        self.0.get().expose_provenance() as u64
    }
}

impl Default for Stack {
    fn default() -> Self {
        Self::new()
    }
}

/// Starts a thread; it must not return. Says its id.
///
/// # Errors
/// Those of `SYS_THREAD_CREATE` (§5).
///
/// # Safety
/// No other thread uses the stack until this one has ended.
pub unsafe fn create(
    entry: extern "sysv64" fn(u64) -> !,
    stack: &'static Stack,
    argument: u64,
) -> Result<u64, Option<SyscallError>> {
    let entry = (entry as *const ()).expose_provenance() as u64;
    let words = [entry, stack.base(), STACK_SIZE as u64, argument];
    outcome(call(nr::THREAD_CREATE, words))
}

/// Ends the thread, and the process with its last one.
pub fn exit(code: i32) -> ! {
    loop {
        call(nr::THREAD_EXIT, [u64::from(code.cast_unsigned()), 0, 0, 0]);
    }
}

/// Waits for a thread to end; gives its exit code.
///
/// # Errors
/// Those of `SYS_THREAD_JOIN` (§5).
pub fn join(thread: u64, timeout: u64) -> Result<i32, Option<SyscallError>> {
    let code = outcome(call(nr::THREAD_JOIN, [thread, timeout, 0, 0]))?;
    // A code is 32 bits, not sign-extended (§2.3).
    let code = u32::try_from(code).map_err(|_| None)?;
    Ok(code.cast_signed())
}

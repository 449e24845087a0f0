//! Arguments of new programs, and room for them.
//!
//! How many there are is up to the program that gives them, so each allocation
//! can fail. Neighbours: `start` of each interface lays them out on a new stack.

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::port::Machine;
use crate::user;

/// Bytes that a new stack's first contents take beside arguments and words.
const BLOCK: usize = 256;

/// Arguments of a new program: NUL-terminated strings, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    bytes: &'a [u8],
}

impl<'a> Arguments<'a> {
    /// Takes strings, each with its terminator.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// All of them, terminators included.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Offset of each string in [`bytes`](Self::bytes).
    pub fn offsets(&self) -> impl Iterator<Item = u64> + use<'a> {
        let bytes = self.bytes;
        let mut at = 0;
        core::iter::from_fn(move || {
            let start = at;
            at += user::find_zero(bytes.get(at..)?)? + 1;
            Some(start as u64)
        })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.offsets().count() as u64
    }

    /// The first one, without its terminator; empty if there is none.
    pub fn first(&self) -> &'a [u8] {
        let end = user::find_zero(self.bytes).unwrap_or(0);
        &self.bytes[..end]
    }
}

/// Room for a new stack's first contents: arguments, and so many words.
///
/// # Errors
/// [`KernelError::NoMemory`].
pub(crate) fn block(arguments: &Arguments<'_>, count: u64) -> Result<Vec<u8>, KernelError> {
    let count = usize::try_from(count).map_err(|_| KernelError::NoMemory)?;
    room(BLOCK + arguments.bytes().len() + 8 * count)
}

/// Room for so many words.
///
/// # Errors
/// [`KernelError::NoMemory`].
pub(crate) fn words(count: u64) -> Result<Vec<u8>, KernelError> {
    let count = usize::try_from(count).map_err(|_| KernelError::NoMemory)?;
    room(8 * count)
}

fn room(bytes: usize) -> Result<Vec<u8>, KernelError> {
    let mut room = Vec::new();
    room.try_reserve_exact(bytes)?;
    Ok(room)
}

/// Adds bytes to text that a program makes grow. What is left of a heap that is
/// low is for what cannot be refused.
///
/// # Errors
/// [`KernelError::NoMemory`].
pub(crate) fn append(
    machine: &impl Machine,
    text: &mut Vec<u8>,
    bytes: &[u8],
) -> Result<(), KernelError> {
    if text.capacity() - text.len() < bytes.len() {
        if machine.heap_low() {
            return Err(KernelError::NoMemory);
        }
        text.try_reserve(bytes.len())?;
    }
    text.extend_from_slice(bytes);
    Ok(())
}

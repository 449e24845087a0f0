//! Sparse bytes: what files, pipes and logs keep, in pieces that come with writing.
//!
//! A store may lie over bytes that are there for good (a file of a bundle):
//! they are read where they lie, and a piece is copied when it is written.
//! Every piece is charged to a [`Quota`], so that files cannot fill the heap.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use core::cell::Cell;

use crate::error::KernelError;
use crate::object::memory::Space;
use crate::port::Machine;
use crate::user;

/// Bytes of a piece.
const PIECE: u64 = PIECE_BYTES as u64;
/// The same, for slices.
const PIECE_BYTES: usize = 1024;
/// What a piece costs, with its place in the index.
const PIECE_COST: u64 = PIECE + 64;
/// What is read where nothing was written.
static ZEROS: [u8; 4096] = [0; 4096];

/// Bytes of the kernel's heap that may still be used.
#[derive(Debug)]
pub struct Quota {
    left: Cell<u64>,
}

impl Quota {
    /// So many bytes.
    pub fn new(bytes: u64) -> Rc<Self> {
        Rc::new(Self {
            left: Cell::new(bytes),
        })
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when so many are not left.
    pub fn take(&self, bytes: u64) -> Result<(), KernelError> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.ok_or(KernelError::NoMemory)?);
        Ok(())
    }

    /// Gives bytes back that were taken.
    pub fn give(&self, bytes: u64) {
        self.left.set(self.left.get().saturating_add(bytes));
    }

    /// Bytes left.
    pub fn left(&self) -> u64 {
        self.left.get()
    }
}

/// Bytes at addresses from 0 to 2^64.
#[derive(Debug)]
pub struct Store {
    base: &'static [u8],
    pieces: BTreeMap<u64, Box<[u8]>>,
    quota: Rc<Quota>,
}

impl Store {
    /// Bytes that are there for good, then zeros.
    pub fn new(base: &'static [u8], quota: &Rc<Quota>) -> Self {
        Self {
            base,
            pieces: BTreeMap::new(),
            quota: Rc::clone(quota),
        }
    }

    /// The bytes that are there for good, if nothing was written over them.
    pub fn original(&self) -> Option<&'static [u8]> {
        self.pieces.is_empty().then_some(self.base)
    }

    /// Bytes from `at` on that lie together: at least one, at most `most`.
    pub fn run(&self, at: u64, most: u64) -> &[u8] {
        let index = at / PIECE;
        let (bytes, offset) = match self.pieces.get(&index) {
            Some(piece) => (&piece[..], at % PIECE),
            None => {
                let next = self.pieces.range(index..).next();
                let room = next.map_or(u64::MAX, |(next, _)| next * PIECE - at);
                let most = most.min(room);
                if at < self.base.len() as u64 {
                    return cut(self.base, at, most);
                }
                return cut(&ZEROS, 0, most);
            }
        };
        cut(bytes, offset, most)
    }

    /// Copies `length` bytes from `at` on to user memory.
    ///
    /// # Errors
    /// As [`user::write`].
    pub fn read<M: Machine>(
        &self,
        machine: &mut M,
        space: &mut Space<M>,
        address: u64,
        at: u64,
        length: u64,
    ) -> Result<(), KernelError> {
        let mut done = 0;
        while done < length {
            let bytes = self.run(at + done, length - done);
            user::write(machine, space, address + done, bytes)?;
            done += bytes.len() as u64;
        }
        Ok(())
    }

    /// Copies user memory to `at`; says how many bytes, fewer than `length`
    /// when there is no room for more. `at + length` does not overflow.
    ///
    /// # Errors
    /// As [`user::read`], and [`KernelError::NoMemory`], when it is not one byte.
    pub fn write<M: Machine>(
        &mut self,
        machine: &mut M,
        space: &mut Space<M>,
        address: u64,
        at: u64,
        length: u64,
    ) -> Result<u64, KernelError> {
        let mut done = 0;
        while done < length {
            let copied = self.piece(machine.heap_low(), at + done).and_then(|bytes| {
                let length = usize::try_from(length - done).unwrap_or(usize::MAX);
                let length = length.min(bytes.len());
                user::read(machine, space, address + done, &mut bytes[..length])?;
                Ok(length as u64)
            });
            match copied {
                Ok(copied) => done += copied,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes bytes of the kernel's own at `at`, as far as there is room; says
    /// how many.
    pub fn put(&mut self, heap_low: bool, at: u64, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let Ok(piece) = self.piece(heap_low, at + done as u64) else {
                break;
            };
            let length = piece.len().min(bytes.len() - done);
            piece[..length].copy_from_slice(&bytes[done..done + length]);
            done += length;
        }
        done
    }

    /// The same bytes once more, charged to the same quota.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn duplicate(&self) -> Result<Self, KernelError> {
        self.quota.take(self.pieces.len() as u64 * PIECE_COST)?;
        Ok(Self {
            base: self.base,
            pieces: self.pieces.clone(),
            quota: Rc::clone(&self.quota),
        })
    }

    /// The rest of the piece that has `at`, to write to.
    fn piece(&mut self, heap_low: bool, at: u64) -> Result<&mut [u8], KernelError> {
        let index = at / PIECE;
        if !self.pieces.contains_key(&index) {
            if heap_low {
                return Err(KernelError::NoMemory);
            }
            self.quota.take(PIECE_COST)?;
            let mut piece = alloc::vec![0; PIECE_BYTES].into_boxed_slice();
            let below = cut(self.base, index * PIECE, PIECE);
            piece[..below.len()].copy_from_slice(below);
            self.pieces.insert(index, piece);
        }
        let piece = self.pieces.get_mut(&index).ok_or(KernelError::NoMemory)?;
        Ok(&mut piece[(at % PIECE) as usize..])
    }

    /// Forgets everything from `size` on: it reads as zeros.
    pub fn truncate(&mut self, size: u64) {
        self.base = cut(self.base, 0, size);
        let gone = self.pieces.split_off(&size.div_ceil(PIECE));
        self.quota.give(gone.len() as u64 * PIECE_COST);
        if let Some(last) = self.pieces.get_mut(&(size / PIECE)) {
            last[(size % PIECE) as usize..].fill(0);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.quota.give(self.pieces.len() as u64 * PIECE_COST);
    }
}

/// `bytes[from..from + most]`, as far as there are so many.
fn cut(bytes: &[u8], from: u64, most: u64) -> &[u8] {
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    let rest = &bytes[from..];
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(rest.len());
    &rest[..most]
}

#[cfg(test)]
mod tests;

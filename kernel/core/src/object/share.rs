//! Shares: open files left under a key for whoever claims them first.

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::object::file::FileRef;

/// Most files left at a time.
const SHARES_MAX: usize = 256;

/// A key that cannot be guessed.
pub type Key = [u8; 16];

/// Files under keys.
#[derive(Debug)]
pub struct Shares {
    shares: Vec<Share>,
    /// What keys are made of; every use changes it.
    state: u64,
}

#[derive(Debug)]
struct Share {
    key: Key,
    file: FileRef,
    /// Nanoseconds since boot; `u64::MAX` is never.
    deadline: u64,
}

impl Shares {
    /// How many are left.
    pub fn len(&self) -> usize {
        self.shares.len()
    }

    /// None is left.
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// None yet; keys are made of `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            shares: Vec::new(),
            state: seed,
        }
    }

    /// What keys are made of from now on.
    pub fn reseed(&mut self, seed: u64) {
        self.state = seed;
    }

    /// Leaves a file under a new key until `deadline`.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`] when too many are left.
    pub fn leave(&mut self, file: FileRef, deadline: u64) -> Result<Key, KernelError> {
        if self.shares.len() >= SHARES_MAX {
            return Err(KernelError::NoMemory);
        }
        let mut key = [0; 16];
        for half in key.chunks_exact_mut(8) {
            half.copy_from_slice(&self.random().to_le_bytes());
        }
        self.shares.push(Share {
            key,
            file,
            deadline,
        });
        Ok(key)
    }

    /// Takes the file under a key.
    pub fn claim(&mut self, key: &Key) -> Option<FileRef> {
        let at = self.shares.iter().position(|share| share.key == *key)?;
        Some(self.shares.remove(at).file)
    }

    /// Forgets what is left past its time; says when the next is due.
    pub fn expire(&mut self, now: u64) -> Option<u64> {
        self.shares.retain(|share| share.deadline > now);
        let deadlines = self.shares.iter().map(|share| share.deadline);
        deadlines.filter(|deadline| *deadline != u64::MAX).min()
    }

    /// splitmix64. Its state is the machine's: copies of a machine make the
    /// same keys, unless they are seeded anew.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

//! Bytes of a memory object, copied without mapping it.

use super::{MemoryObject, Space, in_page};
use crate::error::KernelError;
use crate::port::{Machine, PAGE_BYTES, PAGE_SIZE};
use crate::user;

/// Bytes that are copied at a time.
const PART: usize = 256;

impl MemoryObject {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.pages() * PAGE_SIZE
    }

    /// Copies up to `count` bytes at `offset` to user memory; says how many.
    ///
    /// # Errors
    /// As [`user::write`].
    pub fn read<M: Machine>(
        &self,
        machine: &mut M,
        space: &mut Space<M>,
        address: u64,
        offset: u64,
        count: u64,
    ) -> Result<u64, KernelError> {
        user::check_range(address, count)?;
        let count = self.size().saturating_sub(offset).min(count);
        let mut done = 0;
        while done < count {
            let at = offset + done;
            let mut part = [0; PART];
            let part = cut(&mut part, at, count - done);
            if let Some(frame) = self.frame(at / PAGE_SIZE) {
                machine.read_frame(frame, in_page(at), part);
            }
            user::write(machine, space, address + done, part)?;
            done += part.len() as u64;
        }
        Ok(count)
    }

    /// Copies up to `count` bytes of user memory to `offset`; says how many.
    ///
    /// # Errors
    /// As [`user::read`], [`KernelError::NoRoom`] when nothing is there.
    pub fn write<M: Machine>(
        &self,
        machine: &mut M,
        space: &mut Space<M>,
        address: u64,
        offset: u64,
        count: u64,
    ) -> Result<u64, KernelError> {
        user::check_range(address, count)?;
        if offset >= self.size() {
            return Err(KernelError::NoRoom);
        }
        let count = (self.size() - offset).min(count);
        let mut done = 0;
        while done < count {
            let at = offset + done;
            let mut part = [0; PART];
            let part = cut(&mut part, at, count - done);
            user::read(machine, space, address + done, part)?;
            let frame = self.bring_in(machine, at / PAGE_SIZE)?;
            machine.write_frame(frame, in_page(at), part);
            done += part.len() as u64;
        }
        Ok(count)
    }
}

/// As much of `part` as is left of `count` bytes and of the page of `at`.
fn cut(part: &mut [u8; PART], at: u64, count: u64) -> &mut [u8] {
    let left = usize::try_from(count).unwrap_or(PART);
    let length = left.min(PAGE_BYTES - in_page(at)).min(PART);
    &mut part[..length]
}

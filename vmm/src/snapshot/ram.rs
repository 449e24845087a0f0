//! A copy of guest memory, as far as it was ever written.
//!
//! Neighbour: `memory`, whose two kinds of RAM this copies.

use std::fs::File;
use std::os::unix::fs::FileExt;

use mayfly_machine::layout::{PAGE_BYTES, PAGE_SIZE};
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use vm_memory::{GuestAddress, GuestMemoryBackend};

use crate::Error;
use crate::memory::{Memory, Sharing, memfd};

/// Bytes copied at a time.
const CHUNK: usize = 256 << 10;
/// Bits of an entry of `/proc/self/pagemap` (Linux, admin-guide/mm/pagemap):
/// the page is in memory, in swap, or of a file.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

impl Memory {
    /// RAM as it is now, in a file of its own.
    pub(crate) fn copy_of_ram(&self) -> Result<File, Error> {
        let copy = memfd("mayfly-snapshot", self.ram_bytes())?;
        let (file, sharing) = self.file();
        for (start, end) in extents(file, self.ram_bytes())? {
            copy_range(file, &copy, start, end)?;
        }
        if sharing != Sharing::File {
            self.copy_own_pages(&copy)?;
        }
        Ok(copy)
    }

    /// Copies the pages that are no longer the file's.
    fn copy_own_pages(&self, copy: &File) -> Result<(), Error> {
        let base = GuestMemoryBackend::get_host_address(self.ram(), GuestAddress(0));
        let base = base.map_err(|error| Error::Snapshot(error.to_string()))? as u64;
        let pagemap = File::open("/proc/self/pagemap").map_err(Error::host("open pagemap"))?;
        let mut entries = vec![0; CHUNK];
        let pages = self.ram_bytes() / PAGE_SIZE;
        let mut page = 0;
        while page < pages {
            let count = (pages - page).min(CHUNK as u64 / 8);
            let bytes = &mut entries[..usize::try_from(count * 8).unwrap_or(CHUNK)];
            pagemap
                .read_exact_at(bytes, (base / PAGE_SIZE + page) * 8)
                .map_err(Error::host("pread pagemap"))?;
            for (page, entry) in (page..).zip(bytes.chunks_exact(8)) {
                let entry = entry
                    .first_chunk()
                    .map_or(0, |word| u64::from_le_bytes(*word));
                if entry & (PRESENT | SWAPPED) != 0 && entry & OF_FILE == 0 {
                    self.copy_page(copy, page * PAGE_SIZE)?;
                }
            }
            page += count;
        }
        Ok(())
    }

    fn copy_page(&self, copy: &File, address: u64) -> Result<(), Error> {
        let mut bytes = [0; PAGE_BYTES];
        vm_memory::Bytes::read_slice(self.ram(), &mut bytes, GuestAddress(address))
            .map_err(|error| Error::Snapshot(error.to_string()))?;
        copy.write_all_at(&bytes, address)
            .map_err(Error::host("pwrite"))
    }
}

/// Parts of a file that are not holes.
pub(super) fn extents(file: &File, size: u64) -> Result<Vec<(u64, u64)>, Error> {
    let seek = |from: u64, whence| {
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        match lseek(file, from, whence) {
            Ok(at) => Ok(Some(at.cast_unsigned())),
            // Nothing but a hole up to the end.
            Err(Errno::ENXIO) => Ok(None),
            Err(errno) => Err(Error::host("lseek")(errno)),
        }
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < size {
        let Some(start) = seek(at, Whence::SeekData)?.filter(|start| *start < size) else {
            break;
        };
        let end = seek(start, Whence::SeekHole)?.unwrap_or(size).min(size);
        found.push((start, end));
        at = end;
    }
    Ok(found)
}

/// Copies `start..end` from one file to the same place in another.
pub(super) fn copy_range(from: &File, to: &File, start: u64, end: u64) -> Result<(), Error> {
    let mut buffer = vec![0; CHUNK.min(usize::try_from(end - start).unwrap_or(CHUNK))];
    let mut at = start;
    while at < end {
        let count = buffer.len().min(usize::try_from(end - at).unwrap_or(CHUNK));
        let part = &mut buffer[..count];
        from.read_exact_at(part, at).map_err(Error::host("pread"))?;
        to.write_all_at(part, at).map_err(Error::host("pwrite"))?;
        at += count as u64;
    }
    Ok(())
}

//! Modules: page-aligned, read-only bytes that a guest finds beside its RAM.
//!
//! A module is mapped, never copied: a static slice straight from the program's
//! own image, a [`ModuleFile`] from a memory or disk file, shared by every VM
//! that uses it. Neighbours: `memory` places them, `boot` lists them.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use mayfly_machine::layout;
use nix::libc;
use vm_memory::{FileOffset, MmapRegion};

use crate::Error;
use crate::memory::memfd;

/// One boot module, as the caller holds it.
#[derive(Clone, Debug)]
pub enum Module {
    /// Bytes of this program: aligned to 4 KiB and padded to whole pages.
    Static(&'static [u8]),
    /// A mapped file; clones share the mapping.
    Owned(ModuleFile),
}

/// A read-only mapping of a file, in whole pages.
#[derive(Clone, Debug)]
pub struct ModuleFile {
    mapping: Arc<MmapRegion>,
    bytes: u64,
}

impl ModuleFile {
    /// Copies `bytes` into a new memory file, once for all VMs that use it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut file = memfd("mayfly-module", 0)?;
        file.write_all(bytes).map_err(Error::host("write"))?;
        file.set_len((bytes.len() as u64).next_multiple_of(layout::PAGE_SIZE))
            .map_err(Error::host("ftruncate"))?;
        Self::map(file, bytes.len() as u64)
    }

    /// Maps a file. Nobody may shorten it while a VM uses it.
    pub fn from_file(file: &File) -> Result<Self, Error> {
        let file = file.try_clone().map_err(Error::host("dup"))?;
        let bytes = file.metadata().map_err(Error::host("fstat"))?.len();
        Self::map(file, bytes)
    }

    /// Size of the contents, in bytes, padding not included.
    pub fn size(&self) -> u64 {
        self.bytes
    }

    fn map(file: File, bytes: u64) -> Result<Self, Error> {
        let size = usize::try_from(bytes.next_multiple_of(layout::PAGE_SIZE)).unwrap_or(usize::MAX);
        let mapping = MmapRegion::build(
            Some(FileOffset::new(file, 0)),
            size,
            libc::PROT_READ,
            libc::MAP_SHARED | libc::MAP_NORESERVE,
        );
        Ok(Self {
            mapping: Arc::new(mapping.map_err(mmap_error)?),
            bytes,
        })
    }
}

impl Module {
    /// The module's mapping, and its size without padding.
    pub(crate) fn mapping(&self) -> Result<(Arc<MmapRegion>, u64), &'static str> {
        match self {
            Self::Owned(file) => Ok((Arc::clone(&file.mapping), file.bytes)),
            Self::Static(bytes) => {
                let address = bytes.as_ptr() as u64;
                if !address.is_multiple_of(layout::PAGE_SIZE) {
                    return Err("is not aligned to 4 KiB");
                }
                let size = bytes.len() as u64;
                if size == 0 || !size.is_multiple_of(layout::PAGE_SIZE) {
                    return Err("is not padded to whole 4 KiB pages");
                }
                // SAFETY: the range must stay mapped while the region lives and
                // not be written: it is a static slice, and `Memory` gives
                // regions of modules to readers only.
                let mapping = unsafe {
                    MmapRegion::build_raw(
                        bytes.as_ptr().cast_mut(),
                        bytes.len(),
                        libc::PROT_READ,
                        libc::MAP_SHARED | libc::MAP_NORESERVE,
                    )
                };
                Ok((Arc::new(mapping.map_err(|_| "cannot be mapped")?), size))
            }
        }
    }
}

/// Turns a mapping failure into this package's error.
pub(crate) fn mmap_error(error: vm_memory::mmap::MmapRegionError) -> Error {
    use vm_memory::mmap::MmapRegionError;
    let source = match error {
        MmapRegionError::Mmap(source) => source,
        other => std::io::Error::other(other),
    };
    Error::Host {
        call: "mmap",
        source,
    }
}

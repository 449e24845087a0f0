//! Guest memory: RAM in a memfd, modules as read-only regions beside it.
//!
//! [`Memory`] is what devices see: the guest may hand them any address, so it
//! implements [`GuestMemory`] with permissions, and a module can be read but
//! never written. Neighbours: `boot` fills it, `device::virtio` walks it, `vm`
//! registers it with KVM through [`Memory::register`].

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;
use mayfly_machine::layout;
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use vm_memory::guest_memory::GuestMemorySliceIterator;
use vm_memory::{
    Address, Bytes, FileOffset, GuestAddress, GuestMemory, GuestMemoryBackend, GuestMemoryMmap,
    GuestMemoryRegion, GuestRegionMmap, MmapRegion, Permissions,
};

use crate::Error;
use crate::module::{self, Module};

/// Everything at guest-physical addresses that is not a device.
#[derive(Debug)]
pub(crate) struct Memory {
    /// The file that RAM is, or began as.
    file: Arc<File>,
    sharing: Sharing,
    /// Pages that devices wrote, if this machine is to be reset.
    written: Option<Written>,
    /// RAM alone: what may be written.
    ram: GuestMemoryMmap,
    /// RAM and modules: what may be read.
    all: GuestMemoryMmap,
    /// Module addresses and sizes, in the order they were given.
    modules: Vec<(u64, u64)>,
}

/// Pages of RAM, a bit each.
#[derive(Debug)]
struct Written(Box<[AtomicU64]>);

impl Written {
    fn new(bytes: u64) -> Self {
        let words = (bytes / layout::PAGE_SIZE).div_ceil(64);
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    /// Notes a range; what is outside RAM is refused elsewhere.
    fn note(&self, address: GuestAddress, count: usize) {
        let Some(last) = address.raw_value().checked_add(count.max(1) as u64 - 1) else {
            return;
        };
        for page in address.raw_value() / layout::PAGE_SIZE..=last / layout::PAGE_SIZE {
            let word = usize::try_from(page / 64).ok();
            let Some(word) = word.and_then(|word| self.0.get(word)) else {
                return;
            };
            word.fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
    }

    fn take(&self) -> Vec<u64> {
        let words = self.0.iter();
        words.map(|word| word.swap(0, Ordering::Relaxed)).collect()
    }
}

/// Whose the pages of RAM are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// The file's: it is the guest's memory.
    File,
    /// This machine's own, once they are written; until then the file's.
    Own,
    /// The same, and it is noted which are written.
    OwnNoted,
}

impl Memory {
    /// Maps RAM and lays the modules out, without copying them.
    pub(crate) fn new(bytes: u64, modules: &[Module]) -> Result<Self, Error> {
        let file = Arc::new(memfd("mayfly-ram", bytes)?);
        Self::over(file, bytes, Sharing::File, modules)
    }

    /// The same with RAM that begins as `file`, which nobody may change.
    pub(crate) fn over(
        file: Arc<File>,
        bytes: u64,
        sharing: Sharing,
        modules: &[Module],
    ) -> Result<Self, Error> {
        let mut regions = vec![ram_region(&file, bytes, sharing)?];
        let mut placed = Vec::with_capacity(modules.len());
        let mut at = layout::MODULE_BASE;
        for (index, module) in modules.iter().enumerate() {
            let bad = |problem| Error::Module { index, problem };
            let (mapping, size) = module.mapping().map_err(bad)?;
            let end = at + mapping.size() as u64;
            if end > layout::MODULE_END {
                return Err(bad("does not fit below the end of module memory"));
            }
            let region = GuestRegionMmap::with_arc(mapping, GuestAddress(at));
            regions.push(Arc::new(region.ok_or(bad("wraps around"))?));
            placed.push((at, size));
            at = end;
        }
        let collect = |regions| {
            GuestMemoryMmap::from_arc_regions(regions)
                .map_err(|error| Error::host("guest memory map")(std::io::Error::other(error)))
        };
        Ok(Self {
            file,
            sharing,
            written: (sharing == Sharing::OwnNoted).then(|| Written::new(bytes)),
            ram: collect(vec![Arc::clone(&regions[0])])?,
            all: collect(regions)?,
            modules: placed,
        })
    }

    /// Puts bytes into RAM before the guest runs. Through the file, not the
    /// mapping: that is a third of the time, for it takes no page faults.
    pub(crate) fn place(&self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        let end = address.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.ram_bytes()) {
            return Err(Error::Physical {
                address,
                bytes: bytes.len(),
            });
        }
        self.file
            .write_all_at(bytes, address)
            .map_err(Error::host("pwrite"))
    }

    /// Writes to RAM, as a device does.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        if let Some(written) = &self.written {
            written.note(GuestAddress(address), bytes.len());
        }
        let done = self.ram.write_slice(bytes, GuestAddress(address));
        done.map_err(|_| Error::Physical {
            address,
            bytes: bytes.len(),
        })
    }

    /// Pages that devices wrote since the last time, a bit each.
    pub(crate) fn take_written(&self) -> Vec<u64> {
        self.written.as_ref().map(Written::take).unwrap_or_default()
    }

    /// The file of RAM, and whether it still is RAM.
    pub(crate) fn file(&self) -> (&Arc<File>, Sharing) {
        (&self.file, self.sharing)
    }

    /// RAM, to write to.
    pub(crate) fn ram(&self) -> &GuestMemoryMmap {
        &self.ram
    }

    /// Size of RAM, in bytes.
    pub(crate) fn ram_bytes(&self) -> u64 {
        self.ram.last_addr().raw_value() + 1
    }

    /// Address and size of every module.
    pub(crate) fn modules(&self) -> &[(u64, u64)] {
        &self.modules
    }

    /// Makes every region a memory slot of `vm`: slot 0 is RAM.
    pub(crate) fn register(&self, vm: &VmFd) -> Result<(), Error> {
        for (slot, region) in (0..).zip(GuestMemoryBackend::iter(&self.all)) {
            let slot = kvm_userspace_memory_region {
                slot,
                flags: match (slot, self.sharing) {
                    (0, Sharing::OwnNoted) => KVM_MEM_LOG_DIRTY_PAGES,
                    (0, _) => 0,
                    _ => KVM_MEM_READONLY,
                },
                guest_phys_addr: region.start_addr().raw_value(),
                memory_size: region.len(),
                userspace_addr: region.as_ptr() as u64,
            };
            // SAFETY: the region must be mapped while the VM lives and slots
            // must not overlap: `Shared` keeps `self` longer than the VM, and
            // the region collection refuses overlaps.
            unsafe { vm.set_user_memory_region(slot) }
                .map_err(Error::kvm("KVM_SET_USER_MEMORY_REGION"))?;
        }
        Ok(())
    }
}

/// RAM at 0: a memfd, shared, so that the file is the guest's memory; or, of a
/// fork, a file that is copied page by page as it is written.
fn ram_region(
    file: &Arc<File>,
    bytes: u64,
    sharing: Sharing,
) -> Result<Arc<GuestRegionMmap>, Error> {
    let flags = match sharing {
        Sharing::File => libc::MAP_SHARED,
        Sharing::Own | Sharing::OwnNoted => libc::MAP_PRIVATE,
    };
    let size = usize::try_from(bytes).map_err(|_| Error::MemorySize {
        asked: bytes,
        min: layout::MEMORY_MIN,
        max: layout::MEMORY_MAX,
    })?;
    let mapping = MmapRegion::build(
        Some(FileOffset::from_arc(Arc::clone(file), 0)),
        size,
        libc::PROT_READ | libc::PROT_WRITE,
        flags | libc::MAP_NORESERVE,
    )
    .map_err(module::mmap_error)?;
    let region = GuestRegionMmap::new(mapping, GuestAddress(0));
    Ok(Arc::new(region.ok_or(Error::Physical {
        address: 0,
        bytes: size,
    })?))
}

/// A file in memory of `bytes` zero bytes.
pub(crate) fn memfd(name: &str, bytes: u64) -> Result<File, Error> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC).map_err(Error::host("memfd_create"))?;
    let file = File::from(fd);
    file.set_len(bytes).map_err(Error::host("ftruncate"))?;
    Ok(file)
}

impl GuestMemory for Memory {
    type PhysicalMemory = GuestMemoryMmap;
    type Bitmap = ();

    fn check_range(&self, addr: GuestAddress, count: usize, access: Permissions) -> bool {
        GuestMemoryBackend::check_range(self.permitting(access), addr, count)
    }

    fn get_slices<'a>(
        &'a self,
        addr: GuestAddress,
        count: usize,
        access: Permissions,
    ) -> vm_memory::GuestMemoryResult<impl GuestMemorySliceIterator<'a, ()>> {
        let memory = self.permitting(access);
        if let (true, Some(written)) = (access.has_write(), &self.written) {
            written.note(addr, count);
        }
        Ok(GuestMemoryBackend::get_slices(memory, addr, count))
    }
}

impl Memory {
    fn permitting(&self, access: Permissions) -> &GuestMemoryMmap {
        if access.has_write() {
            &self.ram
        } else {
            &self.all
        }
    }
}

//! Memory calls of PatchworkOS (specs/patchwork.md §5, 19 to 21, and §8).

use alloc::rc::Rc;
use core::ops::Range;

use mayfly_abi::patchwork::nr;
use mayfly_abi::table::{Address, Flags, Handle};

use super::error;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{Mode, Node, OpenFile};
use crate::object::memory::{Backing, Manner, Mapping, MemoryObject, Space};
use crate::port::{Access, Machine, PAGE_SIZE, Port, USER_END};

/// First address of the user range (§9), where mappings start, too.
pub(super) const USER_START: u64 = 0x40_0000;

/// Protections that mean something (§3).
const READ: u32 = 1;
const READ_WRITE: u32 = 3;

/// MMAP.
pub(crate) fn mmap<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(fd): Handle,
    Address(address): Address,
    length: u64,
    Flags(prot): Flags,
) -> Flow {
    match map(kernel, running, fd, address, length, prot) {
        Ok(start) => Flow::Return(start),
        Err(error) => error::fail(running, nr::MMAP, error),
    }
}

/// The checks come in the order of §8.
fn map<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: u64,
    address: u64,
    length: u64,
    prot: u32,
) -> Result<u64, KernelError> {
    if address != 0 {
        check_user(address, length)?;
    }
    let write = writable(prot).ok_or(KernelError::InvalidArgument)?;
    let process = &mut *running.process;
    let file = process.handles.get(fd)?;
    let needed = if write {
        Mode::READ.and(Mode::WRITE)
    } else {
        Mode::READ
    };
    if !file.mode.contains(needed) {
        return Err(KernelError::NotPermitted);
    }
    if let Node::Memory(_) = file.node {
        let file = Rc::clone(file);
        return map_object(kernel, running, &file, address, length, write);
    }
    let backing = backing(&file.node)?;
    if let (0, Some(length)) = (address, whole_pages(length)) {
        let space = &mut process.space;
        let (machine, access) = (&kernel.machine, access(write));
        let mapped = space.map_anywhere(machine, USER_START, length, access, backing);
        return mapped.map_err(|_| KernelError::NoMemory);
    }
    let range = place(&process.space, address, length)?;
    let start = range.start;
    process
        .space
        .map(&mut kernel.machine, range, access(write), backing)?;
    Ok(start)
}

/// Maps memory to share. Its first mapping settles its size, and a later one
/// has no more pages than that. What a file without the right to write maps,
/// MPROTECT does not make writable either.
#[cold]
fn map_object<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    address: u64,
    length: u64,
    write: bool,
) -> Result<u64, KernelError> {
    let Node::Memory(memory) = &file.node else {
        return Err(KernelError::NotSupported);
    };
    let space = &mut running.process.space;
    let Range { start, end } = place(space, address, length)?;
    let object = memory.object(|| {
        let quota = Rc::clone(&kernel.files().quota);
        let pages = (end - start) / PAGE_SIZE;
        MemoryObject::new(&mut kernel.machine, &quota, space.charge(), pages)
    })?;
    let end = end.min(start + object.pages() * PAGE_SIZE);
    let manner = Manner {
        most: access(file.mode.contains(Mode::WRITE)),
        ..Manner::SHARED
    };
    let mapping = Mapping::new(object, start, 0, manner);
    space.map_object(&mut kernel.machine, start..end, access(write), mapping)?;
    Ok(start)
}

/// Where a mapping goes: the lowest free range, or the pages that are named.
fn place<M: Machine>(
    space: &Space<M>,
    address: u64,
    length: u64,
) -> Result<Range<u64>, KernelError> {
    match (address, length) {
        (_, 0) => Err(KernelError::InvalidArgument),
        (0, length) => {
            let found = whole_pages(length).and_then(|length| {
                let start = space.find_free(USER_START, length)?;
                Some(start..start + length)
            });
            found.ok_or(KernelError::NoMemory)
        }
        (address, length) => Ok(pages(address, length)),
    }
}

/// A length in whole pages, if it is not none and not too many.
fn whole_pages(length: u64) -> Option<u64> {
    let length = length.checked_next_multiple_of(PAGE_SIZE);
    length.filter(|length| *length > 0)
}

/// What the memory of a mapped file holds at first.
fn backing(node: &Node) -> Result<Backing, KernelError> {
    match node {
        Node::Zero => Ok(Backing::Zero),
        Node::One => Ok(Backing::Ones),
        Node::Directory(_) => Err(KernelError::IsDirectory),
        _ => Err(KernelError::NotSupported),
    }
}

/// MUNMAP: what is not mapped is fine.
pub(crate) fn munmap<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(address): Address,
    length: u64,
) -> Flow {
    let range = match (address, length) {
        (0, _) => Err(KernelError::BadAddress),
        _ if check_user(address, length).is_err() => Err(KernelError::BadAddress),
        (_, 0) => Err(KernelError::InvalidArgument),
        _ => Ok(pages(address, length)),
    };
    let unmapped = range.and_then(|range| {
        let start = range.start;
        let space = &mut running.process.space;
        space.unmap(&mut kernel.machine, range)?;
        kernel.segments.sweep_after(space);
        Ok(start)
    });
    match unmapped {
        Ok(start) => Flow::Return(start),
        Err(error) => error::fail(running, nr::MUNMAP, error),
    }
}

/// MPROTECT: a protection that means nothing unmaps.
pub(crate) fn mprotect<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(address): Address,
    length: u64,
    Flags(prot): Flags,
) -> Flow {
    let range = match (address, length) {
        (0, _) => Err(KernelError::NullPointer),
        (_, 0) => Err(KernelError::InvalidArgument),
        _ => check_user(address, length).map(|()| pages(address, length)),
    };
    let changed = range.and_then(|range| {
        let start = range.start;
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        match writable(prot) {
            Some(write) => space.protect(machine, range, |access| Access { write, ..access })?,
            None => space.unmap(machine, range)?,
        }
        kernel.segments.sweep_after(space);
        Ok(start)
    });
    match changed {
        Ok(start) => Flow::Return(start),
        Err(error) => error::fail(running, nr::MPROTECT, error),
    }
}

/// Whether a protection lets a program write; `None` for one that means nothing.
fn writable(prot: u32) -> Option<bool> {
    match prot {
        READ => Some(false),
        READ_WRITE => Some(true),
        _ => None,
    }
}

/// Checks that a range lies in the user range.
///
/// # Errors
/// [`KernelError::Overflow`] when it wraps, [`KernelError::BadAddress`].
pub(super) fn check_user(address: u64, length: u64) -> Result<(), KernelError> {
    let end = address.checked_add(length).ok_or(KernelError::Overflow)?;
    if !(USER_START..USER_END).contains(&address) || end > USER_END {
        return Err(KernelError::BadAddress);
    }
    Ok(())
}

/// What a program may do with memory that it may write or not.
fn access(write: bool) -> Access {
    Access {
        write,
        ..Access::READ
    }
}

/// The whole pages that a range in the user half touches.
fn pages(address: u64, length: u64) -> Range<u64> {
    let end = (address + length).next_multiple_of(PAGE_SIZE);
    address & !(PAGE_SIZE - 1)..end
}

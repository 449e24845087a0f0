//! Memory of XenevaOS: segments by key and id (specs/xeneva.md §3.9 to §3.11),
//! mappings and the heap (services 13 to 15).
//!
//! Segments are the files of `/dev/shmem` that are named by numbers, so that
//! the other interfaces map them too.

use alloc::rc::Rc;
use core::ops::Range;

use mayfly_abi::table::{Address, Flags};
use mayfly_abi::xeneva::FAILED;

use super::file;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{Mode, Node, OpenFile};
use crate::object::inode::Regular;
use crate::object::memory::{Backing, FilePart, Manner, Mapping, MemoryObject, Space};
use crate::personality::user_start;
use crate::port::{Access, Machine, PAGE_SIZE, Port, USER_END};

/// Where segments, mappings and the heap begin (§2).
const SEGMENTS: u64 = 0x8000_0000;
const MAPPINGS: u64 = 0xc000_0000;
const HEAP: u64 = 0x3_0000_0000;

/// Protections of a mapping. What is not read-only can be written, and what is
/// not said to be data can be executed.
const READ_ONLY: u32 = 1;
const WRITE: u32 = 2;
const NO_EXECUTE: u32 = 4;
/// Flags of a mapping.
const SHARED: u32 = 1;
const DISCARD: u32 = 8;
/// No file.
const ANONYMOUS: i32 = -1;

/// CreateSharedMem: the id of the segment under a key, which is made if there
/// is none. It is mapped nowhere.
#[inline(never)]
pub(crate) fn create_shared<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    key: u16,
    size: u64,
) -> Flow {
    if let Some(id) = kernel.segments.id(key) {
        return Flow::Return(id.into());
    }
    Flow::Return(make_shared(kernel, running, key, size).unwrap_or(FAILED))
}

fn make_shared<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    key: u16,
    size: u64,
) -> Result<u64, KernelError> {
    // What is over gives its frames back first, under whichever key it was.
    kernel.segments.sweep();
    let quota = Rc::clone(&kernel.files().quota);
    let charge = running.process.space.charge();
    let pages = size.div_ceil(PAGE_SIZE);
    // Pages come when they are touched; that they can is known now (§3.9).
    let left = charge.as_ref().map_or(u64::MAX, |charge| charge.left());
    let promised = pages.saturating_add(kernel.segments.promised());
    if pages > left || promised > kernel.machine.frames_free() {
        return Err(KernelError::NoMemory);
    }
    let object = MemoryObject::new(&mut kernel.machine, &quota, charge, pages)?;
    Ok(kernel.segments.add(key, object)?.into())
}

/// ObtainSharedMem: maps a segment once more, where there is room first. NULL
/// for an id that nothing has.
pub(crate) fn obtain<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, id: u16) -> Flow {
    Flow::Return(obtain_checked(kernel, running, id).unwrap_or(0))
}

fn obtain_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    id: u16,
) -> Result<u64, KernelError> {
    let object = kernel.segments.find_id(id).ok_or(KernelError::NotFound)?;
    let space = &mut running.process.space;
    space.place_object(
        &kernel.machine,
        SEGMENTS,
        Access::READ_WRITE,
        Rc::clone(object),
    )
}

/// UnmapSharedMem: ends one mapping of the segment under a key, if the process
/// has one; with the last one of all the segment goes.
pub(crate) fn unmap_shared<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    key: u16,
) -> Flow {
    if let Some(object) = kernel.segments.find(key) {
        let space = &mut running.process.space;
        space.unmap_object(&mut kernel.machine, object);
        if object.mapped() == 0 {
            kernel.segments.forget(key);
        }
    }
    Flow::Return(0)
}

/// CreateMemMapping: NULL for no length at all, and for any failure.
#[inline(never)]
pub(crate) fn map<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    place: (Address, u64),
    (Flags(prot), Flags(flags)): (Flags, Flags),
    (fd, offset): (i32, u64),
) -> Flow {
    let (Address(address), length) = place;
    let mapped = range(&running.process.space, address, length).and_then(|range| {
        let start = range.start;
        match fd {
            ANONYMOUS => map_zeros(kernel, running, range, access(prot))?,
            fd => {
                let file = Rc::clone(file::file(running, fd)?);
                map_file(kernel, running, &file, range, (prot, flags), offset)?;
            }
        }
        Ok(start)
    });
    Flow::Return(mapped.unwrap_or(0))
}

/// The whole pages at an address, or where there is room first. What is there
/// already is not mapped over.
fn range<M: Machine>(
    space: &Space<M>,
    address: u64,
    length: u64,
) -> Result<Range<u64>, KernelError> {
    let length = whole_pages(address % PAGE_SIZE, length)?;
    let start = match address {
        0 => space.find_free(MAPPINGS, length),
        address => Some(address & !(PAGE_SIZE - 1)),
    };
    let start = start.ok_or(KernelError::NoMemory)?;
    let end = start.checked_add(length).ok_or(KernelError::Overflow)?;
    let range = start..end;
    if start < user_start(mayfly_abi::Abi::Xeneva) || end > USER_END || space.overlaps(&range) {
        return Err(KernelError::BadAddress);
    }
    Ok(range)
}

/// A length in whole pages, from a place in the first one on.
fn whole_pages(from: u64, length: u64) -> Result<u64, KernelError> {
    if length == 0 {
        return Err(KernelError::InvalidArgument);
    }
    let end = length.checked_add(from).ok_or(KernelError::Overflow)?;
    end.checked_next_multiple_of(PAGE_SIZE)
        .ok_or(KernelError::Overflow)
}

/// What a protection allows.
fn access(prot: u32) -> Access {
    Access {
        read: true,
        write: prot & WRITE != 0 || prot & READ_ONLY == 0,
        execute: prot & NO_EXECUTE == 0,
    }
}

/// Maps zeros: as many pages as there are, which come when they are touched.
fn map_zeros<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    range: Range<u64>,
    access: Access,
) -> Result<(), KernelError> {
    let machine = &mut kernel.machine;
    if (range.end - range.start) / PAGE_SIZE > machine.frames_free() {
        return Err(KernelError::NoMemory);
    }
    let space = &mut running.process.space;
    space.map(machine, range, access, Backing::Zero)
}

/// Maps a file: memory itself, or a regular file's bytes as they are now.
fn map_file<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    range: Range<u64>,
    (prot, flags): (u32, u32),
    offset: u64,
) -> Result<(), KernelError> {
    let access = access(prot);
    let shared = flags & SHARED != 0;
    let needed = match access.write && shared {
        true => Mode::READ.and(Mode::WRITE),
        false => Mode::READ,
    };
    if !file.mode.contains(needed) {
        return Err(KernelError::NotPermitted);
    }
    match &file.node {
        Node::Memory(memory) => {
            let space = &mut running.process.space;
            let pages = (range.end - range.start) / PAGE_SIZE;
            let object = memory.object(|| {
                let quota = Rc::clone(&kernel.files().quota);
                MemoryObject::new(&mut kernel.machine, &quota, space.charge(), pages)
            })?;
            let first = offset / PAGE_SIZE;
            let inside = first.checked_add(pages);
            if !offset.is_multiple_of(PAGE_SIZE) || inside.is_none_or(|end| end > object.pages()) {
                return Err(KernelError::InvalidArgument);
            }
            let manner = Manner {
                private: !shared,
                ..Manner::SHARED
            };
            let mapping = Mapping::new(object, range.start, first, manner);
            space.map_object(&mut kernel.machine, range, access, mapping)
        }
        Node::Zero => map_zeros(kernel, running, range, access),
        Node::File(_) if flags & DISCARD != 0 => map_zeros(kernel, running, range, access),
        Node::File(inode) => {
            let regular = inode.regular().ok_or(KernelError::NotSupported)?;
            map_contents(kernel, running, regular, range, access, offset)
        }
        _ => Err(KernelError::NotSupported),
    }
}

/// Maps a copy of a regular file's bytes, zeros behind its end. Of a file that
/// came with the kernel the pages themselves are mapped.
fn map_contents<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    regular: &Regular,
    range: Range<u64>,
    access: Access,
    offset: u64,
) -> Result<(), KernelError> {
    let store = regular.store.borrow();
    let start = range.start;
    let most = range.end - start;
    let length = regular.size.get().saturating_sub(offset).min(most);
    if let Some(file) = regular.untouched(&store)
        && length > 0
    {
        let part = FilePart {
            contents: file.contents,
            // Zeros behind the file's part need a page of the process's own.
            first: (length == most).then_some(file.first),
            offset,
            data_start: start,
            data_end: start + length,
        };
        let machine = &mut kernel.machine;
        let space = &mut running.process.space;
        return space.map(machine, range, access, Backing::File(part));
    }
    map_zeros(kernel, running, range.clone(), access)?;
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    let mut done = 0;
    while done < length {
        let bytes = store.run(offset + done, length - done);
        if let Err(error) = space.fill(machine, start + done, bytes) {
            space.unmap(machine, range)?;
            return Err(error);
        }
        done += bytes.len() as u64;
    }
    Ok(())
}

/// UnmapMemMapping: whatever is there goes.
#[inline(never)]
pub(crate) fn unmap<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(address): Address,
    length: u64,
) -> Flow {
    let length = whole_pages(address % PAGE_SIZE, length);
    let start = address & !(PAGE_SIZE - 1);
    let end = length.ok().and_then(|length| start.checked_add(length));
    if let Some(end) = end.filter(|end| *end <= USER_END) {
        let space = &mut running.process.space;
        // With too many regions to split one, everything stays.
        let _unmapped = space.unmap(&mut kernel.machine, start..end);
        kernel.segments.sweep_after(space);
    }
    Flow::Return(0)
}

/// GetProcessHeapMem: so many bytes more at the heap's end.
#[inline(never)]
pub(crate) fn heap<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, size: u64) -> Flow {
    Flow::Return(grow_heap(kernel, running, size).unwrap_or(FAILED))
}

fn grow_heap<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    size: u64,
) -> Result<u64, KernelError> {
    if !size.is_multiple_of(PAGE_SIZE) {
        return Err(KernelError::InvalidArgument);
    }
    let process = &mut running.process;
    let start = HEAP + process.heap;
    if size == 0 {
        return Ok(start);
    }
    let end = start.checked_add(size).ok_or(KernelError::NoMemory)?;
    if end > USER_END || process.space.overlaps(&(start..end)) {
        return Err(KernelError::NoMemory);
    }
    map_zeros(kernel, running, start..end, Access::ALL)?;
    running.process.heap += size;
    Ok(start)
}

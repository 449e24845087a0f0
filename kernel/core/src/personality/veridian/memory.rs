//! MMAP, MUNMAP and MPROTECT of VeridianOS (specs/veridian.md §5, §8).
//!
//! Checks come in the order of §2.5: numbers, the token, rights, addresses,
//! what is there, what is left.

use alloc::rc::Rc;
use core::ops::Range;

use mayfly_abi::table::{Address, Bits, Handle};

use super::error::answer;
use super::populate::{populate, populate_rest};
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::capability::{Capability, Object, Rights};
use crate::object::memory::{Backing, Manner, Mapping, MemoryObject, Space};
use crate::port::{Access, Machine, PAGE_SIZE, Port, USER_END};

/// First address that can be mapped, and where the kernel's own choice begins.
const USER_START: u64 = 0x1_0000;
const CHOICE_START: u64 = 0x1000_0000;

/// Protections (§3).
const READ: u64 = 1;
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;
const PROTECTIONS: u64 = READ | WRITE | EXECUTE;

/// Flags of a mapping (§3).
const PRIVATE: u64 = 1;
const SHARED: u64 = 2;
const ANONYMOUS: u64 = 4;
const FIXED: u64 = 8;
const POPULATE: u64 = 16;
const FLAGS: u64 = PRIVATE | SHARED | ANONYMOUS | FIXED | POPULATE;

/// What MMAP asks for, as far as numbers tell that it can be.
struct Request {
    address: u64,
    length: u64,
    prot: u64,
    access: Access,
    flags: u64,
    offset: u64,
}

/// An object to map: from which page on, and how.
struct Part {
    object: Rc<MemoryObject>,
    first: u64,
    manner: Manner,
}

/// MMAP.
pub(crate) fn mmap<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(address): Address,
    length: u64,
    (Bits(prot), Bits(flags)): (Bits, Bits),
    Handle(token): Handle,
    offset: u64,
) -> Flow {
    if running.thread.done != 0 {
        return populate_rest(kernel, running, length);
    }
    // Memory of its own, anywhere: nothing but its length can be wrong.
    let other = flags & !POPULATE ^ (PRIVATE | ANONYMOUS);
    if address | token | offset | other | prot & !(READ | WRITE) == 0 {
        let mapped = map_plain(kernel, running, length, prot, flags);
        return mapped.unwrap_or_else(|error| answer(Err(error)));
    }
    map_any(
        kernel,
        running,
        (address, length),
        (prot, flags),
        token,
        offset,
    )
}

/// The commonest request: pages of zeros, wherever there is room.
#[inline(always)]
fn map_plain<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    length: u64,
    prot: u64,
    flags: u64,
) -> Result<Flow, KernelError> {
    let length = whole_pages(length)?;
    let access = access(prot)?;
    let space = &mut running.process.space;
    let start = space.map_anywhere(&kernel.machine, CHOICE_START, length, access, Backing::Zero)?;
    if flags & POPULATE != 0 && !space.populate_one(&mut kernel.machine, start, length) {
        return populate(kernel, running, start..start + length);
    }
    Ok(Flow::Return(start))
}

/// Any other request, and whatever is wrong with it.
#[inline(never)]
fn map_any<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    (address, length): (u64, u64),
    (prot, flags): (u64, u64),
    token: u64,
    offset: u64,
) -> Flow {
    let request = Request::new(address, length, prot, flags, offset);
    let mapped = request.and_then(|request| map(kernel, running, &request, token));
    mapped.unwrap_or_else(|error| answer(Err(error)))
}

impl Request {
    #[inline]
    fn new(
        address: u64,
        length: u64,
        prot: u64,
        flags: u64,
        offset: u64,
    ) -> Result<Self, KernelError> {
        let length = whole_pages(length)?;
        let access = access(prot)?;
        let one_kind = (flags & PRIVATE != 0) != (flags & SHARED != 0);
        let fixed = flags & FIXED != 0;
        let place = !fixed || (address != 0 && address.is_multiple_of(PAGE_SIZE));
        let anonymous = flags & ANONYMOUS != 0;
        let from = offset.is_multiple_of(PAGE_SIZE) && (!anonymous || offset == 0);
        let ends = address.checked_add(length).is_some() && offset.checked_add(length).is_some();
        if flags & !FLAGS != 0 || !one_kind || !place || !from || !ends {
            return Err(KernelError::InvalidArgument);
        }
        Ok(Self {
            address,
            length,
            prot,
            access,
            flags,
            offset,
        })
    }

    fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }
}

fn map<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    request: &Request,
    token: u64,
) -> Result<Flow, KernelError> {
    let tokens = &running.process.capabilities;
    let capability = match token {
        0 if request.has(ANONYMOUS) => None,
        token => Some(tokens.find(token)?),
    };
    let part = match capability {
        None => None,
        Some(capability) => part(capability, request)?,
    };
    check_protection(request.access)?;
    let space = &mut running.process.space;
    let range = place(space, request)?;
    if !space.has_room(&kernel.machine) {
        return Err(KernelError::NoRoom);
    }
    let (start, machine) = (range.start, &mut kernel.machine);
    match part {
        None => space.map_free(machine, range.clone(), request.access, Backing::Zero)?,
        Some(part) => {
            let mapping = Mapping::new(part.object, start, part.first, part.manner);
            space.map_object(machine, range.clone(), request.access, mapping)?;
        }
    }
    match request.has(POPULATE) {
        true => populate(kernel, running, range),
        false => Ok(Flow::Return(start)),
    }
}

/// What a token lets a program map; nothing for memory that is only charged.
#[cold]
fn part(capability: &Capability, request: &Request) -> Result<Option<Part>, KernelError> {
    let Object::Memory { object, .. } = &capability.object else {
        return Err(KernelError::BadHandle);
    };
    if request.has(ANONYMOUS) {
        return Ok(None);
    }
    check_protection(request.access)?;
    capability.need(Rights::MODIFY)?;
    let private = request.has(PRIVATE);
    let may = |right| capability.rights.contain(right);
    let read = may(Rights::READ);
    let most = Access {
        // What can be executed can be read: the processor knows no difference.
        read: read || may(Rights::EXECUTE),
        // What can be written can be read; a copy needs no more than that.
        write: read && (private || may(Rights::WRITE)),
        execute: may(Rights::EXECUTE),
    };
    if !most.contains(request.access) || (request.prot & READ != 0 && !read) {
        return Err(KernelError::NotPermitted);
    }
    if request.offset + request.length > object.size() {
        return Err(KernelError::InvalidArgument);
    }
    let manner = Manner {
        private,
        most,
        origin: capability.node.number(),
    };
    Ok(Some(Part {
        object: Rc::clone(object),
        first: request.offset / PAGE_SIZE,
        manner,
    }))
}

/// Where a mapping goes. An address without FIXED is a hint.
fn place<M: Machine>(space: &Space<M>, request: &Request) -> Result<Range<u64>, KernelError> {
    let length = request.length;
    if request.address != 0 {
        let start = request.address & !(PAGE_SIZE - 1);
        let range = start..start + length;
        if start < USER_START || range.end > USER_END {
            return Err(KernelError::BadAddress);
        }
        match space.overlaps(&range) {
            false => return Ok(range),
            true if request.has(FIXED) => return Err(KernelError::Exists),
            true => {}
        }
    }
    let found = space.find_free(CHOICE_START, length);
    let start = found.ok_or(KernelError::NoMemory)?;
    Ok(start..start + length)
}

/// MUNMAP: of a range that is partly mapped, that part goes.
pub(crate) fn munmap<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(address): Address,
    length: u64,
) -> Flow {
    let space = &mut running.process.space;
    answer(pages(address, length).and_then(|range| {
        check_user(&range)?;
        space.unmap_mapped(&mut kernel.machine, &range)?;
        kernel.segments.sweep_after(space);
        Ok(0)
    }))
}

/// MPROTECT: all of the range or nothing.
pub(crate) fn mprotect<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(address): Address,
    length: u64,
    Bits(prot): Bits,
) -> Flow {
    answer(protect(kernel, running, address, length, prot))
}

fn protect<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    length: u64,
    prot: u64,
) -> Result<u64, KernelError> {
    let range = pages(address, length)?;
    let access = access(prot)?;
    check_protection(access)?;
    check_user(&range)?;
    let space = &mut running.process.space;
    if !space.has_room(&kernel.machine) {
        return Err(KernelError::NoRoom);
    }
    let changed = space.protect(&mut kernel.machine, range, |_| access);
    match changed {
        Ok(()) => Ok(0),
        // A hole, or nothing at all.
        Err(KernelError::NotFound | KernelError::InvalidArgument) => Err(KernelError::BadAddress),
        Err(error) => Err(error),
    }
}

/// A length in whole pages; none and too many are none.
pub(super) fn whole_pages(length: u64) -> Result<u64, KernelError> {
    let length = length.checked_next_multiple_of(PAGE_SIZE);
    length
        .filter(|length| *length > 0)
        .ok_or(KernelError::InvalidArgument)
}

/// The pages of a range that begins at one.
fn pages(address: u64, length: u64) -> Result<Range<u64>, KernelError> {
    let length = whole_pages(length)?;
    let end = address.checked_add(length);
    let aligned = address != 0 && address.is_multiple_of(PAGE_SIZE);
    match end {
        Some(end) if aligned => Ok(address..end),
        _ => Err(KernelError::InvalidArgument),
    }
}

fn check_user(range: &Range<u64>) -> Result<(), KernelError> {
    match range.end > USER_END {
        true => Err(KernelError::BadAddress),
        false => Ok(()),
    }
}

/// What a protection allows. What can be written or executed can be read.
fn access(prot: u64) -> Result<Access, KernelError> {
    if prot & !PROTECTIONS != 0 {
        return Err(KernelError::InvalidArgument);
    }
    Ok(Access {
        read: prot != 0,
        write: prot & WRITE != 0,
        execute: prot & EXECUTE != 0,
    })
}

/// No memory can be written and executed.
fn check_protection(access: Access) -> Result<(), KernelError> {
    match access.write && access.execute {
        true => Err(KernelError::NotPermitted),
        false => Ok(()),
    }
}

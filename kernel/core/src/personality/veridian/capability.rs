//! CAPABILITY_CREATE, DERIVE, REVOKE and VALIDATE (specs/veridian.md §4, §5).

use alloc::rc::Rc;

use mayfly_abi::table::{Bits, Handle};

use super::error::answer;
use super::ipc;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::capability::{CONSOLE, Kind, Object, Rights};
use crate::object::memory::MemoryObject;
use crate::object::stream::Stream;
use crate::port::{PAGE_SIZE, Port};

/// Rights of an argument word (§2.4).
#[inline(always)]
pub(super) fn rights(Bits(word): Bits) -> Result<Rights, KernelError> {
    Rights::from_word(word).ok_or(KernelError::InvalidArgument)
}

/// CAPABILITY_VALIDATE.
#[inline(always)]
pub(crate) fn validate<P: Port>(
    running: &mut Running<P>,
    Handle(token): Handle,
    required: Bits,
) -> Flow {
    let tokens = &running.process.capabilities;
    answer(rights(required).and_then(|required| {
        tokens.find(token)?.need(required)?;
        Ok(0)
    }))
}

/// CAPABILITY_DERIVE: the same object, the same rights or fewer.
#[inline(never)]
pub(crate) fn derive<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(parent): Handle,
    new: Bits,
) -> Flow {
    answer(rights(new).and_then(|rights| {
        let parent = running.process.capabilities.find(parent)?;
        parent.need(rights)?;
        let (object, node) = (parent.object.clone(), parent.node);
        kernel.grant(&mut running.process, object, rights, Some(node))
    }))
}

/// CAPABILITY_REVOKE.
#[inline(never)]
pub(crate) fn revoke<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(token): Handle,
) -> Flow {
    answer(kernel.revoke(running, token).map(|()| 0))
}

/// CAPABILITY_CREATE (§4.6).
#[inline(never)]
pub(crate) fn create<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Bits(kind): Bits,
    id: u64,
    new: Bits,
    Handle(parent): Handle,
) -> Flow {
    answer(create_checked(kernel, running, kind, id, new, parent))
}

fn create_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    kind: u64,
    id: u64,
    new: Bits,
    parent: u64,
) -> Result<u64, KernelError> {
    let kind = Kind::from_code(kind).ok_or(KernelError::InvalidArgument)?;
    let rights = rights(new)?;
    let parent = running.process.capabilities.find(parent)?;
    let node = parent.node;
    let object = match &parent.object {
        // A child of the same object, with its id told.
        object if object.kind() == kind => {
            parent.need(rights)?;
            match object.id() == id {
                true => object.clone(),
                false => return Err(KernelError::NotFound),
            }
        }
        Object::CapSpace { boot, .. } => {
            if kind == Kind::Memory && (id == 0 || !id.is_multiple_of(PAGE_SIZE)) {
                return Err(KernelError::InvalidArgument);
            }
            parent.need(Rights::CREATE)?;
            if !Rights::MINTED.contain(rights) {
                return Err(KernelError::NotPermitted);
            }
            let boot = *boot;
            match kind {
                Kind::Memory => memory(kernel, running, id)?,
                kind => mint(kernel, running, kind, id, boot)?,
            }
        }
        // A token that only sends, for one side of a channel.
        Object::IpcEndpoint { key: side, .. } if kind == Kind::IpcChannel => {
            let most = Rights::WRITE.and(Rights::GRANT).and(Rights::REVOKE);
            parent.need(Rights::EXECUTE)?;
            if !most.contain(rights) {
                return Err(KernelError::NotPermitted);
            }
            ipc::one_side(kernel, id, *side)?
        }
        _ => return Err(KernelError::BadHandle),
    };
    kernel.grant(&mut running.process, object, rights, Some(node))
}

/// New memory of so many bytes, which counts for who makes it.
fn memory<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    size: u64,
) -> Result<Object, KernelError> {
    let (id, quota) = {
        let files = kernel.files();
        (files.id(), Rc::clone(&files.quota))
    };
    let charge = running.process.space.charge();
    let pages = size / PAGE_SIZE;
    let object = MemoryObject::new(&mut kernel.machine, &quota, charge, pages)?;
    Ok(Object::Memory { object, id })
}

/// The object that a capability space makes or finds.
fn mint<P: Port>(
    kernel: &mut Kernel<P>,
    running: &Running<P>,
    kind: Kind,
    id: u64,
    boot: bool,
) -> Result<Object, KernelError> {
    match kind {
        Kind::IpcEndpoint => ipc::own_endpoint(kernel, running, id),
        Kind::IpcChannel => ipc::own_side(kernel, running, id),
        Kind::Process => {
            let record = kernel.records.find(id);
            match record {
                Some(record) if record.creator == Some(running.process.key) => {
                    Ok(Object::Process {
                        key: record.process,
                        id,
                    })
                }
                None if !kernel.is_process(running, id) => Err(KernelError::NotFound),
                _ => Err(KernelError::NotPermitted),
            }
        }
        Kind::Thread if kernel.has_thread(running, id) => Ok(Object::Thread {
            process: running.process.key,
            id,
        }),
        Kind::Device | Kind::Interrupt | Kind::IoPort | Kind::File if !boot => {
            Err(KernelError::NotPermitted)
        }
        Kind::Device if id == CONSOLE => Ok(Object::Device(Stream::Output)),
        _ => Err(KernelError::NotFound),
    }
}

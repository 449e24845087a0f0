//! SHARE, CLAIM and BIND of PatchworkOS (specs/patchwork.md §10).

use alloc::rc::Rc;

use mayfly_abi::patchwork::nr;
use mayfly_abi::table::{self, Duration, Handle, Load, Store, Text};

use super::error::answer;
use super::path::{self, PATH_MAX};
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::Mode;
use crate::object::namespace::{Mount, Propagation};
use crate::object::transfer;
use crate::port::{Machine, Port};
use crate::user;

/// Bytes of a `key_t`.
const KEY: usize = 16;
/// Mount flags.
const PROPAGATE_PARENT: u32 = 1;
const PROPAGATE_CHILDREN: u32 = 2;

/// SHARE.
pub(crate) fn share<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Store(key): Store,
    Handle(fd): Handle,
    Duration(timeout): Duration,
) -> Flow {
    let shared = share_checked(kernel, running, key, fd, timeout);
    answer(running, nr::SHARE, shared)
}

fn share_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    out: u64,
    fd: u64,
    timeout: u64,
) -> Result<u64, KernelError> {
    let room = transfer::check_output(kernel, running, out, KEY as u64);
    room.map_err(|_| KernelError::BadAddress)?;
    let file = Rc::clone(running.process.handles.get(fd)?);
    if kernel.machine.heap_low() {
        return Err(KernelError::NoMemory);
    }
    kernel.expire_shares();
    let deadline = kernel.machine.now().saturating_add(timeout);
    let files = kernel.files();
    let key = files.shares.borrow_mut().leave(file, deadline)?;
    kernel.expire_shares();
    let space = &mut running.process.space;
    user::write(&mut kernel.machine, space, out, &key)?;
    Ok(0)
}

/// CLAIM: the key is used up even when there is no descriptor left.
pub(crate) fn claim<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Load(key): Load,
) -> Flow {
    let claimed = claim_checked(kernel, running, key);
    answer(running, nr::CLAIM, claimed)
}

fn claim_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
) -> Result<u64, KernelError> {
    let mut key = [0; KEY];
    let space = &mut running.process.space;
    let read = user::read(&mut kernel.machine, space, address, &mut key);
    read.map_err(|_| KernelError::BadAddress)?;
    kernel.expire_shares();
    let file = kernel.files().shares.borrow_mut().claim(&key);
    let file = file.ok_or(KernelError::NotFound)?;
    let inserted = running.process.handles.insert(file);
    kernel.wake_hung_up();
    inserted
}

/// BIND.
pub(crate) fn bind<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(source): Handle,
    Text(mountpoint): Text,
    table::Flags(flags): table::Flags,
) -> Flow {
    let bound = bind_checked(kernel, running, source, mountpoint, flags);
    answer(running, nr::BIND, bound)
}

fn bind_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    source: u64,
    mountpoint: u64,
    flags: u32,
) -> Result<u64, KernelError> {
    let mut buffer = [0; PATH_MAX];
    let path = path::read(kernel, running, mountpoint, &mut buffer)?;
    let file = Rc::clone(running.process.handles.get(source)?);
    // A standard stream is nowhere in the tree.
    let place = file.place.as_ref().ok_or(KernelError::NotSupported)?;
    let covered = path.find(kernel, running)?;
    let beside = match covered.inode.directory() {
        Some(_) => None,
        None => Some(path.find_parent(kernel, running)?.0.inode),
    };
    if kernel.machine.heap_low() {
        return Err(KernelError::NoMemory);
    }
    let files = kernel.files();
    let mount = Rc::new(Mount {
        id: files.id(),
        root: Rc::clone(&place.inode),
        root_entry: place.entry,
        mode: Mode(file.mode.0 & Mode::ALL.0),
        covered: Some(covered),
        beside,
    });
    let namespace = running.process.view.own(&files.root);
    let propagation = Propagation {
        parents: flags & PROPAGATE_PARENT != 0,
        children: flags & PROPAGATE_CHILDREN != 0,
    };
    namespace.bind(&mount, propagation)?;
    Ok(0)
}

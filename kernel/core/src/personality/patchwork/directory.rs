//! Names and directories of PatchworkOS: CHDIR, STAT, GETDENTS, REMOVE, LINK.

use alloc::rc::Rc;

use mayfly_abi::patchwork::nr;
use mayfly_abi::table::{Handle, Output, Store, Text};

use super::error::answer;
use super::listing::Listing;
use super::path::{self, Flags, PATH_MAX, Path};
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{Mode, Node};
use crate::object::inode::{Inode, Name};
use crate::object::namespace::Place;
use crate::object::transfer;
use crate::port::{Machine, Port};
use crate::user;

/// Bytes of `stat_t` and `dirent_t` (specs/patchwork.md §3).
const STAT: usize = 168;
pub(super) const DIRENT: usize = 272;
/// Longest path of a `dirent_t`, its terminator included.
pub(super) const DIRENT_PATH: usize = 256;
/// Name of the root in `stat_t`.
const ROOT_NAME: &[u8] = b"__root__";
/// Blocks are counted in units of so many bytes.
const BLOCK: u64 = 512;

/// CHDIR: what is not there is no directory either; flags are ignored.
pub(crate) fn chdir<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(address): Text,
) -> Flow {
    let mut buffer = [0; PATH_MAX];
    let path = path::read(kernel, running, address, &mut buffer);
    let place = path.and_then(|path| find_directory(kernel, running, &path));
    let done = place.map(|place| {
        running.process.view.directory = Some(place);
        0
    });
    answer(running, nr::CHDIR, done)
}

fn find_directory<P: Port>(
    kernel: &Kernel<P>,
    running: &Running<P>,
    path: &Path<'_>,
) -> Result<Place, KernelError> {
    let place = if path.last().is_some() {
        let (parent, last) = path.find_parent(kernel, running)?;
        let namespace = kernel.namespace(&running.process);
        let found = kernel.down(&namespace, parent, last);
        found.map_err(|error| match error {
            KernelError::NotFound => KernelError::NotDirectory,
            error => error,
        })?
    } else {
        path.find(kernel, running)?
    };
    match place.inode.directory() {
        Some(_) => Ok(place),
        None => Err(KernelError::NotDirectory),
    }
}

/// STAT.
pub(crate) fn stat<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(path): Text,
    Store(out): Store,
) -> Flow {
    let done = stat_checked(kernel, running, path, out);
    answer(running, nr::STAT, done)
}

fn stat_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    out: u64,
) -> Result<u64, KernelError> {
    let mut buffer = [0; PATH_MAX];
    let path = path::read(kernel, running, address, &mut buffer)?;
    if out == 0 {
        return Err(KernelError::NullPointer);
    }
    transfer::check_output(kernel, running, out, STAT as u64)?;
    if path.flags != Flags::default() {
        return Err(KernelError::BadFlag);
    }
    let place = path.find(kernel, running)?;
    if !place.mount.mode.contains(Mode::READ) {
        return Err(KernelError::NotPermitted);
    }
    let name = match (path.last(), place.inode.directory()) {
        (Some(last), _) => Name::new(last),
        // A path that ends in no name leads to a directory; the root has no name.
        (None, Some(directory)) if directory.parent.strong_count() > 0 => Some(directory.name),
        _ => Name::new(ROOT_NAME),
    };
    let stat = describe(kernel, &place.inode, &name.unwrap_or_default());
    let space = &mut running.process.space;
    user::write(&mut kernel.machine, space, out, &stat)?;
    Ok(0)
}

/// A `stat_t`.
fn describe<P: Port>(kernel: &Kernel<P>, inode: &Inode, name: &Name) -> [u8; STAT] {
    let times = &inode.times;
    let seconds = |time: u64| kernel.machine.boot_epoch() + time / 1_000_000_000;
    let size = inode.size();
    let words = [
        inode.number,
        kind(inode).into(),
        size,
        size.div_ceil(BLOCK),
        inode.links.get(),
        seconds(times.accessed.get()),
        seconds(times.modified.get()),
        seconds(times.changed.get()),
        seconds(times.created),
    ];
    let mut stat = [0; STAT];
    let (numbers, rest) = stat.split_at_mut(72);
    for (bytes, word) in numbers.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    rest[..32].copy_from_slice(name.padded());
    stat
}

/// Inode type: 0 is a file, 1 a directory.
fn kind(inode: &Inode) -> u8 {
    u8::from(inode.directory().is_some())
}

/// GETDENTS.
pub(crate) fn getdents<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(fd): Handle,
    Output(buffer): Output,
    count: u64,
) -> Flow {
    let listed = getdents_checked(kernel, running, fd, buffer, count);
    answer(running, nr::GETDENTS, listed)
}

fn getdents_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fd: u64,
    buffer: u64,
    count: u64,
) -> Result<u64, KernelError> {
    let file = Rc::clone(running.process.handles.get(fd)?);
    if buffer == 0 && count > 0 {
        return Err(KernelError::NullPointer);
    }
    transfer::check_output(kernel, running, buffer, count)?;
    let Node::Directory(inode) = &file.node else {
        return Err(KernelError::NotDirectory);
    };
    if !file.mode.contains(Mode::READ) {
        return Err(KernelError::BadHandle);
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX) / DIRENT;
    let first = file.position.get() / DIRENT as u64;
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let mut written = 0;
    let namespace = kernel.namespace(&running.process);
    let mut listing = Listing::new(kernel, &namespace, &file, inode)?;
    let mut index = 0;
    while written < most {
        let Some(entry) = listing.next(kernel, &running.process)? else {
            break;
        };
        if index >= first {
            let at = buffer + (written * DIRENT) as u64;
            let space = &mut running.process.space;
            user::write(&mut kernel.machine, space, at, &entry)?;
            written += 1;
        }
        index += 1;
    }
    let bytes = (written * DIRENT) as u64;
    file.position
        .update(|position| position.wrapping_add(bytes));
    Ok(bytes)
}

/// A `dirent_t`.
pub(super) fn dirent(inode: &Inode, path: &[u8]) -> [u8; DIRENT] {
    let mut dirent = [0; DIRENT];
    dirent[..8].copy_from_slice(&inode.number.to_le_bytes());
    dirent[8] = kind(inode);
    dirent[12..12 + path.len()].copy_from_slice(path);
    dirent
}

/// REMOVE.
pub(crate) fn remove<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(path): Text,
) -> Flow {
    let removed = remove_checked(kernel, running, path);
    answer(running, nr::REMOVE, removed)
}

fn remove_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
) -> Result<u64, KernelError> {
    let mut buffer = [0; PATH_MAX];
    let path = path::read(kernel, running, address, &mut buffer)?;
    let (parent, last) = path.find_parent(kernel, running)?;
    let name = Name::new(last).ok_or(KernelError::TooLong)?;
    let entry = kernel.entry_for(&running.process, &parent.inode, &name)?;
    match (entry.inode.directory(), path.flags.has(Flags::DIRECTORY)) {
        (None, true) => return Err(KernelError::NotDirectory),
        (Some(_), false) => return Err(KernelError::IsDirectory),
        _ => {}
    }
    let namespace = kernel.namespace(&running.process);
    let covered = namespace.is_covered(&kernel.place_of(&parent, entry));
    if covered || !parent.mount.mode.contains(Mode::WRITE) {
        // What is mounted there would hang in the air.
        return Err(KernelError::NotPermitted);
    }
    kernel.unlink(&parent, last, path.flags.has(Flags::RECURSIVE))?;
    Ok(0)
}

/// LINK.
pub(crate) fn link<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(old): Text,
    Text(new): Text,
) -> Flow {
    let linked = link_checked(kernel, running, old, new);
    answer(running, nr::LINK, linked)
}

fn link_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    old: u64,
    new: u64,
) -> Result<u64, KernelError> {
    let (mut old_buffer, mut new_buffer) = ([0; PATH_MAX], [0; PATH_MAX]);
    let old = path::read(kernel, running, old, &mut old_buffer)?;
    let new = path::read(kernel, running, new, &mut new_buffer)?;
    if old.flags != Flags::default() || new.flags != Flags::default() {
        return Err(KernelError::BadFlag);
    }
    let (old_parent, old_last) = old.find_parent(kernel, running)?;
    let (new_parent, new_last) = new.find_parent(kernel, running)?;
    if old_parent.inode.system != new_parent.inode.system {
        return Err(KernelError::OtherSystem);
    }
    let namespace = kernel.namespace(&running.process);
    let place = kernel.down(&namespace, old_parent, old_last)?;
    if new_parent.inode.directory().is_none() {
        return Err(KernelError::NotFound);
    }
    if place.inode.directory().is_some() {
        return Err(KernelError::IsDirectory);
    }
    if place.inode.system != new_parent.inode.system {
        return Err(KernelError::OtherSystem);
    }
    if kernel
        .down(&namespace, new_parent.clone(), new_last)
        .is_ok()
    {
        return Err(KernelError::Exists);
    }
    kernel.changeable(&new_parent.inode)?;
    if !new_parent.mount.mode.contains(Mode::WRITE) {
        return Err(KernelError::NotPermitted);
    }
    kernel.link(&new_parent, new_last, place.inode)?;
    Ok(0)
}

//! PatchworkOS (`specs/patchwork.md`): integers that are `ERR` or `NULL` on
//! failure, with an error number per thread.

pub(crate) mod control;
pub(crate) mod device;
pub(crate) mod directory;
pub mod error;
pub(crate) mod file;
pub(crate) mod listing;
pub(crate) mod memory;
pub(crate) mod open;
pub(crate) mod path;
pub(crate) mod poll;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod share;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod start;
pub(crate) mod terminal;
pub(crate) mod thread;

use mayfly_abi::patchwork::{CONVENTION, Call, nr};

use super::fetch;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::port::{Machine, Port};
use crate::trace::number;

/// Calls with an adaptor.
pub const SERVED: &[u64] = &[
    nr::PROCESS_EXIT,
    nr::THREAD_EXIT,
    nr::SPAWN,
    nr::NANOSLEEP,
    nr::ERRNO,
    nr::GETPID,
    nr::GETTID,
    nr::UPTIME,
    nr::UNIX_EPOCH,
    nr::OPEN,
    nr::OPEN2,
    nr::CLOSE,
    nr::READ,
    nr::WRITE,
    nr::SEEK,
    nr::IOCTL,
    nr::CHDIR,
    nr::POLL,
    nr::STAT,
    nr::MMAP,
    nr::MUNMAP,
    nr::MPROTECT,
    nr::GETDENTS,
    nr::THREAD_CREATE,
    nr::YIELD,
    nr::DUP,
    nr::DUP2,
    nr::FUTEX,
    nr::REMOVE,
    nr::LINK,
    nr::SHARE,
    nr::CLAIM,
    nr::BIND,
    nr::OPENAT,
];

/// Serves one call.
#[inline(always)]
pub(crate) fn serve<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Flow {
    let Running {
        context, process, ..
    } = running;
    let frame = P::Machine::registers(context);
    let number = number(frame, &CONVENTION);
    let machine = &mut kernel.machine;
    let call = Call::decode(number, |place| {
        fetch(machine, &mut process.space, frame, place)
    });
    match call {
        Ok(Some(call)) => serve_call(kernel, running, call),
        _ => error::fail(running, number, KernelError::Unserved),
    }
}

#[inline(always)]
fn serve_call<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, call: Call) -> Flow {
    match call {
        Call::ProcessExit { status } => process::exit(running, status),
        Call::ThreadExit {} => Flow::EndThread,
        Call::Nanosleep { timeout } => process::nanosleep(kernel, running, timeout),
        Call::Errno {} => Flow::Return(running.thread.errno.into()),
        Call::Getpid {} => Flow::Return(running.process.id),
        Call::Gettid {} => Flow::Return(running.thread_id),
        Call::Uptime {} => Flow::Return(kernel.machine.now()),
        Call::UnixEpoch { time } => process::unix_epoch(kernel, running, time),
        Call::Open { path } => open::open(kernel, running, path),
        Call::Open2 { path, fds } => open::open2(kernel, running, path, fds),
        Call::Close { fd } => file::close(kernel, running, fd),
        Call::Read { fd, buffer, count } => file::read(kernel, running, fd, buffer, count),
        Call::Write { fd, buffer, count } => file::write(kernel, running, fd, buffer, count),
        Call::Seek { fd, offset, origin } => file::seek(running, fd, offset, origin),
        Call::Ioctl {
            fd, argument, size, ..
        } => file::ioctl(kernel, running, fd, argument, size),
        Call::Chdir { path } => directory::chdir(kernel, running, path),
        Call::Poll {
            fds,
            count,
            timeout,
        } => poll::poll(kernel, running, fds, count, timeout),
        Call::Stat { path, stat } => directory::stat(kernel, running, path, stat),
        Call::Mmap {
            fd,
            address,
            length,
            prot,
        } => memory::mmap(kernel, running, fd, address, length, prot),
        Call::Munmap { address, length } => memory::munmap(kernel, running, address, length),
        Call::Mprotect {
            address,
            length,
            prot,
        } => memory::mprotect(kernel, running, address, length, prot),
        Call::Getdents { fd, buffer, count } => {
            directory::getdents(kernel, running, fd, buffer, count)
        }
        Call::ThreadCreate { entry, argument } => thread::create(kernel, running, entry, argument),
        Call::Yield {} => Flow::Yield(0),
        Call::Dup { fd } => file::dup(running, fd),
        Call::Dup2 { old, new } => file::dup2(kernel, running, old, new),
        Call::Futex {
            address,
            value,
            operation,
            timeout,
        } => thread::futex(kernel, running, address, value, operation, timeout),
        Call::Remove { path } => directory::remove(kernel, running, path),
        Call::Link { old, new } => directory::link(kernel, running, old, new),
        Call::Share { key, fd, timeout } => share::share(kernel, running, key, fd, timeout),
        Call::Claim { key } => share::claim(kernel, running, key),
        Call::Bind {
            source,
            mountpoint,
            flags,
        } => share::bind(kernel, running, source, mountpoint, flags),
        Call::Openat { from, path } => open::openat(kernel, running, from, path),
        Call::Spawn { argv, flags } => spawn::spawn(kernel, running, argv, flags),
    }
}

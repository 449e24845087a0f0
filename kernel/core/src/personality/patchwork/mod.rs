//! PatchworkOS (`specs/patchwork.md`): integers that are `ERR` or `NULL` on
//! failure, with an error number per thread.

pub mod error;
pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod start;
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
    nr::NANOSLEEP,
    nr::ERRNO,
    nr::GETPID,
    nr::GETTID,
    nr::UPTIME,
    nr::UNIX_EPOCH,
    nr::WRITE,
    nr::MMAP,
    nr::MUNMAP,
    nr::MPROTECT,
    nr::THREAD_CREATE,
    nr::YIELD,
    nr::FUTEX,
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
        Ok(Some(call)) => serve_call(kernel, running, number, call),
        _ => error::fail(running, number, KernelError::Unserved),
    }
}

#[inline(always)]
fn serve_call<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    number: u64,
    call: Call,
) -> Flow {
    match call {
        Call::ProcessExit { status } => process::exit(running, status),
        Call::ThreadExit {} => Flow::EndThread,
        Call::Nanosleep { timeout } => process::nanosleep(kernel, running, timeout),
        Call::Errno {} => Flow::Return(running.thread.errno.into()),
        Call::Getpid {} => Flow::Return(running.process.id),
        Call::Gettid {} => Flow::Return(running.thread.id),
        Call::Uptime {} => Flow::Return(kernel.machine.now()),
        Call::UnixEpoch { time } => process::unix_epoch(kernel, running, time),
        Call::Write { fd, buffer, count } => file::write(kernel, running, fd, buffer, count),
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
        Call::ThreadCreate { entry, argument } => thread::create(kernel, running, entry, argument),
        Call::Yield {} => Flow::Yield(0),
        Call::Futex {
            address,
            value,
            operation,
            timeout,
        } => thread::futex(kernel, running, address, value, operation, timeout),
        Call::Spawn { .. }
        | Call::Open { .. }
        | Call::Open2 { .. }
        | Call::Close { .. }
        | Call::Read { .. }
        | Call::Seek { .. }
        | Call::Ioctl { .. }
        | Call::Chdir { .. }
        | Call::Poll { .. }
        | Call::Stat { .. }
        | Call::Getdents { .. }
        | Call::Dup { .. }
        | Call::Dup2 { .. }
        | Call::Remove { .. }
        | Call::Link { .. }
        | Call::Share { .. }
        | Call::Claim { .. }
        | Call::Bind { .. }
        | Call::Openat { .. } => error::fail(running, number, KernelError::Unserved),
    }
}

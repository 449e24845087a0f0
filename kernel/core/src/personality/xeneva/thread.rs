//! Threads of XenevaOS: made, paused and woken (specs/xeneva.md §3.2, services
//! 32 and 35).
//!
//! A signal does no more than end a pause: there are no handlers. One that
//! comes while its thread is not paused is kept, so that no wake-up is lost.

use core::mem;

use mayfly_abi::Abi;
use mayfly_abi::table::{Address, Text};
use mayfly_abi::xeneva::FAILED;

use super::{child, start};
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::thread::Wait;
use crate::port::{Port, USER_END};

/// Result of PauseThread.
const RESUMED: u64 = 1;
/// Threads of a process, its main one included.
const THREADS_MAX: u64 = 60;
/// Signals there are, from 0 on (§4, service 25).
const SIGNALS: i32 = 39;

/// PauseThread: until a signal comes, which may have come already.
pub(crate) fn pause<P: Port>(running: &mut Running<P>) -> Flow {
    match mem::take(&mut running.thread.signalled) {
        true => Flow::Return(RESUMED),
        false => running.park(Wait::Pause, None),
    }
}

/// The end of a PauseThread.
pub(crate) fn resumed<P: Port>(running: &mut Running<P>) -> Flow {
    running.thread.signalled = false;
    Flow::Return(RESUMED)
}

/// SendSignal: to the main thread of any process that was loaded.
#[inline(never)]
pub(crate) fn signal<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    pid: i32,
    number: i32,
) -> Flow {
    let id = u64::try_from(pid).unwrap_or(0);
    let process = match running.process.is(Abi::Xeneva, id) {
        true => Some(running.process.key),
        false => child::other(kernel, pid),
    };
    let process = process.filter(|_| (0..SIGNALS).contains(&number));
    let sent = process.ok_or(KernelError::NotFound);
    match sent.and_then(|key| kernel.signal(running, key)) {
        Ok(()) => Flow::Return(0),
        Err(_) => Flow::Return(FAILED),
    }
}

/// CreateUserThread: says its index in the process, from 1 on. It finds no
/// arguments on a stack of its own, and must not return.
#[inline(never)]
pub(crate) fn create<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(entry): Address,
    Text(name): Text,
) -> Flow {
    Flow::Return(create_checked(kernel, running, entry, name).unwrap_or(FAILED))
}

fn create_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    entry: u64,
    name: u64,
) -> Result<u64, KernelError> {
    if entry == 0 || entry >= USER_END {
        return Err(KernelError::BadAddress);
    }
    child::read_name(kernel, running, name, &mut [0; child::NAME_MAX])?;
    let index = running.process.threads_made;
    if index >= THREADS_MAX {
        return Err(KernelError::TooMany);
    }
    let stack = start::add_thread_stack(&kernel.machine, &mut running.process.space, index)?;
    let id = kernel.thread_id();
    let added = kernel.add_thread(running, id, |frame| {
        frame.rip = entry;
        frame.rsp = stack.end - start::THREAD_FRAME;
    });
    if let Err(error) = added {
        let space = &mut running.process.space;
        space.unmap(&mut kernel.machine, stack)?;
        return Err(error);
    }
    running.process.threads_made += 1;
    Ok(index)
}

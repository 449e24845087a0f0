//! Processes and time of PatchworkOS.

use mayfly_abi::patchwork::{CONVENTION, ERR, Errno, nr};
use mayfly_abi::table::{Duration, Store};

use super::error;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::process::Cause;
use crate::object::thread::Wait;
use crate::port::{Machine, Port};
use crate::trace::number;
use crate::user;

/// Exit status after a processor exception: EFAULT (specs/patchwork.md §6).
pub(crate) const FAULT_STATUS: i64 = Errno::EFAULT as i64;

/// PROCESS_EXIT.
pub(crate) fn exit<P: Port>(running: &mut Running<P>, status: i32) -> Flow {
    running.end(Cause::Exit, status.into())
}

/// NANOSLEEP: sleeping is how it succeeds, and it never says so (§5, 3).
pub(crate) fn nanosleep<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Duration(timeout): Duration,
) -> Flow {
    let deadline = kernel.machine.now().checked_add(timeout);
    running.park(Wait::Sleep, deadline)
}

/// The end of a NANOSLEEP.
pub(crate) fn slept<P: Port>(running: &mut Running<P>) -> Flow {
    if running.thread.interrupted {
        return interrupted(running);
    }
    running.thread.errno = Errno::ETIMEDOUT.code();
    Flow::Return(ERR)
}

/// The end of a call that a note disturbed while it waited.
pub(crate) fn interrupted<P: Port>(running: &mut Running<P>) -> Flow {
    running.thread.interrupted = false;
    let number = number(P::Machine::registers(&running.context), &CONVENTION);
    error::fail(running, number, KernelError::Interrupted)
}

/// UNIX_EPOCH.
pub(crate) fn unix_epoch<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Store(time): Store,
) -> Flow {
    let seconds = kernel.machine.boot_epoch() + kernel.machine.now() / 1_000_000_000;
    if time == 0 {
        return Flow::Return(seconds);
    }
    let space = &mut running.process.space;
    match user::write(&mut kernel.machine, space, time, &seconds.to_le_bytes()) {
        Ok(()) => Flow::Return(seconds),
        Err(_) => error::fail(running, nr::UNIX_EPOCH, KernelError::BadAddress),
    }
}

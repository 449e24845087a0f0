//! Processes and time of VeridianOS.

use mayfly_abi::table::{Bits, Load, Store};
use mayfly_abi::veridian::{Timespec, clock};

use super::error::answer;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::process::Cause;
use crate::object::thread::Wait;
use crate::port::{Machine, Port};
use crate::user;

const SECOND: u64 = 1_000_000_000;

/// EXIT.
pub(crate) fn exit<P: Port>(running: &mut Running<P>, exit_code: i32) -> Flow {
    running.end(Cause::Exit, exit_code.into())
}

/// Exit code after a processor exception: -(vector + 1) (specs/veridian.md §3).
pub(crate) fn fault_status(vector: u64) -> i64 {
    -(i64::try_from(vector).unwrap_or(i64::MAX - 1) + 1)
}

/// CLOCK_GET.
pub(crate) fn clock_get<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Bits(clock): Bits,
    Store(result): Store,
) -> Flow {
    answer(clock_get_checked(kernel, running, clock, result))
}

fn clock_get_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    clock: u64,
    result: u64,
) -> Result<u64, KernelError> {
    let now = kernel.machine.now();
    let time = match clock {
        clock::MONOTONIC => now,
        clock::REALTIME => now + kernel.machine.boot_epoch() * SECOND,
        clock::PROCESS_CPU | clock::THREAD_CPU => return Err(KernelError::NotSupported),
        _ => return Err(KernelError::InvalidArgument),
    };
    if !result.is_multiple_of(8) {
        return Err(KernelError::BadAddress);
    }
    let time = Timespec {
        seconds: (time / SECOND).cast_signed(),
        nanoseconds: (time % SECOND).cast_signed(),
    };
    let space = &mut running.process.space;
    user::write(&mut kernel.machine, space, result, &time.to_bytes())?;
    Ok(0)
}

/// NANOSLEEP; no time at all is a yield.
pub(crate) fn nanosleep<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Load(duration): Load,
) -> Flow {
    match read_duration(kernel, running, duration) {
        Ok(0) => Flow::Yield(0),
        Ok(length) => {
            let deadline = kernel.machine.now().checked_add(length);
            running.park(Wait::Sleep, deadline)
        }
        Err(error) => answer(Err(error)),
    }
}

/// Nanoseconds; what does not fit saturates to for ever.
fn read_duration<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
) -> Result<u64, KernelError> {
    if !address.is_multiple_of(8) {
        return Err(KernelError::BadAddress);
    }
    let mut bytes = [0; Timespec::SIZE];
    let space = &mut running.process.space;
    user::read(&mut kernel.machine, space, address, &mut bytes)?;
    let Timespec {
        seconds,
        nanoseconds,
    } = Timespec::from_bytes(&bytes);
    let range = |_| KernelError::InvalidArgument;
    let seconds = u64::try_from(seconds).map_err(range)?;
    let nanoseconds = u64::try_from(nanoseconds).map_err(range)?;
    if nanoseconds >= SECOND {
        return Err(KernelError::InvalidArgument);
    }
    Ok(seconds.saturating_mul(SECOND).saturating_add(nanoseconds))
}

/// The end of a NANOSLEEP.
pub(crate) fn slept() -> Flow {
    Flow::Return(0)
}

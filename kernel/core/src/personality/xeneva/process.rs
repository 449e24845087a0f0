//! Processes and time of XenevaOS.

use mayfly_abi::xeneva::FAILED;

use crate::kernel::{Flow, Kernel, Running};
use crate::object::process::Cause;
use crate::object::thread::Wait;
use crate::port::{Machine, Port};

/// Result of a completed ProcessSleep (specs/xeneva.md §4, the ARM64 kernel).
const SLEPT: u64 = 1;

/// Result of ProcessExit in a thread that is not the main one (§3.5).
const NOT_MAIN: u64 = 1;

/// ProcessExit: there is no status anywhere in XenevaOS (§2). Process 1, which
/// may not end, is the system's own and makes no calls.
pub(crate) fn exit<P: Port>(running: &mut Running<P>) -> Flow {
    if running.thread.place != 0 {
        return Flow::Return(NOT_MAIN);
    }
    running.end(Cause::Exit, 0)
}

/// ProcessSleep: -1 for no time at all.
pub(crate) fn sleep<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    milliseconds: u64,
) -> Flow {
    if milliseconds == 0 {
        return Flow::Return(FAILED);
    }
    let nanoseconds = milliseconds.checked_mul(1_000_000);
    let deadline = nanoseconds.and_then(|length| kernel.machine.now().checked_add(length));
    running.park(Wait::Sleep, deadline)
}

/// The end of a ProcessSleep.
pub(crate) fn slept() -> Flow {
    Flow::Return(SLEPT)
}

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

/// The process that may not end, and the image that the host starts as it (§2).
pub(crate) const ROOT: u64 = 1;
pub(crate) const ROOT_IMAGE: &str = "init.exe";

/// Result of ProcessExit in that process.
const REFUSED: u64 = 0;

/// ProcessExit: there is no status anywhere in XenevaOS (§2).
pub(crate) fn exit<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Flow {
    if running.thread.place != 0 {
        return Flow::Return(NOT_MAIN);
    }
    if running.process.id == ROOT {
        kernel.log(b"process 1 may not exit\n");
        return Flow::Return(REFUSED);
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

//! How a call goes on that had to wait, for each interface.

use mayfly_abi::Abi;

use super::{load_failed_status, patchwork, serve, veridian, xeneva};
use crate::kernel::{Flow, Kernel, Running};
use crate::object::process::Cause;
use crate::object::thread::Wait;
use crate::port::Port;

/// Goes on with a call whose wait is over.
#[inline(always)]
pub(crate) fn resume<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    wait: Wait,
) -> Flow {
    match wait {
        // The commonest first, and by itself.
        Wait::Exchange => veridian::ipc::arrived(kernel, running),
        wait => resume_other(kernel, running, wait),
    }
}

#[inline(never)]
fn resume_other<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, wait: Wait) -> Flow {
    match (wait, running.process.abi) {
        (Wait::Request, _) => Flow::Resume,
        (Wait::Mailbox, _) => Flow::Await,
        (Wait::Start | Wait::Load, _) if running.process.loaded => Flow::Resume,
        (Wait::Start | Wait::Load, Abi::Patchwork) => patchwork::spawn::load(kernel, running),
        // These load what they make before they start it.
        (Wait::Start | Wait::Load, abi) => running.end(Cause::LoadFailed, load_failed_status(abi)),
        (Wait::End, _) => Flow::Return(0),
        (Wait::Pause, _) => xeneva::thread::resumed(running),
        (Wait::Retry, _) => retry(kernel, running),
        (Wait::Futex { address }, _) => patchwork::thread::woken(running, address),
        (Wait::Exchange, _) => veridian::ipc::arrived(kernel, running),
        (Wait::Sleep, Abi::Xeneva) => xeneva::process::slept(),
        (Wait::Sleep, Abi::Patchwork) => patchwork::process::slept(running),
        (Wait::Sleep, Abi::Veridian) => veridian::process::slept(),
    }
}

/// Makes a parked call again: what it waited for has changed, or its time is over.
fn retry<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Flow {
    if running.thread.interrupted {
        running.thread.deadline = None;
        return patchwork::process::interrupted(running);
    }
    let flow = serve(kernel, running);
    if running.thread.wait.is_none() {
        // It is over, or failed before it came to its rest: the next one begins at 0.
        running.thread.done = 0;
    }
    if !matches!(flow, Flow::Park | Flow::ParkUntil(_)) {
        running.thread.deadline = None;
        running.thread.timed_out = false;
    }
    flow
}

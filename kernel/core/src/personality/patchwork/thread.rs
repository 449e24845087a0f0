//! Threads and futexes of PatchworkOS (specs/patchwork.md §7).

use mayfly_abi::patchwork::nr;
use mayfly_abi::table::{Address, Duration};

use super::memory::{USER_START, check_user};
use super::{error, start};
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::futex;
use crate::port::Port;

/// Futex operations (§3).
const WAIT: u32 = 0;
const WAKE: u32 = 1;

/// Bytes of code that a thread's first instruction may have.
const ENTRY_SIZE: u64 = 8;

/// THREAD_CREATE: RDI is the argument, RSP and RBP the top of a stack that the
/// kernel picks by the thread's id. There is no return address.
pub(crate) fn create<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(entry): Address,
    Address(argument): Address,
) -> Flow {
    match add(kernel, running, entry, argument) {
        Ok(id) => Flow::Return(id),
        Err(error) => error::fail(running, nr::THREAD_CREATE, error),
    }
}

fn add<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    entry: u64,
    argument: u64,
) -> Result<u64, KernelError> {
    if entry == 0 {
        return Err(KernelError::NullPointer);
    }
    check_user(entry, ENTRY_SIZE)?;
    let id = running.process.threads_made;
    let stack = start::add_thread_stack(&kernel.machine, &mut running.process.space, id)?;
    let added = kernel.add_thread(running, id, |frame| {
        frame.rip = entry;
        frame.rdi = argument;
        frame.rsp = stack.end;
        frame.rbp = stack.end;
    });
    if let Err(error) = added {
        let space = &mut running.process.space;
        space.unmap(&mut kernel.machine, stack)?;
        return Err(error);
    }
    running.process.threads_made += 1;
    Ok(id)
}

/// FUTEX. WAKE does not touch memory and has no timeout; with any count but
/// zero it wakes all.
pub(crate) fn futex<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(address): Address,
    value: u64,
    operation: u32,
    Duration(timeout): Duration,
) -> Flow {
    let flow = match operation {
        _ if address == 0 => Err(KernelError::NullPointer),
        WAIT if address < USER_START => Err(KernelError::BadAddress),
        WAIT => futex::wait(kernel, running, address, value, timeout),
        WAKE if value == 0 => Ok(Flow::Return(0)),
        WAKE => Ok(Flow::Return(futex::wake(kernel, running, address))),
        _ => Err(KernelError::InvalidArgument),
    };
    flow.unwrap_or_else(|error| error::fail(running, nr::FUTEX, wait_error(error)))
}

/// FUTEX knows no EOVERFLOW: a word that wraps is one that cannot be read.
fn wait_error(error: KernelError) -> KernelError {
    match error {
        KernelError::Overflow => KernelError::BadAddress,
        error => error,
    }
}

/// The end of a FUTEX WAIT.
pub(crate) fn woken<P: Port>(running: &mut Running<P>, address: u64) -> Flow {
    match futex::woken(running, address) {
        Ok(()) => Flow::Return(0),
        Err(error) => error::fail(running, nr::FUTEX, error),
    }
}

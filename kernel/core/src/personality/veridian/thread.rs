//! Threads of VeridianOS (specs/veridian.md §5, §7.7).

use mayfly_abi::table::{Address, Duration, Handle};

use super::error::answer;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::join::CODES_MAX;
use crate::object::memory::Touch;
use crate::object::thread::Wait;
use crate::port::{PAGE_SIZE, Port};
use crate::user;

/// Threads of a process (§16).
const THREADS_MAX: usize = 256;
/// Smallest stack.
const STACK_MIN: u64 = PAGE_SIZE;

/// THREAD_CREATE.
pub(crate) fn create<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Address(entry): Address,
    Address(stack_base): Address,
    stack_size: u64,
    argument: u64,
) -> Flow {
    let added = create_checked(kernel, running, entry, (stack_base, stack_size), argument);
    answer(added)
}

fn create_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    entry: u64,
    (stack_base, stack_size): (u64, u64),
    argument: u64,
) -> Result<u64, KernelError> {
    let stack_end = stack_base.checked_add(stack_size);
    let stack_end = stack_end.filter(|_| stack_size >= STACK_MIN && entry != 0);
    let stack_end = stack_end.ok_or(KernelError::InvalidArgument)?;
    let space = &mut running.process.space;
    let code = entry..entry.checked_add(1).ok_or(KernelError::BadAddress)?;
    if !space.allows(code, Touch::Execute) || !space.allows(stack_base..stack_end, Touch::Write) {
        return Err(KernelError::BadAddress);
    }
    let codes = running.process.joins.as_ref();
    let codes = codes.map_or(0, |joins| joins.codes());
    let threads = running.process.threads.len();
    if threads >= THREADS_MAX || threads + codes >= CODES_MAX {
        return Err(KernelError::NoRoom);
    }
    // As after a call from nowhere: to return is a fault.
    let stack = (stack_end & !15) - 8;
    user::write(&mut kernel.machine, space, stack, &[0; 8])?;
    let id = running.process.threads_made + 1;
    kernel.add_thread(running, id, |frame| {
        frame.rip = entry;
        frame.rdi = argument;
        frame.rsp = stack;
    })?;
    running.process.threads_made = id;
    Ok(id)
}

/// THREAD_JOIN: the exit code, not sign-extended.
pub(crate) fn join<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(id): Handle,
    Duration(timeout): Duration,
) -> Flow {
    if id == running.thread.id {
        return answer(Err(KernelError::InvalidArgument));
    }
    let joiner = running.thread.key;
    // Who is in the table is not asked while there is a code.
    let mut joins = running.process.joins.take().unwrap_or_default();
    let taken = joins.take(id, joiner, || kernel.has_thread(running, id));
    let flow = match taken {
        Ok(Some(code)) => Flow::Return(code.cast_unsigned().into()),
        Ok(None) if timeout == 0 || running.thread.timed_out => {
            joins.give_up(id);
            answer(Err(KernelError::TimedOut))
        }
        Ok(None) => {
            running.give_up_after(&kernel.machine, timeout);
            let flow = running.park(Wait::Retry, running.thread.deadline);
            joins.wait(id, running.entry());
            flow
        }
        Err(error) => answer(Err(error)),
    };
    running.process.joins = Some(joins);
    flow
}

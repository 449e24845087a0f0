//! What a PatchworkOS program starts with (specs/patchwork.md §6).

use core::ops::Range;

use crate::error::KernelError;
use crate::object::memory::Space;
use crate::object::process::Process;
use crate::personality::patchwork::memory::USER_START;
use crate::personality::{Arguments, add_stack, block};
use crate::port::{Machine, PAGE_SIZE, Port, USER_END};

/// Top of thread 0's stack.
const STACK_TOP: u64 = USER_END;
/// Pages of a stack; one more below it stays unmapped.
const STACK_PAGES: u64 = 100;

/// Distance from one thread's stack to the next one's.
const STACK_STRIDE: u64 = (STACK_PAGES + 1) * PAGE_SIZE;

/// Adds the stack of thread `id`; says where it is.
pub(super) fn add_thread_stack<M: Machine>(
    machine: &M,
    space: &mut Space<M>,
    id: u64,
) -> Result<Range<u64>, KernelError> {
    let offset = id.checked_mul(STACK_STRIDE).ok_or(KernelError::NoMemory)?;
    let top = STACK_TOP.checked_sub(offset);
    let top = top.filter(|top| *top >= USER_START + STACK_STRIDE);
    let top = top.ok_or(KernelError::NoMemory)?;
    let bottom = top - STACK_PAGES * PAGE_SIZE;
    add_stack(machine, space, bottom, top).map_err(|_| KernelError::NoMemory)?;
    Ok(bottom..top)
}

/// RDI = argc, RSI = argv; strings at the very top of the stack, argv\[0\]
/// lowest, then the pointers with a null behind them.
pub(crate) fn prepare<P: Port>(
    machine: &mut P::Machine,
    process: &mut Process<P>,
    context: &mut <P::Machine as Machine>::Context,
    arguments: &Arguments<'_>,
) -> Result<(), KernelError> {
    add_thread_stack(machine, &mut process.space, 0)?;
    let strings = STACK_TOP - arguments.bytes().len() as u64;
    let count = arguments.count();
    let array = (strings - (count + 1) * 8) & !7;
    let mut block = block(arguments, count + 1)?;
    for offset in arguments.offsets() {
        block.extend_from_slice(&(strings + offset).to_le_bytes());
    }
    let padding = usize::try_from(strings - array).map_err(|_| KernelError::NoMemory)?;
    block.resize(padding, 0);
    block.extend_from_slice(arguments.bytes());
    process.space.poke(machine, array, &block)?;
    let frame = P::Machine::registers_mut(context);
    frame.rsp = (array - 8) & !15;
    frame.rdi = count;
    frame.rsi = array;
    Ok(())
}

//! What a PatchworkOS program starts with (specs/patchwork.md §6).

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::object::process::Process;
use crate::personality::{Arguments, add_stack};
use crate::port::{Machine, PAGE_SIZE, Port, USER_END};

/// Top of thread 0's stack.
const STACK_TOP: u64 = USER_END;
/// Pages of a stack; one more below it stays unmapped.
const STACK_PAGES: u64 = 100;

/// RDI = argc, RSI = argv; strings at the very top of the stack, argv\[0\]
/// lowest, then the pointers with a null behind them.
pub(crate) fn prepare<P: Port>(
    machine: &mut P::Machine,
    process: &mut Process<P>,
    context: &mut <P::Machine as Machine>::Context,
    arguments: &Arguments<'_>,
) -> Result<(), KernelError> {
    add_stack(
        &mut process.space,
        STACK_TOP - STACK_PAGES * PAGE_SIZE,
        STACK_TOP,
    )?;
    let strings = STACK_TOP - arguments.bytes().len() as u64;
    let count = arguments.count();
    let array = (strings - (count + 1) * 8) & !7;
    let mut block = Vec::new();
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

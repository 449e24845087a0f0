//! What a XenevaOS program starts with (specs/xeneva.md §2, §6).

use core::ops::Range;

use crate::error::KernelError;
use crate::object::memory::{Backing, Region, Space};
use crate::object::process::Process;
use crate::personality::{Arguments, add_stack, block, words};
use crate::port::{Access, Machine, PAGE_SIZE, Port};

/// Page of the argv array.
const ARGV: u64 = 0x4000;
/// Entries of that page, the terminator included.
const ARGV_MAX: u64 = 512;
/// The main stack.
const STACK_BOTTOM: u64 = 0x7000_0000_0000;
const STACK_TOP: u64 = STACK_BOTTOM + STACK_SIZE;
/// Size of every stack.
const STACK_SIZE: u64 = 0x8_0000;

/// What a thread's first stack pointer leaves above it: a gap, and the words of
/// argc and argv, which are 0.
pub(super) const THREAD_FRAME: u64 = 32 + 16;

/// Adds the stack of a thread by its index; says where it lies. The stacks lie
/// side by side, so the lowest page of each is left out: running over it is a
/// fault.
pub(super) fn add_thread_stack<M: Machine>(
    machine: &M,
    space: &mut Space<M>,
    index: u64,
) -> Result<Range<u64>, KernelError> {
    let bottom = STACK_BOTTOM + index * STACK_SIZE + PAGE_SIZE;
    let top = STACK_TOP + index * STACK_SIZE;
    add_stack(machine, space, bottom, top)?;
    Ok(bottom..top)
}

/// \[RSP\] = argc, \[RSP + 8\] = argv, or 0 without arguments; strings above.
pub(crate) fn prepare<P: Port>(
    machine: &mut P::Machine,
    process: &mut Process<P>,
    context: &mut <P::Machine as Machine>::Context,
    arguments: &Arguments<'_>,
) -> Result<(), KernelError> {
    add_stack(machine, &mut process.space, STACK_BOTTOM, STACK_TOP)?;
    let count = arguments.count();
    if count >= ARGV_MAX {
        return Err(KernelError::TooLong);
    }
    let strings = STACK_TOP - arguments.bytes().len() as u64;
    let frame_base = (strings & !15) - 16;
    let argv = if count == 0 { 0 } else { ARGV };
    if count > 0 {
        let region = Region {
            start: ARGV,
            end: ARGV + PAGE_SIZE,
            access: Access::READ_WRITE,
            backing: Backing::Zero,
        };
        process.space.add(machine, region)?;
        let mut array = words(count)?;
        for offset in arguments.offsets() {
            array.extend_from_slice(&(strings + offset).to_le_bytes());
        }
        process.space.poke(machine, ARGV, &array)?;
    }
    let mut block = block(arguments, 0)?;
    block.extend_from_slice(&count.to_le_bytes());
    block.extend_from_slice(&argv.to_le_bytes());
    let padding = usize::try_from(strings - frame_base).map_err(|_| KernelError::NoMemory)?;
    block.resize(padding, 0);
    block.extend_from_slice(arguments.bytes());
    process.space.poke(machine, frame_base, &block)?;
    P::Machine::registers_mut(context).rsp = frame_base;
    Ok(())
}

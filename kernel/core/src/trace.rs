//! System-call traces: one record per call of a traced process.
//!
//! A call is noted when the kernel has decoded its number and recorded when it
//! returns; a call that parks its thread is recorded when it resumes. Untraced
//! processes pay one test per call.

use mayfly_abi::Abi;
use mayfly_abi::convention::{Convention, Place, Register, Slot};
use mayfly_abi::table::Kind;

use crate::frame::TrapFrame;
use crate::kernel::{Kernel, Running};
use crate::port::{Host, Machine, Port};
use crate::{personality, user};

/// Most bytes of a call's string or buffer that a record keeps.
pub const DETAIL_MAX: usize = 56;

/// A call that has begun.
#[derive(Clone, Copy, Debug)]
pub struct CallInFlight {
    /// Call number.
    pub number: u64,
    /// Argument words in the order of the convention.
    pub arguments: [u64; 6],
    /// Ticks at entry.
    pub entered: u64,
    /// What the first string or input buffer held.
    pub detail: [u8; DETAIL_MAX],
    /// Bytes of `detail` that count.
    pub detail_length: u8,
}

/// A call that has returned, or ended its thread.
#[derive(Clone, Copy, Debug)]
pub struct TracedCall {
    /// Kernel-wide process number.
    pub process: u64,
    /// Thread id, as the ABI has it.
    pub thread: u64,
    /// Interface of the process.
    pub abi: Abi,
    /// The call.
    pub call: CallInFlight,
    /// Result register; `None` when the call ended its thread.
    pub result: Option<u64>,
    /// Error code as the ABI counts them, 0 for success.
    pub error: u32,
    /// Ticks at exit.
    pub left: u64,
}

/// Value of a register that a convention names.
#[inline(always)]
pub fn register(frame: &TrapFrame, register: Register) -> u64 {
    match register {
        Register::Rax => frame.rax,
        Register::Rdi => frame.rdi,
        Register::Rsi => frame.rsi,
        Register::Rdx => frame.rdx,
        Register::R8 => frame.r8,
        Register::R9 => frame.r9,
        Register::R10 => frame.r10,
        Register::R12 => frame.r12,
        Register::R13 => frame.r13,
        Register::R14 => frame.r14,
        Register::R15 => frame.r15,
    }
}

/// Sets a register that a convention names.
pub fn set_register(frame: &mut TrapFrame, register: Register, value: u64) {
    let place = match register {
        Register::Rax => &mut frame.rax,
        Register::Rdi => &mut frame.rdi,
        Register::Rsi => &mut frame.rsi,
        Register::Rdx => &mut frame.rdx,
        Register::R8 => &mut frame.r8,
        Register::R9 => &mut frame.r9,
        Register::R10 => &mut frame.r10,
        Register::R12 => &mut frame.r12,
        Register::R13 => &mut frame.r13,
        Register::R14 => &mut frame.r14,
        Register::R15 => &mut frame.r15,
    };
    *place = value;
}

/// Call number in a frame.
#[inline(always)]
pub fn number(frame: &TrapFrame, convention: &Convention) -> u64 {
    let word = register(frame, convention.number);
    match convention.number_bits {
        64 => word,
        bits => word & ((1 << bits) - 1),
    }
}

/// Notes the call that `running` begins.
pub(crate) fn begin<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) {
    let abi = running.process.abi;
    let convention = abi.convention();
    let frame = P::Machine::registers(&running.context);
    let (number, stack) = (number(frame, convention), frame.rsp);
    let mut call = CallInFlight {
        number,
        arguments: convention.arguments.map(|slot| match slot {
            Slot::Register(name) => register(frame, name),
            Slot::Stack(_) => 0,
        }),
        entered: 0,
        detail: [0; DETAIL_MAX],
        detail_length: 0,
    };
    let words = abi.row(number).map_or(0, |row| row.arguments.len());
    let places = convention.arguments.iter().zip(&mut call.arguments);
    for (slot, word) in places.take(words) {
        if let Slot::Stack(offset) = slot {
            let (machine, space) = (&mut kernel.machine, &mut running.process.space);
            // What cannot be read here the call cannot read either.
            let read = user::read_word(machine, space, stack.wrapping_add(*offset));
            *word = read.unwrap_or(0);
        }
    }
    if let Some(range) = detail_range(abi, &call) {
        let (address, length) = range;
        call.detail_length = read_detail(kernel, running, address, length, &mut call.detail);
    }
    // Last of all, so that noting the call is not counted as part of it.
    let noted = running.thread.call.insert(call);
    noted.entered = kernel.machine.ticks();
}

/// Address and length of what the call's first string or input buffer holds.
fn detail_range(abi: Abi, call: &CallInFlight) -> Option<(u64, Option<u64>)> {
    let row = abi.row(call.number)?;
    let words = row.arguments.len();
    let word = |index: usize| match abi.convention().place(index, words) {
        Place::Register(_) => call.arguments.get(index).copied(),
        _ => None,
    };
    let index = row
        .arguments
        .iter()
        .position(|argument| matches!(argument.kind, Kind::Text | Kind::Input))?;
    let length = match row.arguments[index].kind {
        Kind::Input => Some(word(index + 1)?),
        _ => None,
    };
    Some((word(index)?, length))
}

/// Reads what is readable at `address`, page by page, up to the limit and, for
/// a string, its terminator.
fn read_detail<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    length: Option<u64>,
    detail: &mut [u8; DETAIL_MAX],
) -> u8 {
    let limit = length.map_or(DETAIL_MAX as u64, |length| length.min(DETAIL_MAX as u64));
    let mut used = 0;
    for (index, byte) in (0..limit).zip(detail.iter_mut()) {
        let mut one = [0];
        let at = address.wrapping_add(index);
        if user::read(
            &mut kernel.machine,
            &mut running.process.space,
            at,
            &mut one,
        )
        .is_err()
        {
            break;
        }
        if length.is_none() && one == [0] {
            break;
        }
        *byte = one[0];
        used += 1;
    }
    used
}

/// Records the call that `running` has in flight, if it has one.
#[inline(always)]
pub(crate) fn end<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, result: Option<u64>) {
    if running.thread.call.is_some() {
        record(kernel, running, result);
    }
}

#[inline(never)]
fn record<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, result: Option<u64>) {
    let left = kernel.machine.ticks();
    let Some(call) = running.thread.call.take() else {
        return;
    };
    let abi = running.process.abi;
    let error = result.map_or(0, |result| {
        personality::error_code(abi, call.number, result, running.thread.errno)
    });
    running.process.records += 1;
    let traced = TracedCall {
        process: running.process.number,
        thread: running.thread.id,
        abi,
        call,
        result,
        error,
        left,
    };
    kernel.host.traced(&traced);
}

#[cfg(test)]
mod tests;

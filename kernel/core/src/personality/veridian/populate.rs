//! MMAP with POPULATE, in turns: all pages or nothing (specs/veridian.md §8).
//!
//! The mapping is there from the first turn on. How far it is brought in is
//! kept with the thread, whose call is made again in its next turn.
//! Neighbours: `memory.rs` makes the mapping.

use core::mem;
use core::ops::Range;

use super::error::answer;
use super::memory::whole_pages;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::port::{Machine, PAGE_SIZE, Port};

/// Pages that POPULATE brings in between two looks at the clock, and before
/// whoever waits has a turn, the host among them.
const PART: u64 = 64;
const TURN: u64 = 1024;
/// Bits of a number of pages that there could be frames for; the number of a
/// user page has no more than the others.
const DONE_BITS: u32 = 28;

/// Brings in all pages of a new mapping, or takes it back.
#[inline(never)]
pub(super) fn populate<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    range: Range<u64>,
) -> Result<Flow, KernelError> {
    if (range.end - range.start) / PAGE_SIZE > kernel.machine.frames_free() {
        let space = &mut running.process.space;
        space.unmap(&mut kernel.machine, range)?;
        return Err(KernelError::NoMemory);
    }
    populate_from(kernel, running, range, 0)
}

/// Brings in the pages of a mapping from one on, as many as are for one turn.
fn populate_from<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    range: Range<u64>,
    first: u64,
) -> Result<Flow, KernelError> {
    let (start, pages) = (range.start, (range.end - range.start) / PAGE_SIZE);
    let mut next = first;
    while next < pages {
        if next - first >= TURN || (next > first && kernel.is_due()) {
            // Page numbers of user memory and of frames have no more bits than fit.
            let done = (start / PAGE_SIZE) << DONE_BITS | next;
            return Ok(kernel.go_on_later(running, done));
        }
        let end = pages.min(next + PART);
        let part = start + next * PAGE_SIZE..start + end * PAGE_SIZE;
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        match space.populate(machine, part) {
            Ok(()) => next = end,
            // Another thread has unmapped some of it.
            Err(KernelError::BadAddress) => break,
            Err(_) => {
                space.unmap(machine, range)?;
                return Err(KernelError::NoMemory);
            }
        }
    }
    Ok(Flow::Return(start))
}

/// The next turn of a call that brings in many pages.
#[cold]
#[inline(never)]
pub(super) fn populate_rest<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    length: u64,
) -> Flow {
    let done = mem::take(&mut running.thread.done);
    let start = (done >> DONE_BITS) * PAGE_SIZE;
    let rest = whole_pages(length).and_then(|length| {
        let first = done & ((1 << DONE_BITS) - 1);
        populate_from(kernel, running, start..start + length, first)
    });
    rest.unwrap_or_else(|error| answer(Err(error)))
}

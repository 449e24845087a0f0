//! The kernel's heap: size classes of powers of two in memory set aside at boot.
//!
//! Programs cannot starve it: it is apart from the frames they use, and core
//! refuses new objects when [`low`] says so, long before it is full.

use core::alloc::{GlobalAlloc, Layout};

use spin::Mutex;

use crate::direct;

/// Smallest and largest class, as powers of two: 16 bytes to 4 MiB.
const CLASS_MIN: u32 = 4;
const CLASS_MAX: u32 = 22;
const CLASSES: usize = (CLASS_MAX - CLASS_MIN + 1) as usize;

struct State {
    /// Head of each class's list of free blocks (their addresses; 0 ends it).
    free: [u64; CLASSES],
    next: u64,
    end: u64,
    start: u64,
    used: u64,
    /// Memory from `next` on is all zeros.
    zeroed: bool,
}

struct Heap(Mutex<State>);

#[global_allocator]
static HEAP: Heap = Heap(Mutex::new(State {
    free: [0; CLASSES],
    next: 0,
    end: 0,
    start: 0,
    used: 0,
    zeroed: false,
}));

/// Gives the heap its memory.
///
/// # Safety
/// Physical `start..start + size` is nobody else's, all zeros if `zeroed`, and
/// nothing was allocated yet.
pub unsafe fn initialise(start: u64, size: u64, zeroed: bool) {
    let mut state = HEAP.0.lock();
    state.start = direct::<u8>(start) as u64;
    state.next = state.start;
    state.end = state.start + size;
    state.zeroed = zeroed;
}

/// Bytes in use.
pub fn used() -> u64 {
    HEAP.0.lock().used
}

/// Less than a quarter of the heap was never used and little is in its lists.
pub fn low() -> bool {
    let state = HEAP.0.lock();
    let size = state.end - state.start;
    state.used > size / 4 * 3
}

/// Class of a layout: blocks of class c have `1 << (c + CLASS_MIN)` bytes and
/// as much alignment.
fn class(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(1 << CLASS_MIN);
    let bits = usize::BITS - (size - 1).leading_zeros();
    (bits <= CLASS_MAX).then_some((bits - CLASS_MIN) as usize)
}

// SAFETY: blocks come from memory that only the heap has, are as large and
// aligned as their class, and are handed out once until they come back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            return core::ptr::null_mut();
        };
        let size = 1u64 << (class + CLASS_MIN as usize);
        let mut state = self.0.lock();
        let block = state.free[class];
        if block != 0 {
            // SAFETY: a free block holds the address of the next one.
            state.free[class] = unsafe { *(block as *const u64) };
            state.used += size;
            return block as *mut u8;
        }
        let block = state.next.next_multiple_of(size);
        if block + size > state.end {
            return core::ptr::null_mut();
        }
        state.next = block + size;
        state.used += size;
        block as *mut u8
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let fresh = self.0.lock().next;
        // SAFETY: the caller's obligations are the same.
        let block = unsafe { self.alloc(layout) };
        let known_zero = self.0.lock().zeroed && block as u64 >= fresh;
        if !block.is_null() && !known_zero {
            // SAFETY: the block was just allocated with at least this size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else { return };
        let mut state = self.0.lock();
        // SAFETY: the block is the heap's again, at least 16 bytes and aligned.
        unsafe { *block.cast::<u64>() = state.free[class] };
        state.free[class] = block as u64;
        state.used -= 1 << (class + CLASS_MIN as usize);
    }
}

//! The kernel's heap: size classes of powers of two in memory set aside at boot.
//!
//! Programs cannot starve it: it is apart from the frames they use, and core
//! refuses new objects when [`low`] says so, long before it is full. A block
//! that comes back is kept for its class. Only when memory that was never used
//! is out, larger blocks are parted, and at last neighbours are joined
//! (`heap/join.rs`): what one program had in small pieces, another can have in
//! large ones.

mod join;

use core::alloc::{GlobalAlloc, Layout};

use spin::Mutex;

use crate::direct;

/// Smallest and largest class, as powers of two: 16 bytes to 4 MiB.
const CLASS_MIN: u32 = 4;
const CLASS_MAX: u32 = 22;
const CLASSES: usize = (CLASS_MAX - CLASS_MIN + 1) as usize;

/// A large part of the heap is one in so many: larger than what one process has
/// grows by at once. The tables of all processes may need more at once when they
/// double; they ask for it, and do without (`core/src/slab.rs`).
const LARGE_PART: u64 = 16;

struct State {
    /// Head of each class's list of free blocks (their addresses; 0 ends it).
    free: [u64; CLASSES],
    next: u64,
    end: u64,
    start: u64,
    used: u64,
    /// Memory from `next` on is all zeros.
    zeroed: bool,
    /// Blocks came back since neighbours were last joined.
    returned: bool,
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
    returned: false,
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

/// Less than an eighth of the heap is free.
pub fn full() -> bool {
    let state = HEAP.0.lock();
    state.used > (state.end - state.start) / 8 * 7
}

/// Less than a quarter of the heap is free, or no large part of it together.
pub fn low() -> bool {
    let mut state = HEAP.0.lock();
    let size = state.end - state.start;
    let large = size / LARGE_PART;
    if state.used > size / 4 * 3 {
        return true;
    }
    state.end - state.next < large && !state.has_block(large)
}

impl State {
    /// Takes a block that came back; 0 if there is none.
    #[inline(always)]
    fn pop(&mut self, class: usize) -> u64 {
        let block = self.free[class];
        if block != 0 {
            self.free[class] = next(block);
        }
        block
    }

    /// Keeps a block that nobody has.
    #[inline(always)]
    fn push(&mut self, class: usize, block: u64) {
        set_next(block, self.free[class]);
        self.free[class] = block;
    }

    /// A block that no list of its class has; 0 if there is none.
    fn find(&mut self, class: usize) -> u64 {
        let block = self.fresh(class);
        if block != 0 {
            return block;
        }
        match self.part(class) {
            0 if self.join() => self.part(class),
            block => block,
        }
    }

    /// A block that was never used; 0 if there is none.
    fn fresh(&mut self, class: usize) -> u64 {
        let size = size_of(class);
        let block = self.next.next_multiple_of(size);
        if block + size > self.end {
            return 0;
        }
        // What the block's alignment skips is of use to smaller ones.
        while self.next < block {
            let skipped = (self.next.trailing_zeros() - CLASS_MIN) as usize;
            self.push(skipped, self.next);
            self.next += size_of(skipped);
        }
        self.next = block + size;
        block
    }

    /// A part of a larger block; 0 if there is none.
    #[cold]
    fn part(&mut self, class: usize) -> u64 {
        let larger = (class + 1..CLASSES).find(|larger| self.free[*larger] != 0);
        let Some(larger) = larger else { return 0 };
        let block = self.pop(larger);
        for half in class..larger {
            self.push(half, block + size_of(half));
        }
        block
    }

    /// Some list has a block of at least that size, once neighbours are joined.
    #[cold]
    fn has_block(&mut self, size: u64) -> bool {
        let least = (size.next_power_of_two().trailing_zeros() - CLASS_MIN) as usize;
        let least = least.min(CLASSES - 1);
        let has = |state: &Self| state.free[least..].iter().any(|block| *block != 0);
        has(self) || (self.join() && has(self))
    }
}

/// The free block behind this one in its list.
fn next(block: u64) -> u64 {
    // SAFETY: a free block, which nobody else has, holds the address of the next one.
    unsafe { *(block as *const u64) }
}

fn set_next(block: u64, next: u64) {
    // SAFETY: the block is the heap's, at least 16 bytes and aligned.
    unsafe { *(block as *mut u64) = next };
}

/// Bytes of a class's blocks.
const fn size_of(class: usize) -> u64 {
    1 << (class + CLASS_MIN as usize)
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
        let mut state = self.0.lock();
        let block = match state.pop(class) {
            0 => state.find(class),
            block => block,
        };
        if block != 0 {
            state.used += size_of(class);
        }
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

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that it fits, rounded up to the alignment.
        let other = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if class(layout) == class(other) {
            return block;
        }
        // SAFETY: the caller's obligations are the same.
        let moved = unsafe { self.alloc(other) };
        if !moved.is_null() {
            let length = size.min(layout.size());
            // SAFETY: both blocks have so many bytes, and the new one was nobody's.
            unsafe { moved.copy_from_nonoverlapping(block, length) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else { return };
        let mut state = self.0.lock();
        state.push(class, block as u64);
        state.used -= size_of(class);
        state.returned = true;
    }
}

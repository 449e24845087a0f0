//! The interactive shell of the guest: a PatchworkOS program in ring 3.
//!
//! Purpose: what `mayfly shell` talks to. On the terminal it edits lines; with
//! anything else as its input it runs that line by line; `-c LINE` runs one.
//! Neighbours: the library beside it has all that needs no system call;
//! `harness/src/terminal` is the other end of the terminal.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod program;

mayfly_user::program!(Patchwork, program::run);

/// Memory for everything that lives longer than a call.
#[cfg(target_os = "none")]
mod heap {
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::UnsafeCell;

    use linked_list_allocator::LockedHeap;
    use mayfly_user::patchwork;

    /// Bytes; pages that nothing touches are never there.
    const SIZE: usize = 8 << 20;
    const FULL: &[u8] = b"shell: its memory of 8 MiB is full, so it ends\n  \
        try: in smaller parts\n";
    const STANDARD_ERROR: u64 = 2;

    #[global_allocator]
    static HEAP: Heap = Heap(LockedHeap::empty());

    /// A heap that says so when it is full, and ends the program.
    struct Heap(LockedHeap);

    // SAFETY: the heap inside keeps the contract, and gets what this gets.
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the layout is the caller's.
            let place = unsafe { self.0.alloc(layout) };
            if place.is_null() {
                let _said = patchwork::write(STANDARD_ERROR, FULL);
                patchwork::process_exit(1);
            }
            place
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            // SAFETY: place and layout are the caller's.
            unsafe { self.0.dealloc(place, layout) }
        }
    }

    /// Memory that the heap hands out.
    struct Memory(UnsafeCell<[u8; SIZE]>);

    // SAFETY: nobody but the heap, which has a lock, uses what is in it.
    unsafe impl Sync for Memory {}

    static MEMORY: Memory = Memory(UnsafeCell::new([0; SIZE]));

    /// Before the first allocation, and once.
    pub(crate) fn begin() {
        // SAFETY: the memory is this heap's alone from here on.
        unsafe { HEAP.0.lock().init(MEMORY.0.get().cast(), SIZE) };
    }
}

/// On a host there is one already.
#[cfg(not(target_os = "none"))]
mod heap {
    pub(crate) fn begin() {}
}

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
    use core::cell::UnsafeCell;

    use linked_list_allocator::LockedHeap;

    /// Bytes; pages that nothing touches are never there.
    const SIZE: usize = 2 << 20;

    #[global_allocator]
    static HEAP: LockedHeap = LockedHeap::empty();

    /// Memory that the heap hands out.
    struct Memory(UnsafeCell<[u8; SIZE]>);

    // SAFETY: nobody but the heap, which has a lock, uses what is in it.
    unsafe impl Sync for Memory {}

    static MEMORY: Memory = Memory(UnsafeCell::new([0; SIZE]));

    /// Before the first allocation, and once.
    pub(crate) fn begin() {
        // SAFETY: the memory is this heap's alone from here on.
        unsafe { HEAP.lock().init(MEMORY.0.get().cast(), SIZE) };
    }
}

/// On a host there is one already.
#[cfg(not(target_os = "none"))]
mod heap {
    pub(crate) fn begin() {}
}

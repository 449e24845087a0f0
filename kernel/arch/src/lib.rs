//! The unsafe floor of the kernel: what touches the processor and the devices.
//!
//! Purpose: safe faces on boot state, traps, ring 3, frames, page tables, user
//! copies, clocks and devices, so that everything above can forbid `unsafe`.
//! [`hardware::Hardware`] implements the port of `kernel/core`. Neighbours:
//! `vmm/machine` gives the addresses, `kernel/src` drives. One processor.
//!
//! In boot order:
//! - [`boot`]: both entries, start info, memory map, command line.
//! - [`cpu`]: descriptor tables, control registers, protections.
//! - [`trap`], [`user`]: into ring 3 and back.
//! - [`frames`], [`heap`], [`paging`], [`usercopy`]: memory.
//! - [`clock`], [`apic`]: time and interrupts.
//! - [`serial`], [`exit`], [`virtio`], [`backtrace`]: the world outside, last words.

#![no_std]
#![cfg(target_arch = "x86_64")]

extern crate alloc;

pub mod apic;
pub mod backtrace;
mod bases;
pub mod boot;
pub mod clock;
pub mod cpu;
pub mod exit;
pub mod frames;
pub mod hardware;
pub mod heap;
pub mod paging;
pub mod serial;
pub mod trap;
pub mod user;
pub mod usercopy;
pub mod virtio;

use mayfly_machine::layout;

/// Pointer into the direct map for a guest-physical address.
pub(crate) fn direct<T>(physical: u64) -> *mut T {
    (layout::DIRECT_MAP_BASE + physical) as *mut T
}

/// Pointer to the field at `offset` of what `base` points at.
pub(crate) const fn field<T, F>(base: *mut T, offset: usize) -> *mut F {
    base.cast::<u8>().wrapping_add(offset).cast()
}

/// Guest-physical address behind a pointer into the kernel image or the direct
/// map.
pub(crate) fn physical<T: ?Sized>(pointer: *const T) -> u64 {
    let address = pointer.cast::<u8>() as u64;
    if address >= layout::KERNEL_BASE {
        address - layout::KERNEL_BASE
    } else {
        address - layout::DIRECT_MAP_BASE
    }
}

//! Return addresses by frame pointers, for last words.
//!
//! The kernel is built with frame pointers; the host finds names and lines.

use core::arch::asm;

use crate::boot::STACK_SIZE;
use crate::{direct, physical};

unsafe extern "C" {
    static boot_stack_top: [u8; 0];
}

/// Fills `addresses` with return addresses from here outwards.
pub fn here(addresses: &mut [u64]) {
    let frame_pointer: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame_pointer, options(nomem, nostack)) };
    from(frame_pointer, addresses);
}

/// Fills `addresses` with return addresses from `frame_pointer` outwards.
/// Only words on the kernel's stack are looked at.
pub fn from(mut frame_pointer: u64, addresses: &mut [u64]) {
    let top = direct::<u8>(physical(&raw const boot_stack_top)) as u64;
    let stack = top - STACK_SIZE as u64..top - 15;
    for address in addresses {
        if !stack.contains(&frame_pointer) || !frame_pointer.is_multiple_of(8) {
            return;
        }
        let frame = frame_pointer as *const [u64; 2];
        // SAFETY: both words lie on the kernel's stack, which is always mapped.
        let [next, return_address] = unsafe { frame.read_volatile() };
        *address = return_address;
        if next <= frame_pointer {
            return;
        }
        frame_pointer = next;
    }
}

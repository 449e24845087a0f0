//! A kernel of its own: says so on COM1, and ends the machine.

#![no_std]
#![no_main]

use core::arch::{asm, naked_asm};
use core::panic::PanicInfo;

use mayfly_machine::{boot, exit, layout};

/// The data register of COM1.
const COM1: u16 = 0x3f8;

/// Offers the direct entry: 64-bit mode, memory mapped, no stack yet.
#[repr(C, packed(4))]
struct Note {
    owner_size: u32,
    content_size: u32,
    kind: u32,
    owner: [u8; 8],
    version: u64,
    entry: unsafe extern "C" fn() -> !,
    direct_map: u64,
}

#[used]
#[unsafe(link_section = ".note.mayfly")]
static NOTE: Note = Note {
    owner_size: 7,
    content_size: 24,
    kind: boot::NOTE_DIRECT,
    owner: *b"Mayfly\0\0",
    version: boot::DIRECT_VERSION,
    entry: _start,
    direct_map: layout::DIRECT_MAP_BASE,
};

static mut STACK: [u8; 16 << 10] = [0; 16 << 10];

/// The first instructions: a stack, then Rust. RBX has the start info.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "lea rsp, [rip + {stack} + 16384]",
        "call {main}",
        stack = sym STACK,
        main = sym main,
    )
}

extern "C" fn main() -> ! {
    for byte in *b"hello from a kernel of your own\n" {
        // SAFETY: a byte to COM1 changes nothing in this program.
        unsafe { asm!("out dx, al", in("dx") COM1, in("al") byte) }
    }
    end(exit::EXIT_DONE)
}

fn end(code: u32) -> ! {
    loop {
        // SAFETY: the machine ends here.
        unsafe { asm!("out dx, eax", in("dx") exit::EXIT_PORT, in("eax") code) }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    end(exit::EXIT_PANIC)
}

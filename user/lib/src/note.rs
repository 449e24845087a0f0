//! The ELF note that names a program's interface.
//!
//! Purpose: a kernel that serves several interfaces reads here which one the
//! program speaks. Neighbours: `entry.rs` places one in each ELF program; the
//! kernel's loader reads it. A PE32+ file needs none: it is XenevaOS.

use mayfly_abi::Abi;

/// An ELF note: owner "Mayfly", type 1, one 32-bit word that is
/// [`Abi::code`].
#[derive(Debug)]
#[repr(C, align(4))]
pub struct Note {
    owner_size: u32,
    content_size: u32,
    kind: u32,
    owner: [u8; 8],
    content: u32,
}

impl Note {
    /// The note for an interface.
    pub const fn new(abi: Abi) -> Self {
        Self {
            owner_size: 7,
            content_size: 4,
            kind: 1,
            owner: *b"Mayfly\0\0",
            content: abi.code() as u32,
        }
    }
}

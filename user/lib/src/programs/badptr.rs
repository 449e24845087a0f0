//! Addresses that no call may accept.
//!
//! Purpose: the list of bad addresses, and a call that is compared by its error
//! code. Neighbours: which calls take an address and what they answer is a fact
//! of each interface, in its own `badptr.rs`.

use core::fmt;

use crate::check::Checks;
use crate::system::System;

/// Bytes that a call is asked to read or write at a bad address.
pub const LENGTH: u64 = 16;

/// A bad address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Zero.
    Null,
    /// In the first page, where nothing is mapped.
    Low,
    /// In the lower half, where nothing is mapped.
    Unmapped,
    /// The last bytes of the image and the unmapped ones after it.
    Straddling,
    /// The last bytes below the kernel half and the first above.
    LowerEnd,
    /// The first that is not canonical.
    NonCanonical,
    /// In the middle of the hole.
    Hole,
    /// The first of the kernel half.
    Kernel,
    /// Where kernels are usually linked.
    KernelImage,
    /// So high that the range wraps.
    Wrapping,
}

impl Bad {
    /// All of them.
    pub const ALL: [Bad; 10] = [
        Bad::Null,
        Bad::Low,
        Bad::Unmapped,
        Bad::Straddling,
        Bad::LowerEnd,
        Bad::NonCanonical,
        Bad::Hole,
        Bad::Kernel,
        Bad::KernelImage,
        Bad::Wrapping,
    ];

    /// The address; 8-aligned.
    pub fn address(self) -> u64 {
        match self {
            Bad::Null => 0,
            Bad::Low => 8,
            Bad::Unmapped => 0x1234_5678_9000,
            Bad::Straddling => image_end() - LENGTH / 2,
            Bad::LowerEnd => 0x8000_0000_0000 - LENGTH / 2,
            Bad::NonCanonical => 0x8000_0000_0000,
            Bad::Hole => 1 << 63,
            Bad::Kernel => 0xffff_8000_0000_0000,
            Bad::KernelImage => 0xffff_ffff_8000_0000,
            Bad::Wrapping => LENGTH.wrapping_neg() + LENGTH / 2,
        }
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} {:#x}", self.address())
    }
}

/// First byte after an ELF image; other images have nothing to straddle.
fn image_end() -> u64 {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            #[link_name = "image_end"]
            static IMAGE_END: u8;
        }
        // The linker script defines it; it is never read.
        (&raw const IMAGE_END).expose_provenance() as u64
    }
    #[cfg(not(target_os = "none"))]
    {
        Bad::Unmapped.address()
    }
}

/// Makes a call with bad words and compares its error code with `wanted`.
pub fn refuse<S: System>(
    checks: &mut Checks<'_, S>,
    number: u64,
    arguments: [u64; 6],
    wanted: u32,
) {
    let name = S::ABI.row(number).map_or("?", |row| row.name);
    // SAFETY: a call that refuses its arguments writes nowhere; one that does
    // not is what this program is there to find.
    let result = unsafe { S::call(number, arguments) };
    let [a1, a2, a3, a4, ..] = arguments;
    checks.error(
        format_args!("{name}({a1:#x}, {a2:#x}, {a3:#x}, {a4:#x})"),
        S::error(result),
        wanted,
    );
}

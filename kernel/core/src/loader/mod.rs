//! Executables: what an image asks for, whatever its format.
//!
//! A loader only reads: it checks the image and lists segments. The process is
//! built from that list (`kernel/load.rs`). A file that does not lie in one
//! piece is read through [`Pieces`].

mod elf;
mod part;
mod pe;

pub use part::{Part, Pieces};

use alloc::vec::Vec;

use mayfly_abi::Abi;
use object::read::ReadRef;

use crate::port::Access;

/// An executable that can be loaded.
#[derive(Debug)]
pub struct Image {
    /// Interface that the image names: PE32+ is Xeneva, an ELF note says which.
    pub abi: Option<Abi>,
    /// Address of its first instruction.
    pub entry: u64,
    /// Its parts, in ascending order of their addresses.
    pub segments: Vec<Segment>,
}

/// Most parts of an executable: a linker makes a few, a file may claim 65,535.
const SEGMENTS_MAX: usize = 256;

/// A part of an executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of its first byte.
    pub address: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Offset of its first byte in the file.
    pub file_offset: u64,
    /// Bytes in the file; the rest of its memory is zero.
    pub file_size: u64,
    /// What a program may do with it.
    pub access: Access,
}

/// Why an executable cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// It is neither ELF64 nor PE32+.
    UnknownFormat,
    /// It is for another machine, or needs what this kernel does not offer
    /// (relocation).
    Unsupported,
    /// It needs an interpreter.
    Interpreter,
    /// A segment is both writable and executable, which its ABI forbids.
    WritableCode,
    /// A header points outside the file or contradicts another one.
    Malformed,
    /// A segment lies outside the user half, or two overlap.
    OutOfRange,
}

impl ImageError {
    /// In words.
    pub const fn describe(self) -> &'static str {
        match self {
            ImageError::UnknownFormat => "the file is neither ELF64 nor PE32+",
            ImageError::Unsupported => "the executable is for another machine, or is relocatable",
            ImageError::Interpreter => "the executable needs a dynamic linker",
            ImageError::WritableCode => "a segment is both writable and executable",
            ImageError::Malformed => {
                "the executable's headers point outside the file, or are too many"
            }
            ImageError::OutOfRange => "a segment lies outside user memory or overlaps another",
        }
    }
}

/// Reads an executable's headers.
///
/// # Errors
/// [`ImageError`].
pub fn read(file: &[u8]) -> Result<Image, ImageError> {
    read_from(file, file, file.len() as u64)
}

/// Reads the headers of a file of `length` bytes that begins with `start`.
fn read_from<'a>(start: &[u8], file: impl ReadRef<'a>, length: u64) -> Result<Image, ImageError> {
    let image = match start {
        [0x7f, b'E', b'L', b'F', ..] => elf::read(file)?,
        [b'M', b'Z', ..] => pe::read(file)?,
        _ => return Err(ImageError::UnknownFormat),
    };
    check(length, image)
}

/// Checks what holds for every format: segments within the file, ascending.
fn check(length: u64, image: Image) -> Result<Image, ImageError> {
    let mut free = 1;
    for segment in &image.segments {
        let file_end = segment.file_offset.checked_add(segment.file_size);
        if file_end.is_none_or(|end| end > length) || segment.file_size > segment.memory_size {
            return Err(ImageError::Malformed);
        }
        let end = segment.address.checked_add(segment.memory_size);
        match end {
            Some(end) if segment.address >= free && end <= crate::port::USER_END => free = end,
            _ => return Err(ImageError::OutOfRange),
        }
    }
    if image.segments.is_empty() {
        return Err(ImageError::Malformed);
    }
    Ok(image)
}

#[cfg(test)]
mod tests;

//! Executables that lie in pieces: files that were written, and user memory.
//!
//! Only what the headers say is copied for the reading: a look that needs more
//! than there is says what, and is made again once that was added.

use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::Range;

use object::read::ReadRef;

use super::{Image, ImageError, read_from};

/// Most pieces of a file that are looked at.
const PIECES_MAX: usize = 8;
/// Largest piece: no header, table or note that a kernel reads is longer.
const PIECE_MAX: u64 = 16 << 10;
/// Bytes of the first piece: most files have all their headers there.
const FIRST: u64 = 1024;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first byte.
    pub at: u64,
    /// Its length.
    pub length: usize,
}

/// What is known of a file.
#[derive(Debug)]
pub struct Pieces {
    pieces: Vec<(u64, Vec<u8>)>,
    length: u64,
}

impl Pieces {
    /// Nothing is known yet of a file of `length` bytes.
    pub fn new(length: u64) -> Self {
        Self {
            pieces: Vec::new(),
            length,
        }
    }

    /// Reads the headers; `add` is asked for parts of the file until they are
    /// all there.
    ///
    /// # Errors
    /// Those of `add`; what is wrong with the file is inside.
    pub fn read<E>(
        mut self,
        mut add: impl FnMut(Part) -> Result<Vec<u8>, E>,
    ) -> Result<Result<Image, ImageError>, E> {
        let mut wanted = Some((0, FIRST.min(self.length)));
        loop {
            if let Some((at, length)) = wanted {
                let length = usize::try_from(length).unwrap_or(0);
                self.pieces.push((at, add(Part { at, length })?));
            }
            let missing = Cell::new(None);
            let start = self.pieces.first().map_or(&[][..], |(_, bytes)| bytes);
            let view = View {
                file: &self,
                missing: &missing,
            };
            let image = read_from(start, view, self.length);
            wanted = missing.get();
            if wanted.is_none() || self.pieces.len() == PIECES_MAX {
                return Ok(image);
            }
        }
    }
}

/// A file as the parser sees it.
#[derive(Clone, Copy)]
struct View<'a> {
    file: &'a Pieces,
    /// The part of the file that was asked for and is not there.
    missing: &'a Cell<Option<(u64, u64)>>,
}

impl<'a> ReadRef<'a> for View<'a> {
    fn len(self) -> Result<u64, ()> {
        Ok(self.file.length)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        let mut found = self.file.pieces.iter().filter_map(|(at, bytes)| {
            let from = usize::try_from(offset.checked_sub(*at)?).ok()?;
            bytes.get(from..)?.get(..usize::try_from(size).ok()?)
        });
        let bytes = found.next();
        let end = offset.checked_add(size);
        if bytes.is_none() && size <= PIECE_MAX && end.is_some_and(|end| end <= self.file.length) {
            self.missing.set(Some((offset, size)));
        }
        bytes.ok_or(())
    }

    /// No format that is read here asks for this.
    fn read_bytes_at_until(self, _: Range<u64>, _: u8) -> Result<&'a [u8], ()> {
        Err(())
    }
}

//! Executables as they should be and as they should not.
//!
//! - `elf`, `pe`: what one format says, and every way to get it wrong.
//! - `hostile`: any bytes at all, against the invariants of `check`.

mod elf;
mod hostile;
mod pe;

use super::{Image, ImageError, read};
use crate::port::USER_END;

/// What the rest of the kernel relies on in an accepted image.
fn assert_sound(file: &[u8], image: &Image) {
    assert!(!image.segments.is_empty());
    let mut free = 1;
    for segment in &image.segments {
        let file_end = segment.file_offset.checked_add(segment.file_size);
        assert!(file_end.unwrap() <= file.len() as u64, "{segment:?}");
        assert!(segment.file_size <= segment.memory_size, "{segment:?}");
        assert!(segment.address >= free, "{segment:?} overlaps or is null");
        free = segment.address.checked_add(segment.memory_size).unwrap();
        assert!(free <= USER_END, "{segment:?}");
    }
}

/// Reads every prefix of a file: an error, or a sound image.
fn read_all_prefixes(file: &[u8]) -> usize {
    let accepted = (0..file.len()).filter(|length| {
        let prefix = &file[..*length];
        read(prefix)
            .inspect(|image| assert_sound(prefix, image))
            .is_ok()
    });
    accepted.count()
}

#[test]
fn a_file_of_no_known_format_is_refused() {
    for file in [&b""[..], b"\x7fEL", b"M", b"#!/bin/sh\n", &[0; 64]] {
        assert_eq!(read(file).unwrap_err(), ImageError::UnknownFormat);
    }
}

#[test]
fn a_magic_number_alone_is_malformed() {
    for file in [&b"\x7fELF"[..], b"MZ"] {
        assert_eq!(read(file).unwrap_err(), ImageError::Malformed);
    }
}

#[test]
fn every_refusal_has_words_of_its_own() {
    use ImageError::{Malformed, OutOfRange, UnknownFormat, Unsupported};
    let all = [UnknownFormat, Unsupported, Malformed, OutOfRange];
    let words: std::collections::HashSet<_> = all.map(ImageError::describe).into();
    assert_eq!(words.len(), all.len());
}

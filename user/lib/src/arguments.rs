//! The arguments of a program, and numbers in them.
//!
//! Purpose: one view of `argc` and `argv`, wherever an interface puts them.
//! Neighbours: `entry.rs` above; each interface's `begin` makes one.

use core::ffi::{CStr, c_char};

/// Arguments of this process, the program's own name first.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    vector: &'static [*const c_char],
}

impl Arguments {
    /// Arguments from a vector of pointers to strings.
    ///
    /// # Safety
    /// `vector` is 8-aligned and points to `count` pointers (or `count` is 0),
    /// each to a NUL-terminated string; all of them stay as they are for the
    /// rest of the process's life.
    pub unsafe fn new(count: usize, vector: *const *const c_char) -> Self {
        if count == 0 || vector.is_null() {
            return Self { vector: &[] };
        }
        // SAFETY: the caller says that `vector` points to `count` pointers
        // which never change.
        let vector = unsafe { core::slice::from_raw_parts(vector, count) };
        Self { vector }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.vector.len()
    }

    /// Whether there is none, not even a name.
    pub fn is_empty(&self) -> bool {
        self.vector.is_empty()
    }

    /// Argument `index`, without its NUL.
    pub fn get(&self, index: usize) -> Option<&'static [u8]> {
        Some(self.text(index)?.to_bytes())
    }

    /// Argument `index`, with its NUL.
    pub fn text(&self, index: usize) -> Option<&'static CStr> {
        let text = *self.vector.get(index)?;
        // SAFETY: `new` was told that each pointer is to a NUL-terminated
        // string which never changes.
        Some(unsafe { CStr::from_ptr(text) })
    }

    /// Argument `index` as a number, if it is one.
    pub fn number(&self, index: usize) -> Option<u64> {
        number(self.get(index)?)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static [u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// Reads a number: decimal, or hexadecimal after `0x`; a leading `-` negates
/// modulo 2^64, so that `-1` is an exit status or a very high address.
pub fn number(text: &[u8]) -> Option<u64> {
    if let Some(magnitude) = text.strip_prefix(b"-") {
        return number(magnitude).map(u64::wrapping_neg);
    }
    let (digits, radix) = match text.strip_prefix(b"0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = char::from(digit).to_digit(radix)?;
        value
            .checked_mul(u64::from(radix))?
            .checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(strings: &'static [&'static CStr; 3]) -> Arguments {
        extern crate std;
        let vector = std::vec::Vec::leak(strings.iter().map(|text| text.as_ptr()).collect());
        // SAFETY: three pointers to static strings, in memory that is never freed.
        unsafe { Arguments::new(vector.len(), vector.as_ptr()) }
    }

    #[test]
    fn arguments_come_in_order() {
        let arguments = arguments(&[c"name", c"", c"0x10"]);
        assert_eq!(arguments.len(), 3);
        assert!(arguments.iter().eq([&b"name"[..], &b""[..], &b"0x10"[..]]));
        assert_eq!(arguments.number(2), Some(16));
        assert_eq!(arguments.number(0), None);
        assert_eq!(arguments.get(3), None);
    }

    #[test]
    fn a_missing_vector_is_empty() {
        // SAFETY: a null vector is not read.
        let arguments = unsafe { Arguments::new(2, core::ptr::null()) };
        assert!(arguments.is_empty());
        assert_eq!(arguments.get(0), None);
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"1000"), Some(1000));
        assert_eq!(number(b"0xFFFF8000dead0000"), Some(0xffff_8000_dead_0000));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"-1"), Some(u64::MAX));
    }

    #[test]
    fn anything_else_is_no_number() {
        for text in ["", "-", "0x", "12a", "0xg", " 1", "18446744073709551616"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }
}

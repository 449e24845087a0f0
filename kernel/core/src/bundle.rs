//! Bundles: the files that the host hands over with the kernel.
//!
//! A bundle is a boot module (`harness/src/image.rs` builds it): a header page
//! or more with an index, then every file's contents at a page boundary, padded
//! with zeros. Contents are mapped into programs where they lie.
//!
//! ```text
//! 0   magic "MYBUND02"   8  count u32   12  zero u32   16  size u64
//! 64  entries of 128 bytes, by name: name [u8; 96], offset u64, size u64,
//!     flags u32, zero u32, FNV-1a hash u64
//! ```

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::port::{PAGE_SIZE, PageFrame};

const MAGIC: &[u8; 8] = b"MYBUND02";
const INDEX: usize = 64;
const ENTRY: usize = 128;
const NAME: usize = 96;
/// What names are compared by, in bytes.
const WORD: usize = size_of::<u64>();

/// A file of a bundle.
#[derive(Clone, Copy, Debug)]
pub struct BundleFile {
    /// Its contents.
    pub contents: &'static [u8],
    /// Frame of its first page; the others follow.
    pub first: PageFrame,
}

/// The bundles of this boot; a later one shadows an earlier one's names.
#[derive(Debug, Default)]
pub struct Bundles {
    modules: Vec<Bundle>,
}

#[derive(Clone, Copy, Debug)]
struct Bundle {
    bytes: &'static [u8],
    first: PageFrame,
}

/// A module is not a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotABundle;

impl Bundles {
    /// Adds a module that starts at frame `first`.
    ///
    /// # Errors
    /// [`NotABundle`] when its header is not one.
    pub fn add(&mut self, bytes: &'static [u8], first: PageFrame) -> Result<(), NotABundle> {
        let magic = bytes.first_chunk::<8>().ok_or(NotABundle)?;
        if magic != MAGIC {
            return Err(NotABundle);
        }
        self.modules.push(Bundle { bytes, first });
        Ok(())
    }

    /// Every file with its name; an earlier bundle's first.
    pub fn iter(&self) -> impl Iterator<Item = (&'static [u8], BundleFile)> {
        self.modules.iter().flat_map(|bundle| bundle.iter())
    }

    /// Every file of the bundle that was added last, with its name.
    pub fn newest(&self) -> impl Iterator<Item = (&'static [u8], BundleFile)> + use<> {
        let newest = self.modules.last().copied();
        newest.into_iter().flat_map(Bundle::iter)
    }

    /// Finds a file by name.
    pub fn find(&self, name: &str) -> Option<BundleFile> {
        self.modules
            .iter()
            .rev()
            .find_map(|bundle| bundle.find(name.as_bytes()))
    }
}

impl Bundle {
    fn entries(self) -> impl Iterator<Item = &'static [u8]> {
        let count = word32(self.bytes, 8).unwrap_or(0) as usize;
        let index = self.bytes.get(INDEX..).unwrap_or_default();
        index.chunks_exact(ENTRY).take(count)
    }

    fn iter(self) -> impl Iterator<Item = (&'static [u8], BundleFile)> {
        self.entries().filter_map(move |entry| {
            let name = entry.get(..NAME)?;
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
            Some((&name[..end], self.file(entry)?))
        })
    }

    /// Halves the index until the name is there: a bundle that does not have
    /// them in their order hides some of its own files, no more.
    fn find(self, name: &[u8]) -> Option<BundleFile> {
        if name.len() > NAME || name.last().is_none_or(|byte| *byte == 0) {
            return None;
        }
        let count = word32(self.bytes, 8)? as usize;
        let (entries, _) = self.bytes.get(INDEX..)?.as_chunks::<ENTRY>();
        let entries = entries.get(..count)?;
        let mut padded = [0; NAME];
        padded[..name.len()].copy_from_slice(name);
        // As far as to a zero behind it, if there is room for one.
        let wanted = &padded.as_chunks().0[..(name.len() + 1).div_ceil(WORD).min(NAME / WORD)];
        let at = entries
            .binary_search_by(|entry| by_name(entry, wanted))
            .ok()?;
        self.file(&entries[at])
    }

    fn file(self, entry: &[u8]) -> Option<BundleFile> {
        let offset = word64(entry, NAME)?;
        let size = usize::try_from(word64(entry, NAME + 8)?).ok()?;
        let start = usize::try_from(offset).ok()?;
        let contents = self.bytes.get(start..start.checked_add(size)?)?;
        (offset % PAGE_SIZE == 0).then_some(BundleFile {
            contents,
            first: PageFrame(self.first.0 + offset / PAGE_SIZE),
        })
    }
}

/// Where the name of an entry, which zeros follow, stands to the wanted one. By
/// words: names begin alike, and a search meets many.
fn by_name(entry: &[u8; ENTRY], wanted: &[[u8; WORD]]) -> Ordering {
    for (word, wanted) in entry.as_chunks().0.iter().zip(wanted) {
        if word != wanted {
            return u64::from_be_bytes(*word).cmp(&u64::from_be_bytes(*wanted));
        }
    }
    Ordering::Equal
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(files: &[(&str, &[u8])]) -> &'static [u8] {
        let mut bytes = vec![0; 4096 * (1 + files.len())];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = u8::try_from(files.len()).unwrap();
        for (index, (name, contents)) in files.iter().enumerate() {
            let entry = INDEX + index * ENTRY;
            let offset = 4096 * (index + 1);
            bytes[entry..entry + name.len()].copy_from_slice(name.as_bytes());
            bytes[entry + NAME..][..8].copy_from_slice(&(offset as u64).to_le_bytes());
            bytes[entry + NAME + 8..][..8].copy_from_slice(&(contents.len() as u64).to_le_bytes());
            bytes[offset..offset + contents.len()].copy_from_slice(contents);
        }
        bytes.leak()
    }

    #[test]
    fn files_are_found_by_whole_name_with_their_frame() {
        let mut bundles = Bundles::default();
        let bytes = image(&[("hell", b"three"), ("hello", b"one")]);
        bundles.add(bytes, PageFrame(100)).unwrap();
        let file = bundles.find("hell").unwrap();
        assert_eq!((file.contents, file.first), (&b"three"[..], PageFrame(101)));
        for name in [
            "hel",
            "hell\0",
            "hellp",
            "hello ",
            "",
            "a",
            "z",
            &"h".repeat(97),
        ] {
            assert!(bundles.find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn each_of_many_files_is_found() {
        let mut names: Vec<String> = (0..16).map(|number| format!("file-{number}")).collect();
        names.extend((NAME - 9..=NAME).map(|length| "f".repeat(length)));
        names.extend(["file-00000000".into(), "file-7\u{ff}".into()]);
        names.sort();
        let files: Vec<(&str, &[u8])> = names
            .iter()
            .map(|name| (&name[..], name.as_bytes()))
            .collect();
        let mut bundles = Bundles::default();
        bundles.add(image(&files), PageFrame(1)).unwrap();
        for name in &names {
            assert_eq!(bundles.find(name).unwrap().contents, name.as_bytes());
        }
    }

    #[test]
    fn an_index_without_order_or_end_hides_files_only() {
        let mut bytes = image(&[("z", b"1"), ("a", b"2")]).to_vec();
        bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut bundles = Bundles::default();
        bundles.add(bytes.leak(), PageFrame(1)).unwrap();
        assert!(bundles.find("a").is_none() && bundles.find("z").is_none());
    }

    #[test]
    fn a_later_bundle_shadows_an_earlier_one() {
        let mut bundles = Bundles::default();
        bundles.add(image(&[("a", b"old")]), PageFrame(1)).unwrap();
        bundles.add(image(&[("a", b"new")]), PageFrame(9)).unwrap();
        assert_eq!(bundles.find("a").unwrap().contents, b"new");
    }

    #[test]
    fn what_is_not_a_bundle_is_refused_and_a_bad_entry_is_no_file() {
        assert_eq!(
            Bundles::default().add(b"MYBUND", PageFrame(1)),
            Err(NotABundle)
        );
        let mut bytes = image(&[("a", b"x")]).to_vec();
        bytes[INDEX + NAME + 8..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let mut bundles = Bundles::default();
        bundles.add(bytes.leak(), PageFrame(1)).unwrap();
        assert!(bundles.find("a").is_none());
    }
}

//! A snapshot on disk: its memory at the beginning, so that it can be mapped.
//!
//! Then the state, the caller's label, and a footer with the lengths and two
//! checksums. Nothing in the file is trusted: a file that was cut, changed or
//! written by another version is refused with the reason. Pages of zeros are
//! left out on writing and do not count in the checksum, so that it does not
//! matter how a file system keeps holes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crc32fast::Hasher;
use mayfly_machine::layout::{PAGE_BYTES, PAGE_SIZE};

use super::ram::extents;
use super::{Snapshot, State};
use crate::Error;
use crate::module::Module;

/// First word of the footer, and the version of all that lies before it.
const MAGIC: u64 = u64::from_le_bytes(*b"mayfsnp1");
/// Words of the footer: magic, RAM, state and label in bytes, two checksums.
const FOOTER_WORDS: usize = 6;
const FOOTER: u64 = FOOTER_WORDS as u64 * 8;
/// Most bytes that a state or a label may have.
const PART_MAX: u64 = 64 << 20;
/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// Lengths and checksums.
struct Footer {
    ram: u64,
    state: u64,
    label: u64,
    ram_sum: u64,
    /// Of state, label and the words above.
    rest_sum: u64,
}

impl Snapshot {
    /// Writes the snapshot to an empty file, with a label of the caller's.
    pub fn save(&self, file: &File, label: &[u8]) -> Result<(), Error> {
        let state = postcard::to_stdvec(&*self.state).map_err(damaged)?;
        let ram = self.state.ram_bytes;
        file.set_len(ram).map_err(Error::host("ftruncate"))?;
        let mut footer = Footer {
            ram,
            state: state.len() as u64,
            label: label.len() as u64,
            ram_sum: each_page(&self.ram, ram, |at, page| {
                file.write_all_at(page, at).map_err(Error::host("pwrite"))
            })?,
            rest_sum: 0,
        };
        footer.rest_sum = footer.sum(&state, label);
        let tail = [state.as_slice(), label, &footer.bytes()].concat();
        file.write_all_at(&tail, ram).map_err(Error::host("pwrite"))
    }

    /// Reads a snapshot that was saved, and its label. `modules` are those that
    /// the machine had. Nobody may change the file while it is in use.
    pub fn load(file: File, modules: Vec<Module>) -> Result<(Self, Vec<u8>), Error> {
        let length = file.metadata().map_err(Error::host("fstat"))?.len();
        let footer = Footer::read(&file, length)?;
        let state = read_part(&file, footer.ram, footer.state)?;
        let label = read_part(&file, footer.ram + footer.state, footer.label)?;
        if footer.sum(&state, &label) != footer.rest_sum {
            return Err(damaged("its state does not match its checksum"));
        }
        if each_page(&file, footer.ram, |_, _| Ok(()))? != footer.ram_sum {
            return Err(damaged("its memory does not match its checksum"));
        }
        let state: State = postcard::from_bytes(&state).map_err(damaged)?;
        if state.ram_bytes != footer.ram {
            return Err(damaged("its state tells of another memory"));
        }
        let mut sizes = Vec::with_capacity(modules.len());
        for module in &modules {
            sizes.push(module.mapping().map_err(damaged)?.1);
        }
        if sizes != state.modules {
            return Err(damaged("it was made with other modules"));
        }
        let snapshot = Self {
            ram: Arc::new(file),
            modules,
            state: Arc::new(state),
        };
        Ok((snapshot, label))
    }
}

impl Footer {
    fn read(file: &File, length: u64) -> Result<Self, Error> {
        let at = length.checked_sub(FOOTER);
        let at = at.ok_or_else(|| damaged("it is too short"))?;
        let bytes = read_part(file, at, FOOTER)?;
        let word = |index: usize| {
            let word = bytes.chunks_exact(8).nth(index);
            let word = word.and_then(<[u8]>::first_chunk);
            word.map_or(0, |word| u64::from_le_bytes(*word))
        };
        if word(0) != MAGIC {
            return Err(damaged(
                "it does not end as a snapshot of this version does",
            ));
        }
        let footer = Self {
            ram: word(1),
            state: word(2),
            label: word(3),
            ram_sum: word(4),
            rest_sum: word(5),
        };
        let parts = [footer.ram, footer.state, footer.label];
        let sum = parts
            .iter()
            .try_fold(0_u64, |sum, part| sum.checked_add(*part));
        let aligned = footer.ram.is_multiple_of(PAGE_SIZE);
        if sum != Some(at) || !aligned || footer.state.max(footer.label) > PART_MAX {
            return Err(damaged("its parts do not add up to its length"));
        }
        Ok(footer)
    }

    fn words(&self) -> [u64; FOOTER_WORDS] {
        [
            MAGIC,
            self.ram,
            self.state,
            self.label,
            self.ram_sum,
            self.rest_sum,
        ]
    }

    fn bytes(&self) -> Vec<u8> {
        self.words().map(u64::to_le_bytes).concat()
    }

    fn sum(&self, state: &[u8], label: &[u8]) -> u64 {
        let mut hasher = Hasher::new();
        for word in &self.words()[..FOOTER_WORDS - 1] {
            hasher.update(&word.to_le_bytes());
        }
        hasher.update(state);
        hasher.update(label);
        hasher.finalize().into()
    }
}

/// Visits the pages of a file's first `size` bytes that are not all zeros;
/// their checksum, places included.
fn each_page(
    file: &File,
    size: u64,
    mut visit: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; CHUNK];
    for (start, end) in extents(file, size)? {
        // Whole pages, whatever a file system's blocks are.
        let (mut at, end) = (start - start % PAGE_SIZE, end.next_multiple_of(PAGE_SIZE));
        while at < end {
            let count = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let part = &mut buffer[..count];
            file.read_exact_at(part, at).map_err(Error::host("pread"))?;
            for page in part.chunks(PAGE_BYTES) {
                if page.iter().any(|byte| *byte != 0) {
                    hasher.update(&at.to_le_bytes());
                    hasher.update(page);
                    visit(at, page)?;
                }
                at += page.len() as u64;
            }
        }
    }
    Ok(hasher.finalize().into())
}

fn read_part(file: &File, at: u64, length: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; usize::try_from(length).map_err(damaged)?];
    file.read_exact_at(&mut bytes, at)
        .map_err(Error::host("pread"))?;
    Ok(bytes)
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::Snapshot(format!("the file cannot be used: {why}"))
}

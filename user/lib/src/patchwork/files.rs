//! Names of files on PatchworkOS: what is there, and what is to go.
//!
//! Purpose: the calls that take paths, and the structures they fill in
//! (`specs/patchwork.md` §3, §5). Neighbours: `patchwork.rs` has the calls on
//! open files.

use core::ffi::CStr;

use mayfly_abi::patchwork::{Errno, nr};

use super::{call, outcome};

/// Bytes of a `stat_t`, and words of its first part.
const STAT: usize = 168;
const STAT_WORDS: usize = STAT / 8;
/// Bytes of a `dirent_t`.
pub const DIRENT: usize = 272;

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat([u64; STAT_WORDS]);

impl Stat {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.0[0]
    }

    /// It is a directory.
    pub fn is_directory(&self) -> bool {
        self.0[1] & 0xffff_ffff == 1
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.0[2]
    }

    /// Blocks that it takes.
    pub fn blocks(&self) -> u64 {
        self.0[3]
    }

    /// How many names it has.
    pub fn links(&self) -> u64 {
        self.0[4]
    }

    /// When it was read, written, changed and made, in seconds since 1970.
    pub fn times(&self) -> [u64; 4] {
        [self.0[5], self.0[6], self.0[7], self.0[8]]
    }

    /// Its name, in a buffer of the caller's.
    pub fn name<'a>(&self, buffer: &'a mut [u8; 32]) -> &'a [u8] {
        for (bytes, word) in buffer.chunks_exact_mut(8).zip(&self.0[9..]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        until_nul(buffer)
    }
}

/// Asks what is known of a file.
///
/// # Errors
/// Those of `STAT` (§5).
pub fn stat(path: &CStr) -> Result<Stat, Option<Errno>> {
    let mut stat = [0; STAT_WORDS];
    let out = stat.as_mut_ptr().expose_provenance() as u64;
    outcome(call(nr::STAT, address(path), out, 0))?;
    Ok(Stat(stat))
}

/// Gives a file a second name.
///
/// # Errors
/// Those of `LINK` (§5).
pub fn link(old: &CStr, new: &CStr) -> Result<u64, Option<Errno>> {
    outcome(call(nr::LINK, address(old), address(new), 0))
}

/// Takes a name away, and the file with its last one.
///
/// # Errors
/// Those of `REMOVE` (§5).
pub fn remove(path: &CStr) -> Result<u64, Option<Errno>> {
    outcome(call(nr::REMOVE, address(path), 0, 0))
}

/// Makes a directory the working directory.
///
/// # Errors
/// Those of `CHDIR` (§5).
pub fn chdir(path: &CStr) -> Result<u64, Option<Errno>> {
    outcome(call(nr::CHDIR, address(path), 0, 0))
}

/// Shows an open file in the place of another one.
///
/// # Errors
/// Those of `BIND` (§5).
pub fn bind(source: u64, target: &CStr) -> Result<u64, Option<Errno>> {
    outcome(call(nr::BIND, source, address(target), 0))
}

/// Places of an open file are told from where it is.
pub const CURRENT: u8 = 1;

/// Moves to another place of an open file; where that is.
///
/// # Errors
/// Those of `SEEK` (§5).
pub fn seek(fd: u64, offset: i64, origin: u8) -> Result<u64, Option<Errno>> {
    outcome(call(
        nr::SEEK,
        fd,
        offset.cast_unsigned(),
        u64::from(origin),
    ))
}

/// Reads entries of an open directory; the part of the buffer that has some,
/// which is empty at the end. [`entry`] reads each of its [`DIRENT`] bytes.
///
/// # Errors
/// Those of `GETDENTS` (§5).
pub fn entries(fd: u64, buffer: &mut [u8]) -> Result<&[u8], Option<Errno>> {
    let out = buffer.as_mut_ptr().expose_provenance() as u64;
    let count = outcome(call(nr::GETDENTS, fd, out, buffer.len() as u64))?;
    let count = usize::try_from(count).map_or(0, |count| count.min(buffer.len()));
    Ok(&buffer[..count])
}

/// The name in a `dirent_t`, and whether it is a directory's.
pub fn entry(dirent: &[u8]) -> (&[u8], bool) {
    let name = dirent.get(12..).unwrap_or_default();
    (until_nul(name), dirent.get(8) == Some(&1))
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn address(path: &CStr) -> u64 {
    path.as_ptr().expose_provenance() as u64
}

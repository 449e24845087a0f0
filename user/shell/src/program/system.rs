//! Files and processes of PatchworkOS, in words of Rust.
//!
//! Neighbours: `mayfly_user::patchwork` has the calls.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mayfly_abi::patchwork::Errno;
use mayfly_user::patchwork::{self, files, spawn_flags};
use mayfly_wire::terminal::LINE_MAX;

/// What a call says; an error number that the interface has.
pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// Bytes that are read or written at once.
pub(crate) const CHUNK: usize = patchwork::PIPE_PART;
/// Most bytes of a file that a shell takes whole, and most names of a directory:
/// with what is made of them, less than its memory.
const TEXT_MAX: usize = 512 << 10;
const NAMES_MAX: usize = 10_000;
/// Bytes of a script that are read at once, if what is too much can be undone.
const PIECE_MAX: usize = 256;

fn known<T>(result: core::result::Result<T, Option<Errno>>) -> Result<T> {
    result.map_err(|errno| errno.unwrap_or(Errno::EIO))
}

fn path(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Errno::EINVAL)
}

/// An open file; it is closed when this goes.
#[derive(Debug)]
pub(crate) struct File(u64);

impl File {
    /// Opens a file; flags stand behind a colon.
    pub(crate) fn open(name: &str) -> Result<Self> {
        known(patchwork::open(&path(name)?)).map(Self)
    }

    /// Both ends of a new pipe: to read, and to write.
    pub(crate) fn pipe() -> Result<[Self; 2]> {
        known(patchwork::open2(c"/dev/pipe/new")).map(|ends| ends.map(Self))
    }

    /// Another descriptor of what a standard one leads to.
    pub(crate) fn copy_of(fd: u64) -> Result<Self> {
        known(patchwork::dup(fd)).map(Self)
    }

    /// Makes a standard descriptor lead where this one does.
    pub(crate) fn become_stream(&self, stream: u64) -> Result<()> {
        known(patchwork::dup2(self.0, stream)).map(drop)
    }

    pub(crate) fn fd(&self) -> u64 {
        self.0
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        write(self.0, bytes)
    }

    /// Reads all there is, as text, unless that is more than a shell has room
    /// for.
    pub(crate) fn text(&self) -> Result<String> {
        let text = self.beginning(TEXT_MAX)?;
        match text.len() > TEXT_MAX {
            true => Err(Errno::EFBIG),
            false => Ok(text),
        }
    }

    /// Reads all there is, as text, or little more than so many bytes.
    pub(crate) fn beginning(&self, most: usize) -> Result<String> {
        let mut bytes = Vec::new();
        let mut chunk = [0; CHUNK];
        while bytes.len() <= most {
            match known(patchwork::read(self.0, &mut chunk))? {
                0 => break,
                count => bytes.extend(&chunk[..count]),
            }
        }
        Ok(text(bytes))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // It was open, and is not any more, whatever this says.
        let _closed = patchwork::close(self.0);
    }
}

/// Writes all of some bytes.
pub(crate) fn write(fd: u64, bytes: &[u8]) -> Result<()> {
    for part in bytes.chunks(CHUNK) {
        known(patchwork::write(fd, part))?;
    }
    Ok(())
}

/// Reads some bytes; none at the end.
pub(crate) fn read(fd: u64, buffer: &mut [u8]) -> Result<usize> {
    known(patchwork::read(fd, buffer))
}

/// Lines of standard input. What a line does not take, programs may read: where
/// there is no going back, no byte is read behind it.
#[derive(Debug)]
pub(crate) struct Lines {
    piece: usize,
    /// Lines that were read.
    pub(crate) count: usize,
}

/// What became of a line that was to be read.
#[derive(Debug)]
pub(crate) enum Next {
    Line(String),
    /// There are no more.
    End,
    /// It is longer than lines may be, and was not read to its end.
    TooLong,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let goes_back = files::seek(patchwork::STDIN, 0, files::CURRENT).is_ok();
        let piece = if goes_back { PIECE_MAX } else { 1 };
        Self { piece, count: 0 }
    }

    pub(crate) fn next(&mut self) -> Next {
        self.count += 1;
        let mut bytes = Vec::new();
        let mut piece = [0; PIECE_MAX];
        while bytes.len() <= LINE_MAX {
            let read = match read(patchwork::STDIN, &mut piece[..self.piece]) {
                Ok(0) | Err(_) if bytes.is_empty() => return Next::End,
                Ok(0) | Err(_) => return Next::Line(text(bytes)),
                Ok(count) => &piece[..count],
            };
            let Some(at) = read.iter().position(|it| *it == b'\n') else {
                bytes.extend(read);
                continue;
            };
            bytes.extend(&read[..at]);
            let behind = i64::try_from(read.len() - at - 1).unwrap_or(0);
            if behind > 0 {
                // It went forward, so it can go back.
                let _place = files::seek(patchwork::STDIN, -behind, files::CURRENT);
            }
            return match bytes.len() > LINE_MAX {
                true => Next::TooLong,
                false => Next::Line(text(bytes)),
            };
        }
        Next::TooLong
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
}

/// All of a file, as text.
pub(crate) fn text_of(name: &str) -> Result<String> {
    File::open(name)?.text()
}

/// Writes into a file that is opened so.
pub(crate) fn write_to(name: &str, bytes: &[u8]) -> Result<()> {
    File::open(name)?.write(bytes)
}

/// What is known of a file.
pub(crate) fn stat(name: &str) -> Result<files::Stat> {
    known(files::stat(&path(name)?))
}

/// Names in a directory, and whether they are directories'.
pub(crate) fn list(name: &str) -> Result<Vec<(String, bool)>> {
    let name = if name.is_empty() { "." } else { name };
    let directory = File::open(&format!("{name}:directory"))?;
    let mut names = Vec::new();
    let (mut few, mut many) = ([0; files::DIRENT * 15], Vec::new());
    let mut was_full = false;
    loop {
        // The kernel goes through a directory from its beginning each time.
        let buffer = match was_full {
            true => {
                many.resize(files::DIRENT * 120, 0);
                &mut many[..]
            }
            false => &mut few[..],
        };
        let most = buffer.len();
        let entries = known(files::entries(directory.fd(), buffer))?;
        if entries.is_empty() {
            return Ok(names);
        }
        for dirent in entries.chunks_exact(files::DIRENT) {
            let (name, is_directory) = files::entry(dirent);
            if name != b"." && name != b".." {
                names.push((String::from_utf8_lossy(name).into_owned(), is_directory));
            }
        }
        if names.len() > NAMES_MAX {
            return Err(Errno::EFBIG);
        }
        was_full = was_full || entries.len() == most;
    }
}

pub(crate) fn change_directory(name: &str) -> Result<()> {
    known(files::chdir(&path(name)?)).map(drop)
}

pub(crate) fn remove(name: &str) -> Result<()> {
    known(files::remove(&path(name)?)).map(drop)
}

pub(crate) fn bind(source: &File, target: &str) -> Result<()> {
    known(files::bind(source.0, &path(target)?)).map(drop)
}

/// Starts a program with the standard streams as they are now; its id.
/// `suspended`: it waits for `start` in its control file.
pub(crate) fn spawn(words: &[String], suspended: bool) -> Result<u64> {
    let words: Result<Vec<CString>> = words.iter().map(|word| path(word)).collect();
    let words = words?;
    let mut array: Vec<usize> = words
        .iter()
        .map(|word| word.as_ptr().expose_provenance())
        .collect();
    array.push(0);
    let flags = match suspended {
        true => spawn_flags::STDIO_FDS | spawn_flags::SUSPEND,
        false => spawn_flags::STDIO_FDS,
    };
    known(patchwork::spawn_array(&array, flags))
}

/// What a file can do without waiting: reading is 1, writing 2.
pub(crate) fn ready(fd: u64, events: u32) -> Result<u32> {
    known(patchwork::poll(fd, events, 0))
}

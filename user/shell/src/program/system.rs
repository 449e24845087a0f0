//! Files and processes of PatchworkOS, in words of Rust.
//!
//! Neighbours: `mayfly_user::patchwork` has the calls.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mayfly_abi::patchwork::Errno;
use mayfly_user::patchwork::{self, files, spawn_flags};

/// What a call says; an error number that the interface has.
pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// Bytes that are read or written at once.
pub(crate) const CHUNK: usize = patchwork::PIPE_PART;

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

    /// Reads all there is, as text.
    pub(crate) fn text(&self) -> Result<String> {
        let mut bytes = Vec::new();
        let mut chunk = [0; CHUNK];
        loop {
            match known(patchwork::read(self.0, &mut chunk))? {
                0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                count => bytes.extend(&chunk[..count]),
            }
        }
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

/// Reads a line of standard input, and no byte more; false at the end.
pub(crate) fn read_line(line: &mut String) -> bool {
    let mut bytes = Vec::new();
    let mut byte = [0];
    loop {
        match read(patchwork::STDIN, &mut byte) {
            Ok(1) if byte[0] == b'\n' => break,
            Ok(1) => bytes.push(byte[0]),
            _ if bytes.is_empty() => return false,
            _ => break,
        }
    }
    line.push_str(&String::from_utf8_lossy(&bytes));
    true
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
    let mut buffer = [0; files::DIRENT * 15];
    loop {
        let entries = known(files::entries(directory.fd(), &mut buffer))?;
        if entries.is_empty() {
            return Ok(names);
        }
        for dirent in entries.chunks_exact(files::DIRENT) {
            let (name, is_directory) = files::entry(dirent);
            if name != b"." && name != b".." {
                names.push((String::from_utf8_lossy(name).into_owned(), is_directory));
            }
        }
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

/// Why a call failed, in words.
pub(crate) fn describe(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => "no such file or directory",
        Errno::EACCES => "not allowed",
        Errno::EISDIR => "it is a directory",
        Errno::ENOTDIR => "it is no directory",
        Errno::EEXIST => "it exists already",
        Errno::ENOTEMPTY => "the directory is not empty",
        Errno::ENOMEM => "no memory is left",
        Errno::EMFILE => "too many files are open",
        Errno::EINVAL => "the name has a character that a path cannot have",
        Errno::ENAMETOOLONG => "the name is too long",
        Errno::EBADFLAG => "there is no such flag behind the colon",
        Errno::ENOSYS => "this file cannot do that",
        Errno::EBADF => "it was not opened for that",
        Errno::EPIPE => "nobody reads it any more",
        Errno::EINTR => "interrupted",
        Errno::E2BIG => "too many words",
        other => other.name(),
    }
}

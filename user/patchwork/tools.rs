//! Small tools for the files of PatchworkOS, in one program.
//!
//! The tool is the first argument, or the program's own name when it is called
//! by one (`specs/patchwork.md` §14 describes those of PatchworkOS):
//!
//! - `cat [-hex] [FILES]`: writes files, or standard input.
//! - `grep WORD`: lines of standard input that have a word, which is red; 1 if none.
//! - `link OLD NEW`, `mv OLD NEW`, `rm PATH`: names of files.
//! - `ls [DIRECTORY]`: what is there, in columns.
//! - `stat PATH`: all that is known of a file.
//! - `touch PATH`: opens a file; `PATH:create` makes it.
//!
//! What fails is said on standard output, and the status is -1.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ffi::CStr;
use core::fmt::{self, Write as _};

use mayfly_abi::patchwork::Errno;
use mayfly_user::console::{Bytes, Console};
use mayfly_user::patchwork::files::{self, DIRENT};
use mayfly_user::patchwork::{
    PIPE_PART, STDIN, STDOUT, close, map, open, poll, read, unmap, write,
};
use mayfly_user::{Patchwork, Process, System as _, say};

mayfly_user::program!(Patchwork, run);

/// Most operands of a tool.
const OPERANDS_MAX: usize = 16;
/// Longest path, its terminator included.
const PATH_MAX: usize = 256;
const EXIT_FAILURE: i32 = -1;

/// A tool: its operands in, its status out.
type Tool = fn(&[&'static CStr]) -> Result<i32, Failure>;

/// What failed, and why.
struct Failure {
    operand: &'static CStr,
    error: Option<Errno>,
}

/// Says what a failure was about.
fn about<T>(operand: &'static CStr, result: Result<T, Option<Errno>>) -> Result<T, Failure> {
    result.map_err(|error| Failure { operand, error })
}

fn run(process: &Process<Patchwork>) -> i32 {
    let arguments = process.arguments();
    let called = arguments.get(0).unwrap_or_default();
    let called = called.rsplit(|byte| *byte == b'/').next();
    let chosen = (0..2).find_map(|index| {
        let word = if index == 0 { called } else { arguments.get(1) };
        Some((word?, tool(word?)?, index + 1))
    });
    let Some((name, tool, first)) = chosen else {
        say!(process, "tools: cat, grep, link, ls, mv, rm, stat, touch");
        return EXIT_FAILURE;
    };
    let mut operands = [c""; OPERANDS_MAX];
    let given = arguments.len().saturating_sub(first);
    for (place, index) in operands.iter_mut().zip(first..arguments.len()) {
        *place = arguments.text(index).unwrap_or(c"");
    }
    let done = match operands.get(..given) {
        Some(operands) => tool(operands),
        None => Err(Failure {
            operand: c"operands",
            error: Some(Errno::E2BIG),
        }),
    };
    match done {
        Ok(status) => status,
        Err(Failure { operand, error }) => {
            let (name, operand) = (Bytes(name), Bytes(operand.to_bytes()));
            say!(process, "{name}: {operand}: {}", Reason(error));
            EXIT_FAILURE
        }
    }
}

fn tool(name: &[u8]) -> Option<Tool> {
    Some(match name {
        b"cat" => cat,
        b"grep" => grep,
        b"link" => |operands| name_two(operands, false),
        b"ls" => ls,
        b"mv" => |operands| name_two(operands, true),
        b"rm" => rm,
        b"stat" => stat,
        b"touch" => touch,
        _ => return None,
    })
}

fn cat(operands: &[&'static CStr]) -> Result<i32, Failure> {
    let (hexadecimal, paths) = match operands.split_first() {
        Some((first, rest)) if *first == c"-hex" => (true, rest),
        _ => (false, operands),
    };
    if paths.is_empty() {
        about(c"standard input", copy(STDIN, hexadecimal))?;
    }
    for path in paths {
        let file = about(path, open(path))?;
        about(path, copy(file, hexadecimal))?;
        about(path, close(file))?;
    }
    Ok(0)
}

/// Copies a file to standard output.
fn copy(file: u64, hexadecimal: bool) -> Result<(), Option<Errno>> {
    let mut buffer = [0; PIPE_PART];
    let mut column = 0;
    let mut console = Console::<Patchwork>::new();
    loop {
        let count = read(file, &mut buffer)?;
        match &buffer[..count] {
            [] => break,
            bytes if hexadecimal => {
                for byte in bytes {
                    column = column % 16 + 1;
                    let end = if column == 16 { '\n' } else { ' ' };
                    // A console takes everything.
                    let _ = write!(console, "{byte:02x}{end}");
                }
            }
            bytes => write_all(bytes)?,
        }
    }
    if column % 16 != 0 {
        console.push(b"\n");
    }
    console.flush();
    Ok(())
}

fn write_all(mut bytes: &[u8]) -> Result<(), Option<Errno>> {
    while !bytes.is_empty() {
        let taken = write(STDOUT, &bytes[..bytes.len().min(PIPE_PART)])?;
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        bytes = bytes.get(taken..).unwrap_or_default();
    }
    Ok(())
}

fn grep(operands: &[&'static CStr]) -> Result<i32, Failure> {
    let [word] = *operands else {
        return Err(wants_operands());
    };
    let mut buffer = [0; 4096];
    let (mut used, mut found) = (0, false);
    loop {
        let end = buffer.len().min(used + PIPE_PART);
        let count = about(c"standard input", read(STDIN, &mut buffer[used..end]))?;
        used += count;
        let mut start = 0;
        while let Some(length) = buffer[start..used].iter().position(|byte| *byte == b'\n') {
            found |= show(&buffer[start..start + length], word.to_bytes());
            start += length + 1;
        }
        if count == 0 || (start == 0 && used == buffer.len()) {
            // The last line has no end, or a line is longer than any should be.
            found |= used > start && show(&buffer[start..used], word.to_bytes());
            start = used;
        }
        buffer.copy_within(start..used, 0);
        used -= start;
        if count == 0 {
            return Ok(i32::from(!found));
        }
    }
}

/// Prints a line that has a word, each time in red; false if it has none.
fn show(mut line: &[u8], word: &[u8]) -> bool {
    let place = |line: &[u8]| match word {
        [] => None,
        word => line.windows(word.len()).position(|part| part == word),
    };
    if place(line).is_none() {
        return false;
    }
    let mut console = Console::<Patchwork>::new();
    while let Some(at) = place(line) {
        console.push(&line[..at]);
        console.push(b"\x1b[31m");
        console.push(word);
        console.push(b"\x1b[0m");
        line = &line[at + word.len()..];
    }
    console.push(line);
    console.push(b"\n");
    console.flush();
    true
}

fn name_two(operands: &[&'static CStr], moves: bool) -> Result<i32, Failure> {
    let [old, new] = *operands else {
        return Err(wants_operands());
    };
    about(old, files::link(old, new))?;
    if moves {
        about(old, files::remove(old))?;
    }
    Ok(0)
}

fn rm(operands: &[&'static CStr]) -> Result<i32, Failure> {
    for path in operands {
        about(path, files::remove(path))?;
    }
    Ok(0)
}

fn touch(operands: &[&'static CStr]) -> Result<i32, Failure> {
    for path in operands {
        let file = about(path, open(path))?;
        about(path, close(file))?;
    }
    Ok(0)
}

fn stat(operands: &[&'static CStr]) -> Result<i32, Failure> {
    for path in operands {
        let stat = about(path, files::stat(path))?;
        let mut name = [0; 32];
        let mut console = Console::<Patchwork>::new();
        let name = Bytes(stat.name(&mut name));
        let kind = ["file", "directory"][usize::from(stat.is_directory())];
        let [accessed, modified, changed, created] = stat.times();
        // A console takes everything.
        let _ = writeln!(console, "name      {name}\nnumber    {}", stat.number());
        let _ = writeln!(console, "type      {kind}\nsize      {}", stat.size());
        let _ = writeln!(
            console,
            "blocks    {}\nlinks     {}",
            stat.blocks(),
            stat.links()
        );
        let _ = writeln!(console, "accessed  {accessed}\nmodified  {modified}");
        let _ = writeln!(console, "changed   {changed}\ncreated   {created}");
        console.flush();
    }
    Ok(0)
}

/// Bytes of the mapping that entries are read into.
const LISTING: u64 = 64 << 10;
/// READ and WRITE (§3).
const READ_WRITE: u64 = 3;

fn ls(operands: &[&'static CStr]) -> Result<i32, Failure> {
    let path = operands.first().copied().unwrap_or(c".");
    let mut flagged = [0; PATH_MAX];
    let directory = about(path, with_flag(path, &mut flagged).and_then(open))?;
    let zero = about(c"/dev/zero", open(c"/dev/zero"))?;
    let start = about(c"/dev/zero", map(zero, LISTING, READ_WRITE))?;
    let length = usize::try_from(LISTING).unwrap_or(0);
    // SAFETY: just mapped, to read and to write, for nobody else.
    let buffer = unsafe { core::slice::from_raw_parts_mut(start as *mut u8, length) };
    let width = width();
    loop {
        match about(path, files::entries(directory, buffer))? {
            [] => break,
            entries => columns(entries, width),
        }
    }
    // SAFETY: the entries are not used any more.
    about(c"/dev/zero", unsafe { unmap(start, LISTING) })?;
    Ok(0)
}

/// `path:directory`.
fn with_flag<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a CStr, Option<Errno>> {
    let mut bytes = path.to_bytes().iter().chain(b":directory\0");
    buffer.fill_with(|| bytes.next().copied().unwrap_or(0));
    match bytes.next() {
        Some(_) => Err(Some(Errno::ENAMETOOLONG)),
        None => CStr::from_bytes_until_nul(buffer).map_err(|_| Some(Errno::EINVAL)),
    }
}

/// Prints the names that do not begin with a dot.
fn columns(entries: &[u8], width: usize) {
    let names = || {
        let entries = entries.chunks_exact(DIRENT).map(files::entry);
        entries.filter(|(name, _)| !name.starts_with(b"."))
    };
    let longest = names().map(|(name, _)| name.len() + 1).max().unwrap_or(0);
    let across = (width / (longest + 1)).max(1);
    let count = names().count();
    let mut console = Console::<Patchwork>::new();
    for (index, (name, is_directory)) in (1..).zip(names()) {
        console.push(name);
        console.push(if is_directory { b"/" } else { b"" });
        if index % across == 0 || index == count {
            console.push(b"\n");
            continue;
        }
        for _ in name.len() + usize::from(is_directory)..=longest {
            console.push(b" ");
        }
    }
    console.flush();
}

/// Width of a terminal that does not say.
const WIDTH: usize = 80;
/// How long a terminal may take to say, in nanoseconds.
const PATIENCE: u64 = 500_000_000;
const IN: u32 = 1;

/// Columns of the terminal: if standard input is open and silent, one may be
/// behind it, and is asked where its cursor can go.
fn width() -> usize {
    if poll(STDIN, IN, 0) != Ok(0) {
        return WIDTH;
    }
    Patchwork::write(b"\x1b[999C\x1b[6n");
    let mut reply = [0; 32];
    let mut used = 0;
    while poll(STDIN, IN, PATIENCE) == Ok(IN) {
        match read(STDIN, &mut reply[used..]) {
            Ok(1..) if reply.contains(&b'R') => break,
            Ok(count @ 1..) => used += count,
            _ => break,
        }
    }
    Patchwork::write(b"\r");
    column(&reply).unwrap_or(WIDTH)
}

/// The column in a reply such as `ESC [ 24 ; 80 R`.
fn column(reply: &[u8]) -> Option<usize> {
    let reply = reply.split(|byte| *byte == b'R').next()?;
    let number = reply.rsplit(|byte| *byte == b';').next()?;
    core::str::from_utf8(number).ok()?.parse().ok()
}

fn wants_operands() -> Failure {
    Failure {
        operand: c"operands",
        error: Some(Errno::EINVAL),
    }
}

/// An error number in words.
struct Reason(Option<Errno>);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(Errno::ENOENT) => "no such file or directory",
            Some(Errno::EISDIR) => "is a directory",
            Some(Errno::ENOTDIR) => "not a directory",
            Some(Errno::EEXIST) => "file exists",
            Some(Errno::ENOTEMPTY) => "directory not empty",
            Some(Errno::E2BIG) => "too many",
            Some(error) => error.name(),
            None => "unknown error",
        })
    }
}

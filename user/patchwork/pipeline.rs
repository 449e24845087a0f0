//! Runs a program as the shell of PatchworkOS does.
//!
//! Purpose: a pipe for its output, standard descriptors only, a POLL that
//! waits for output and end at once (`specs/patchwork.md` §14). The program's
//! output is printed, its exit status is returned. Arguments: PROGRAM ARGS;
//! with `kill` before them, the program is killed as soon as it was made.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ffi::CStr;

use mayfly_abi::patchwork::{Errno, nr};
use mayfly_user::system::System;
use mayfly_user::{Patchwork, Process, patchwork};

mayfly_user::program!(Patchwork, run);

/// Most arguments that are passed on.
const MOST: usize = 12;
/// Ready to be read.
const IN: u64 = 1;
/// For ever.
const NEVER: u64 = u64::MAX;

type Result<T> = core::result::Result<T, Option<Errno>>;

fn run(process: &Process<Patchwork>) -> i32 {
    let arguments = process.arguments();
    let kill = arguments.get(1) == Some(b"kill");
    let from = if kill { 2 } else { 1 };
    let mut program = [c""; MOST];
    let count = arguments.len().saturating_sub(from).min(MOST);
    for (index, place) in program[..count].iter_mut().enumerate() {
        *place = arguments.text(from + index).unwrap_or(c"");
    }
    match pipeline(&program[..count], kill) {
        Ok(status) => status,
        Err(error) => error.map_or(-1, |error| error.code().cast_signed()),
    }
}

fn pipeline(program: &[&CStr], kill: bool) -> Result<i32> {
    let [reader, writer] = patchwork::open2(c"/dev/pipe/new")?;
    let own = patchwork::dup(patchwork::STDOUT)?;
    patchwork::dup2(writer, patchwork::STDOUT)?;
    patchwork::close(writer)?;
    let child = patchwork::spawn(program, patchwork::spawn_flags::STDIO_FDS);
    patchwork::dup2(own, patchwork::STDOUT)?;
    patchwork::close(own)?;
    let child = child?;
    let wait = open(child, b"/wait\0")?;
    if kill {
        let control = open(child, b"/ctl\0")?;
        patchwork::write(control, b"kill")?;
        patchwork::close(control)?;
    }
    let mut open = true;
    loop {
        let asked = [wait, IN, reader, IN];
        let mut polled = asked;
        let count = if open { 2 } else { 1 };
        let address = polled.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: the call writes into the array.
        unsafe { Patchwork::call(nr::POLL, [address, count, NEVER, 0, 0, 0]) };
        if open && polled[3] >> 32 != 0 {
            // Output comes before the end; no output is the end of it.
            open = copy(reader)?;
        } else if polled[1] >> 32 != 0 {
            return status(wait);
        }
    }
}

/// Opens a file of a process; `name` ends with a NUL.
fn open(process: u64, name: &[u8]) -> Result<u64> {
    let mut path = *b"/proc/00000000000000000000/wait\0";
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = process;
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let digits = &digits[at..];
    let end = 6 + digits.len();
    path[6..end].copy_from_slice(digits);
    path[end..end + name.len()].copy_from_slice(name);
    let path = CStr::from_bytes_until_nul(&path);
    patchwork::open(path.map_err(|_| Some(Errno::EINVAL))?)
}

/// Prints what is in the pipe now; false at its end.
fn copy(reader: u64) -> Result<bool> {
    let mut buffer = [0; 512];
    let count = patchwork::read(reader, &mut buffer)?;
    patchwork::write(patchwork::STDOUT, &buffer[..count])?;
    Ok(count > 0)
}

/// The status that a `wait` says.
fn status(wait: u64) -> Result<i32> {
    let mut text = [0; 16];
    let count = patchwork::read(wait, &mut text)?;
    let text = core::str::from_utf8(&text[..count]).ok();
    let status = text.and_then(|text| text.parse().ok());
    status.ok_or(Some(Errno::EINVAL))
}

//! Starts children, with pipes as their standard streams.
//!
//! The first argument says what is done:
//!
//! - `collect FLAGS PROGRAM ARGS`: starts PROGRAM with its output in a pipe, and
//!   prints what came out of it.
//! - `plain FLAGS PROGRAM ARGS`: starts PROGRAM as it is, and waits for its end.
//! - `many N PROGRAM ARGS`: starts PROGRAM N times, one after the other's end.
//! - `through TEXT`: sends TEXT through a child that copies its input.
//! - `filled TEXT PROGRAM ARGS`: starts PROGRAM with TEXT in a pipe as its input
//!   and its output in another, and prints what came out of that.
//! - `written PROGRAM ARGS`: copies PROGRAM to `/tmp/written`, and collects that.
//! - `copy`: copies standard input to standard output.
//! - `deep N`: a child does the same with one less, until none is left.
//! - `orphan PROGRAM ARGS`: starts PROGRAM, and ends at once with status 3.
//! - `wait FLAGS PROGRAM ARGS`: starts PROGRAM, and waits for ever.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::ffi::CStr;

use mayfly_abi::patchwork::Errno;
use mayfly_user::check::Checks;
use mayfly_user::{Patchwork, Process, patchwork};

mayfly_user::program!(Patchwork, run);

/// Most arguments that are passed on.
const MOST: usize = 12;
const STDIN: u64 = 0;
const STDOUT: u64 = 1;

type Result<T> = core::result::Result<T, Option<Errno>>;

fn run(process: &Process<Patchwork>) -> i32 {
    let mut checks = Checks::new(process, "spawn");
    match perform(process) {
        Ok(Some(status)) => return status,
        Ok(None) => checks.holds(format_args!("an argument says what to do"), false),
        Err(error) => checks.holds(format_args!("{error:?}"), false),
    }
    checks.finish()
}

/// Does what the arguments say; the exit status, if they say something.
fn perform(process: &Process<Patchwork>) -> Result<Option<i32>> {
    let arguments = process.arguments();
    let number = |index| arguments.number(index).unwrap_or(0);
    let flags = u32::try_from(number(2)).unwrap_or(0);
    let mut rest = [c""; MOST];
    let from = match arguments.get(1) {
        Some(b"orphan" | b"written") => 2,
        _ => 3,
    };
    let count = arguments.len().saturating_sub(from).min(MOST);
    for (index, place) in rest[..count].iter_mut().enumerate() {
        *place = arguments.text(from + index).unwrap_or(c"");
    }
    let program = &mut rest[..count];
    match arguments.get(1).unwrap_or(b"") {
        b"collect" => collect(program, flags)?,
        b"plain" => {
            // The child's standard input is the only other end of this pipe.
            let [reader, writer] = patchwork::open2(c"/dev/pipe/new")?;
            with(STDIN, writer, || patchwork::spawn(program, flags))?;
            while patchwork::read(reader, &mut [0])? > 0 {}
        }
        b"many" => {
            for _ in 0..number(2) {
                collect(program, 0)?;
            }
        }
        b"filled" => filled(arguments.get(2).unwrap_or(b""), program)?,
        b"through" => through(arguments.get(2).unwrap_or(b""))?,
        b"written" => {
            let new = c"/tmp/written";
            if let Some(old) = program.first_mut() {
                let (from, to) = (
                    patchwork::open(old)?,
                    patchwork::open(c"/tmp/written:create")?,
                );
                copy(from, to)?;
                *old = new;
            }
            collect(program, 0)?;
        }
        b"copy" => copy(STDIN, STDOUT)?,
        b"deep" => {
            let name = c"/bin/patchwork-spawn";
            match number(2) {
                0 => drop(patchwork::write(STDOUT, b"bottom\n")?),
                9 => collect(&[name, c"deep", c"8"], 0)?,
                8 => collect(&[name, c"deep", c"2"], 0)?,
                2 => collect(&[name, c"deep", c"1"], 0)?,
                _ => collect(&[name, c"deep", c"0"], 0)?,
            }
        }
        b"orphan" => {
            patchwork::spawn(program, 0)?;
            return Ok(Some(3));
        }
        b"wait" => {
            patchwork::spawn(program, flags)?;
            patchwork::nanosleep(u64::MAX);
        }
        _ => return Ok(None),
    }
    Ok(Some(0))
}

/// Starts a program with its output in a pipe, and prints what comes out of it.
fn collect(program: &[&CStr], flags: u32) -> Result<()> {
    let [reader, writer] = patchwork::open2(c"/dev/pipe/new")?;
    with(STDOUT, writer, || patchwork::spawn(program, flags))?;
    copy(reader, STDOUT)?;
    patchwork::close(reader)?;
    Ok(())
}

/// Sends bytes through a child that copies its input to its output.
fn through(bytes: &[u8]) -> Result<()> {
    let [far, near] = patchwork::open2(c"/dev/pipe/new")?;
    let [reader, writer] = patchwork::open2(c"/dev/pipe/new")?;
    // With all descriptors the child would keep its own input open.
    let stdio = patchwork::spawn_flags::STDIO_FDS;
    let program = [c"/bin/patchwork-spawn", c"copy"];
    with(STDIN, far, || {
        with(STDOUT, writer, || patchwork::spawn(&program, stdio))
    })?;
    for byte in bytes {
        patchwork::write(near, core::slice::from_ref(byte))?;
    }
    patchwork::close(near)?;
    copy(reader, STDOUT)
}

/// Starts a program whose input is all there, and prints what it makes of it.
fn filled(bytes: &[u8], program: &[&CStr]) -> Result<()> {
    let [far, near] = patchwork::open2(c"/dev/pipe/new")?;
    patchwork::write(near, bytes)?;
    patchwork::close(near)?;
    with(STDIN, far, || collect(program, 0))
}

/// Does something while a standard descriptor is a file, which is closed then.
fn with<T>(fd: u64, file: u64, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = patchwork::dup(fd)?;
    patchwork::dup2(file, fd)?;
    patchwork::close(file)?;
    let done = work();
    patchwork::dup2(before, fd)?;
    patchwork::close(before)?;
    done
}

/// Copies a file to another until it ends.
fn copy(from: u64, to: u64) -> Result<()> {
    let mut buffer = [0; 2048];
    loop {
        match patchwork::read(from, &mut buffer)? {
            0 => return Ok(()),
            count => patchwork::write(to, &buffer[..count])?,
        };
    }
}

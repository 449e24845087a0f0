//! Makes processes on XenevaOS, waits for them, and gives them files.
//!
//! The first argument says what is done:
//!
//! - `run PROGRAM ARGS`: starts PROGRAM with the streams of this one, waits for
//!   its end, and prints `over`.
//! - `collect PROGRAM ARGS`: starts PROGRAM with its output in a pipe, waits for
//!   its end, and writes what came out of it.
//! - `many N PROGRAM ARGS`: `run`, N times, without a word.
//! - `wait PID`: prints `waits`, waits for that process, and prints `over`.
//! - `slots N`: makes N processes without an image, and ends.
//! - `none PROGRAM`: cannot start PROGRAM: what was to be it is over, and
//!   nothing is there to be reaped.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use core::ffi::{CStr, c_char};
use core::ptr;

use mayfly_user::check::Checks;
use mayfly_user::xeneva::{self, Failed};
use mayfly_user::{Process, Xeneva, say};

mayfly_user::program!(Xeneva, run);

/// Most arguments that are passed on.
const MOST: usize = 12;
const STDOUT: i32 = 1;
/// Modes of files.
const BOTH: u64 = 2 | 4;

fn run(process: &Process<Xeneva>) -> i32 {
    let mut checks = Checks::new(process, "processes");
    let done = perform(process, &mut checks);
    checks.holds(format_args!("services succeed"), done.is_ok());
    checks.status()
}

fn perform(process: &Process<Xeneva>, checks: &mut Checks<'_, Xeneva>) -> Result<(), Failed> {
    let arguments = process.arguments();
    let number = arguments.number(2).unwrap_or(0);
    let program = |at: usize| arguments.text(at).unwrap_or(c"");
    let mut vector = [ptr::null(); MOST];
    let mut rest = |from: usize| {
        let count = arguments.len().saturating_sub(from).min(MOST);
        for (index, place) in vector[..count].iter_mut().enumerate() {
            *place = program(from + index).as_ptr();
        }
        (vector, count)
    };
    match arguments.get(1).unwrap_or(b"") {
        b"run" => {
            let (vector, count) = rest(3);
            start(program(2), &vector[..count], None)?;
            say!(process, "over");
        }
        b"collect" => {
            let (vector, count) = rest(3);
            let pipe = xeneva::open_file(c"/dev/pipe/new", BOTH)?;
            start(program(2), &vector[..count], Some(pipe))?;
            let mut buffer = [0; 512];
            loop {
                match xeneva::read_file(pipe, &mut buffer) {
                    0 => break,
                    length => xeneva::write_file(STDOUT, &buffer[..length]),
                };
            }
        }
        b"many" => {
            let (vector, count) = rest(4);
            for _ in 0..number {
                start(program(3), &vector[..count], None)?;
            }
        }
        b"wait" => {
            say!(process, "waits");
            let pid = i32::from_le_bytes(*number.to_le_bytes().first_chunk().unwrap_or(&[0; 4]));
            xeneva::wait_for_termination(pid)?;
            say!(process, "over");
        }
        b"slots" => {
            for _ in 0..number {
                xeneva::create_process(c"nobody")?;
            }
        }
        b"none" => {
            let started = start(program(2), &[], None);
            checks.holds(format_args!("it does not start"), started.is_err());
            say!(process, "none");
        }
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    Ok(())
}

/// Starts a program and waits for its end.
fn start(path: &CStr, arguments: &[*const c_char], output: Option<i32>) -> Result<(), Failed> {
    let pid = xeneva::create_process(path)?;
    if let Some(fd) = output {
        xeneva::set_file_to_process(fd, STDOUT, pid)?;
    }
    let loaded = xeneva::load_exec(pid, path, arguments);
    // It is over, too, if it never began.
    xeneva::wait_for_termination(pid)?;
    loaded.map(|_| ())
}

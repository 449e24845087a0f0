//! Makes a process of an executable that is given to it as input.
//!
//! Purpose: programs of VeridianOS have no files (`specs/veridian.md` §9), so an
//! executable of another interface comes through the console: its length as 8
//! bytes, then the executable. The rest of the input is for the child, which is
//! granted the console and has this program's argument. Prints `made` before the
//! child starts, and ends with its exit code.
//! Neighbours: `user/lib/src/veridian/image.rs` is how programs start themselves.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::{ptr, slice};

use mayfly_abi::veridian::{SyscallError, nr};
use mayfly_user::check::Checks;
use mayfly_user::veridian::memory::{self, PAGE, map, prot};
use mayfly_user::veridian::process;
use mayfly_user::veridian::thread::FOREVER;
use mayfly_user::{Process, System as _, Veridian, say, veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

fn run(process: &Process<Veridian>) -> i32 {
    match make(process) {
        Ok(code) => code,
        Err(error) => {
            let mut checks = Checks::new(process, "maker");
            checks.holds(format_args!("{error:?}"), false);
            checks.finish()
        }
    }
}

/// Reads an executable, and runs it; its exit code.
fn make(us: &Process<Veridian>) -> Answer<i32> {
    let mut length = [0; 8];
    fill(&mut length)?;
    let length = u64::from_le_bytes(length);
    let room = length.next_multiple_of(PAGE);
    let flags = map::PRIVATE | map::ANONYMOUS;
    let start = memory::mmap(0, room, prot::READ | prot::WRITE, flags, None, 0)?;
    let [start, length] = [start, length].map(|word| usize::try_from(word).unwrap_or(0));
    let start = ptr::with_exposed_provenance_mut(start);
    // SAFETY: so many bytes were mapped there, for us alone.
    let image = unsafe { slice::from_raw_parts_mut(start, length) };
    fill(image)?;
    let arguments = us.arguments();
    let words = [0, 1].map(|at| arguments.get(at).unwrap_or(b""));
    let child = process::create(
        image,
        &words[..arguments.len().min(2)],
        &[veridian::console()],
    )?;
    say!(us, "made");
    process::start(child)?;
    Ok(process::wait(child, FOREVER)?.exit_code)
}

/// Reads until a buffer is full, or the input ends.
fn fill(mut buffer: &mut [u8]) -> Answer<()> {
    while !buffer.is_empty() {
        let place = buffer.as_mut_ptr().expose_provenance() as u64;
        let words = [veridian::console(), place, buffer.len() as u64, 0, 0, 0];
        // SAFETY: the buffer is lent, and as long as that.
        let count = unsafe { Veridian::call(nr::READ, words) };
        match usize::try_from(count).ok().filter(|count| *count > 0) {
            Some(count) if count <= buffer.len() => buffer = &mut buffer[count..],
            _ => return Err(None),
        }
    }
    Ok(())
}

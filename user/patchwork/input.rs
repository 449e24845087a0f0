//! Reads the standard input of PatchworkOS in the ways that programs do.
//!
//! Purpose: the other side of the tests of input from the host. `copy` writes
//! what it reads; `sum SIZE` says how many bytes came and what they add up to;
//! `slow` does that with pauses; `poll` waits with POLL before each read, `busy`
//! asks POLL without ever waiting; `close` closes it, says so and sleeps so many
//! milliseconds; anything else is no read at all.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::patchwork::Errno;
use mayfly_user::{Patchwork, Process, patchwork, say};

mayfly_user::program!(Patchwork, run);

/// Standard input.
const STDIN: u64 = 0;
/// POLL's bit for reading.
const IN: u32 = 1;
/// A time that does not end.
const NEVER: u64 = u64::MAX;
const MILLISECOND: u64 = 1_000_000;

fn run(process: &Process<Patchwork>) -> i32 {
    let arguments = process.arguments();
    let size = arguments.number(2).unwrap_or(2048);
    let done = match arguments.get(1) {
        Some(b"copy") => copy(),
        Some(b"sum") => sum(process, size, || Ok(())),
        Some(b"slow") => sum(process, size, pause),
        Some(b"poll") => sum(process, size, || {
            patchwork::poll(STDIN, IN, NEVER).map(drop)
        }),
        Some(b"busy") => sum(process, size, busy),
        Some(b"close") => close(process, size),
        _ => Ok(()),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            say!(process, "failed: {error:?}");
            1
        }
    }
}

/// Writes what it reads, as it comes.
fn copy() -> Result<(), Option<Errno>> {
    let mut buffer = [0; patchwork::PIPE_PART];
    loop {
        let bytes = read(&mut buffer)?;
        if bytes.is_empty() {
            return Ok(());
        }
        patchwork::write(patchwork::STDOUT, bytes)?;
    }
}

/// Reads to the end, each time after `before`; says what came.
fn sum(
    process: &Process<Patchwork>,
    size: u64,
    before: impl Fn() -> Result<(), Option<Errno>>,
) -> Result<(), Option<Errno>> {
    let mut buffer = [0; 16384];
    let size = usize::try_from(size)
        .unwrap_or(usize::MAX)
        .min(buffer.len());
    let (mut count, mut sum) = (0, 0u64);
    loop {
        before()?;
        let bytes = read(&mut buffer[..size])?;
        if bytes.is_empty() {
            say!(process, "{count} bytes, sum {sum:#x}");
            return Ok(());
        }
        count += bytes.len();
        // The order counts: the same bytes elsewhere add up to something else.
        sum = bytes.iter().fold(sum, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
        });
    }
}

fn pause() -> Result<(), Option<Errno>> {
    match patchwork::nanosleep(MILLISECOND) {
        Some(Errno::ETIMEDOUT) => Ok(()),
        error => Err(error),
    }
}

fn busy() -> Result<(), Option<Errno>> {
    while patchwork::poll(STDIN, IN, 0)? == 0 {}
    Ok(())
}

fn close(process: &Process<Patchwork>, milliseconds: u64) -> Result<(), Option<Errno>> {
    patchwork::close(STDIN)?;
    say!(process, "closed");
    patchwork::nanosleep(milliseconds * MILLISECOND);
    Ok(())
}

fn read(buffer: &mut [u8]) -> Result<&[u8], Option<Errno>> {
    let count = patchwork::read(STDIN, buffer)?;
    Ok(&buffer[..count])
}

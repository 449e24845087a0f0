//! Binds that parents and children pass on to each other.
//!
//! Arguments: `up FLAGS`: a child binds `/bin` over `/tmp` with FLAGS, and its
//! parent looks there. `down FLAGS`: the parent binds, and the child looks. What
//! was found is printed: `seen` or `unseen`. (`bind FLAGS` and `look` are what
//! the child does: it waits for a byte of a pipe first.)

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::patchwork::{ERR, Errno, nr};
use mayfly_user::{Patchwork, Process, System, patchwork, say};

mayfly_user::program!(Patchwork, run);

/// The ends of the pipes, which a child finds at the same descriptors.
const GO: [u64; 2] = [3, 4];
const DONE: [u64; 2] = [5, 6];

type Result<T> = core::result::Result<T, Option<Errno>>;

fn run(process: &Process<Patchwork>) -> i32 {
    match perform(process) {
        Ok(()) => 0,
        Err(error) => {
            say!(process, "{error:?}");
            1
        }
    }
}

fn perform(process: &Process<Patchwork>) -> Result<()> {
    let arguments = process.arguments();
    let flags = arguments.number(2).unwrap_or(0);
    let program = c"/bin/patchwork-propagate";
    match arguments.get(1).unwrap_or(b"") {
        b"bind" => {
            wait(GO)?;
            bind(flags)
        }
        b"look" => {
            wait(GO)?;
            look(process);
            Ok(())
        }
        b"up" => {
            pipes()?;
            let flags = arguments.text(2).unwrap_or(c"0");
            patchwork::spawn(&[program, c"bind", flags], 0)?;
            patchwork::write(GO[1], b"x")?;
            patchwork::close(DONE[1])?;
            wait(DONE)?;
            look(process);
            Ok(())
        }
        _ => {
            pipes()?;
            patchwork::spawn(&[program, c"look"], 0)?;
            bind(flags)?;
            patchwork::write(GO[1], b"x")?;
            patchwork::close(DONE[1])?;
            wait(DONE)
        }
    }
}

fn pipes() -> Result<()> {
    patchwork::open2(c"/dev/pipe/new")?;
    patchwork::open2(c"/dev/pipe/new").map(drop)
}

/// Waits for a byte, or the end.
fn wait([reader, _]: [u64; 2]) -> Result<()> {
    patchwork::read(reader, &mut [0]).map(drop)
}

fn bind(flags: u64) -> Result<()> {
    let source = patchwork::open(c"/bin:directory")?;
    let path = c"/tmp".as_ptr().expose_provenance() as u64;
    // SAFETY: the call writes nowhere.
    let bound = unsafe { Patchwork::call(nr::BIND, [source, path, flags, 0, 0, 0]) };
    match bound {
        ERR => Err(Errno::from_code(patchwork::errno())),
        _ => Ok(()),
    }
}

fn look(process: &Process<Patchwork>) {
    let seen = patchwork::open(c"/tmp/patchwork-propagate").is_ok();
    say!(process, "{}", if seen { "seen" } else { "unseen" });
}

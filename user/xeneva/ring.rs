//! Hands a token around, on XenevaOS, and starts a ring of all interfaces.
//!
//! Purpose: the memory is a segment, whose key is the fourth argument. With
//! `start ROUNDS` it makes the segment, starts a member of each other interface,
//! and is the first member itself. Neighbours: `user/lib/src/programs/ring.rs`.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use core::ffi::{CStr, c_char};

use mayfly_user::arguments::Arguments;
use mayfly_user::programs::ring::{self, Member, Token};
use mayfly_user::xeneva::{self, Failed, memory};
use mayfly_user::{Process, Xeneva, say};

mayfly_user::program!(Xeneva, run);

/// Key of the segment, and what its file is called.
const KEY: u16 = 119;
const FILE: &CStr = c"/dev/shmem/119";
/// Mode of that file: to be read and written.
const BOTH: u64 = 6;

struct Ring;

impl Member for Ring {
    type System = Xeneva;

    fn memory(arguments: &Arguments) -> Option<&'static Token> {
        let key = u16::try_from(arguments.number(4)?).ok()?;
        let id = memory::create_shared(key, 0).ok()?;
        let place = memory::obtain_shared(id).ok()?;
        // SAFETY: a page was mapped there for good; all who use it use atomics.
        Some(unsafe { place.cast::<Token>().as_ref() })
    }

    fn give_way() {
        // Whoever cannot sleep asks again.
        let _ = xeneva::process_sleep(1);
    }
}

fn run(process: &Process<Xeneva>) -> i32 {
    let arguments = process.arguments();
    match arguments.get(1) {
        Some(b"start") => match start(arguments.text(2).unwrap_or(c"")) {
            Ok(()) => {
                say!(process, "over");
                0
            }
            Err(Failed) => 1,
        },
        _ => ring::run::<Ring>(process),
    }
}

/// Makes the memory, starts three members, and waits for their ends.
fn start(rounds: &CStr) -> Result<(), Failed> {
    memory::create_shared(KEY, 4096)?;
    let file = xeneva::open_file(FILE, BOTH)?;
    let members = [
        (c"/bin/xeneva-ring.exe", [c"0", c"3", rounds, c"119"]),
        (c"/bin/patchwork-ring.exe", [c"1", c"3", rounds, FILE]),
        (c"/bin/veridian-ring.exe", [c"2", c"3", rounds, c""]),
    ];
    let mut slots = [0; 3];
    for (slot, (path, _)) in slots.iter_mut().zip(members) {
        *slot = xeneva::create_process(path)?;
        for fd in 0..3 {
            xeneva::set_file_to_process(fd, fd, *slot)?;
        }
        xeneva::set_file_to_process(file, 3, *slot)?;
    }
    for (slot, (path, words)) in slots.iter().zip(members) {
        let words: [*const c_char; 4] = words.map(CStr::as_ptr);
        xeneva::load_exec(*slot, path, &words)?;
    }
    for slot in slots {
        xeneva::wait_for_termination(slot)?;
    }
    Ok(())
}

//! What is measured on XenevaOS, an operation at a time.
//!
//! Arguments: OPERATION `count` or `time` ROUNDS; see `measure.rs` of the
//! library.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

use core::ptr;

use mayfly_user::measure::{NO_SUCH, Rounds};
use mayfly_user::xeneva::{self, Failed};
use mayfly_user::{Process, Xeneva};

mayfly_user::program!(Xeneva, run);

/// Modes of files (`specs/xeneva.md`).
const READ: u64 = 2;
const WRITE: u64 = 4;
const MAKE: u64 = 8;

fn run(process: &Process<Xeneva>) -> i32 {
    let rounds = Rounds::of(process);
    // XenevaOS has no status to tell this by: its rounds are missing then.
    perform(&rounds).unwrap_or(NO_SUCH)
}

fn perform(rounds: &Rounds<'_, Xeneva>) -> Result<i32, Failed> {
    let status = match rounds.operation() {
        b"null" => rounds.run(xeneva::null_call),
        b"getid" => rounds.run(xeneva::get_process_id),
        b"open" => rounds.run(|| {
            if let Ok(file) = xeneva::open_file(c"/dev/null", READ) {
                close(file);
            }
        }),
        b"read" => {
            let zero = xeneva::open_file(c"/dev/zero", READ)?;
            rounds.run(|| xeneva::read_file(zero, &mut [0]))
        }
        b"write" => {
            let null = xeneva::open_file(c"/dev/null", WRITE)?;
            rounds.run(|| xeneva::write_file(null, b"x"))
        }
        b"file" => rounds.run(|| {
            if let Ok(file) = xeneva::open_file(c"/tmp/costs", WRITE | MAKE) {
                xeneva::write_file(file, &[7; 4096]);
                close(file);
            }
        }),
        b"spawn" => rounds.run(spawn),
        b"end" => 0,
        _ => NO_SUCH,
    };
    Ok(status)
}

fn close(file: i32) {
    let file = i64::from(file).cast_unsigned();
    // SAFETY: the service writes nowhere.
    unsafe {
        <Xeneva as mayfly_user::System>::call(
            mayfly_abi::xeneva::nr::CloseFile,
            [file, 0, 0, 0, 0, 0],
        )
    };
}

/// Starts a process that ends at once, and waits for its end.
fn spawn() -> Result<(), Failed> {
    let pid = xeneva::create_process(c"costs")?;
    let arguments = [c"end".as_ptr(), ptr::null()];
    xeneva::load_exec(pid, c"/bin/xeneva-costs.exe", &arguments[..1])?;
    xeneva::wait_for_termination(pid)?;
    Ok(())
}

//! Processes of VeridianOS for programs (`specs/veridian.md` §5, §7).
//!
//! Neighbours: `../veridian.rs` has the calls that every program makes,
//! `image.rs` makes an executable of the running program.

use core::ptr;

use mayfly_abi::veridian::{ProcessExitInfo, SyscallError, nr};

use super::{call_all, outcome};

/// Bytes of all arguments of a child, and their number.
const TEXT_MAX: usize = 4096;
const COUNT_MAX: usize = 64;

/// The page's `create_process`: makes a process of an ELF image. Strings are
/// copied with the NUL that the kernel looks for (§7.2); `capabilities` are
/// granted in their order. Says its id.
///
/// # Errors
/// Those of `SYS_PROCESS_CREATE` (§5); `InvalidParameter` for more text than
/// this wrapper has room for.
pub fn create(
    binary: &[u8],
    args: &[&[u8]],
    capabilities: &[u64],
) -> Result<u64, Option<SyscallError>> {
    let mut text = [0_u8; TEXT_MAX];
    let mut pointers = [0_u64; COUNT_MAX];
    let too_much = Err(Some(SyscallError::InvalidParameter));
    let mut at = 0;
    for (index, argument) in args.iter().enumerate() {
        let end = at + argument.len();
        let (Some(room), Some(pointer)) = (text.get_mut(at..end), pointers.get_mut(index)) else {
            return too_much;
        };
        room.copy_from_slice(argument);
        *pointer = room.as_ptr().expose_provenance() as u64;
        at = end + 1;
    }
    if at > TEXT_MAX {
        return too_much;
    }
    outcome(call_all(
        nr::PROCESS_CREATE,
        [
            address(binary),
            binary.len() as u64,
            address(&pointers),
            args.len() as u64,
            address(capabilities),
            capabilities.len() as u64,
        ],
    ))
}

/// Lets a process run that was created.
///
/// # Errors
/// Those of `SYS_PROCESS_START` (§5).
pub fn start(process: u64) -> Result<(), Option<SyscallError>> {
    outcome(call_all(nr::PROCESS_START, [process, 0, 0, 0, 0, 0])).map(|_| ())
}

/// Waits for a process to end, and collects it.
///
/// # Errors
/// Those of `SYS_PROCESS_WAIT` (§5).
pub fn wait(process: u64, timeout: u64) -> Result<ProcessExitInfo, Option<SyscallError>> {
    let mut info = ProcessExitInfo::default();
    let place = ptr::from_mut(&mut info).expose_provenance() as u64;
    outcome(call_all(
        nr::PROCESS_WAIT,
        [process, timeout, place, 0, 0, 0],
    ))?;
    Ok(info)
}

fn address<T>(items: &[T]) -> u64 {
    items.as_ptr().expose_provenance() as u64
}

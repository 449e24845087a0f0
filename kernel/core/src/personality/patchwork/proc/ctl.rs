//! Commands of `/proc/PID/ctl` (specs/patchwork.md §12).

use super::number;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::process::{Cause, ProcessKey};
use crate::personality::killed_status;
use crate::personality::patchwork::control::{Command, Commands};
use crate::personality::patchwork::file;
use crate::port::Port;

/// Runs commands as long as they can be done. `key` is of the process they are
/// for, if it lived when somebody first looked at it.
pub(super) fn run<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    key: Option<ProcessKey>,
    commands: &Commands,
    count: u64,
) -> Result<Flow, KernelError> {
    let lives = |key: &ProcessKey| kernel.either(running, *key).is_ok();
    let key = key.filter(lives);
    for command in commands.each() {
        if let Some(end) = run_one(kernel, running, key, &command?)? {
            return Ok(end);
        }
    }
    Ok(Flow::Return(count))
}

/// Runs one command; says how the running process ends if that was the command.
fn run_one<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    key: Option<ProcessKey>,
    command: &Command<'_>,
) -> Result<Option<Flow>, KernelError> {
    match (command.name, &command.words[..]) {
        (b"close", [fd]) => {
            let fd = descriptor(fd)?;
            // Of a process that has ended nothing is open.
            let key = key.ok_or(KernelError::BadHandle)?;
            let (_, process) = kernel.either(running, key)?;
            process.handles.close(fd)?;
            kernel.wake_hung_up();
        }
        (b"close", [first, end]) => {
            let (first, end) = (descriptor(first)?, descriptor(end)?);
            let Some(key) = key else {
                return Ok(None);
            };
            let (_, process) = kernel.either(running, key)?;
            let end = end.min(process.handles.most() as u64);
            for fd in first..end {
                // Not every one is open.
                let _closed = process.handles.close(fd);
            }
            kernel.wake_hung_up();
        }
        (b"dup2", [old, new]) => {
            let (old, new) = (descriptor(old)?, descriptor(new)?);
            let key = key.ok_or(KernelError::BadHandle)?;
            let (_, process) = kernel.either(running, key)?;
            if old != new {
                drop(file::replace(&mut process.handles, old, new)?);
                kernel.wake_hung_up();
            }
        }
        (b"start", []) => {
            if let Some(key) = key {
                // One that runs already is as it should be.
                let _started = kernel.start_child(key);
            }
        }
        (b"kill", []) => match key {
            Some(key) if key == running.process.key => {
                let status = killed_status(running.process.abi);
                return Ok(Some(running.end(Cause::Killed, status)));
            }
            // One that has ended is as it should be.
            key => drop(key.map(|key| kernel.kill(key))),
        },
        (b"close" | b"dup2" | b"start" | b"kill", _) => return Err(KernelError::BadCommand),
        _ => return Err(KernelError::NotFound),
    }
    Ok(None)
}

/// A descriptor; -1 is the highest number there is.
fn descriptor(word: &[u8]) -> Result<u64, KernelError> {
    Ok(number(word)?.cast_unsigned())
}

//! POLL of PatchworkOS (specs/patchwork.md §5, 17).

use alloc::vec::Vec;

use mayfly_abi::patchwork::nr;
use mayfly_abi::table::{Duration, Load};

use super::error::answer_flow;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{FileRef, Node};
use crate::object::thread::Wait;
use crate::object::transfer;
use crate::port::Port;
use crate::user;

/// Bytes of a `pollfd_t`.
const POLLFD: usize = 16;
/// More files than this cannot be polled at once.
const MOST: usize = 63;
/// Reported whether asked for or not: ERR, HUP, NVAL.
const ALWAYS: u32 = 4 | 8 | 16;
/// The descriptor names nothing.
const NVAL: u32 = 16;

/// POLL.
pub(crate) fn poll<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Load(fds): Load,
    count: u64,
    Duration(timeout): Duration,
) -> Flow {
    let polled = poll_checked(kernel, running, fds, count, timeout);
    answer_flow(running, nr::POLL, polled)
}

fn poll_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    fds: u64,
    count: u64,
    timeout: u64,
) -> Result<Flow, KernelError> {
    let length = match usize::try_from(count) {
        Ok(count @ 1..=MOST) => count * POLLFD,
        _ => return Err(KernelError::InvalidArgument),
    };
    let mut bytes = [0; MOST * POLLFD];
    let bytes = &mut bytes[..length];
    // The answers go where the questions are: nothing is looked at before that is possible.
    let writable = transfer::check_output(kernel, running, fds, length as u64);
    writable.map_err(address)?;
    user::read(&mut kernel.machine, &mut running.process.space, fds, bytes).map_err(address)?;

    let files = open_files(running, bytes);
    let ready = match &files {
        Ok(files) => look(kernel, files, bytes)?,
        Err(_) => 0,
    };
    if files.is_ok() && ready == 0 && timeout > 0 && !running.thread.timed_out {
        running.give_up_after(&kernel.machine, timeout);
        let flow = running.park(Wait::Retry, running.thread.deadline);
        for file in files.iter().flatten() {
            transfer::enter(kernel, file, running.entry());
        }
        return Ok(flow);
    }
    let space = &mut running.process.space;
    user::write(&mut kernel.machine, space, fds, bytes).map_err(address)?;
    files.map(|_| Flow::Return(ready))
}

/// A bad array is EFAULT, however it is bad.
fn address(error: KernelError) -> KernelError {
    match error {
        KernelError::Overflow => KernelError::BadAddress,
        error => error,
    }
}

/// The files that are asked about; marks descriptors that name none.
fn open_files<P: Port>(
    running: &Running<P>,
    bytes: &mut [u8],
) -> Result<Vec<FileRef>, KernelError> {
    let mut files = Vec::with_capacity(bytes.len() / POLLFD);
    let mut result = Ok(());
    for pollfd in bytes.chunks_exact_mut(POLLFD) {
        let fd = pollfd
            .first_chunk()
            .map_or(u64::MAX, |fd| u64::from_le_bytes(*fd));
        match running.process.handles.get(fd) {
            Ok(file) => {
                files.push(file.clone());
                answer(pollfd, 0);
            }
            Err(error) => {
                answer(pollfd, NVAL);
                result = Err(error);
            }
        }
    }
    result.map(|()| files)
}

/// Fills in what each file is ready for; says how many are.
fn look<P: Port>(
    kernel: &Kernel<P>,
    files: &[FileRef],
    bytes: &mut [u8],
) -> Result<u64, KernelError> {
    let mut count = 0;
    for (file, pollfd) in files.iter().zip(bytes.chunks_exact_mut(POLLFD)) {
        if matches!(file.node, Node::Directory(_)) {
            return Err(KernelError::IsDirectory);
        }
        let ready = transfer::ready(kernel, file)?;
        let asked = pollfd[8..]
            .first_chunk()
            .map_or(0, |bits| u32::from_le_bytes(*bits));
        let events = ready.0 & (asked | ALWAYS);
        answer(pollfd, events);
        count += u64::from(events != 0);
    }
    Ok(count)
}

/// Sets `revents`.
fn answer(pollfd: &mut [u8], events: u32) {
    pollfd[12..].copy_from_slice(&events.to_le_bytes());
}

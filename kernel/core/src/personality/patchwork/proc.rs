//! The files below `/proc/PID` (specs/patchwork.md §6, §11, §12).
//!
//! All but `wait` are about a process that lives: afterwards they answer
//! EINVAL, as a note does that no thread is left for. Those of the kernel,
//! process 0, answer EACCES.

mod ctl;

use alloc::format;
use alloc::vec::Vec;

use super::control::Commands;
use super::path::{PATH_MAX, Path};
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::OpenFile;
use crate::object::namespace::Place;
use crate::object::note::NOTE_SIZE;
use crate::object::process::{Process, ProcessKey};
use crate::object::processes::{OpenPart, PartKind};
use crate::port::{Machine, Port};
use crate::user;

/// The name of one's own directory.
pub(crate) const SELF: &[u8] = b"self";
/// The name of a process's environment.
pub(crate) const ENVIRONMENT: &[u8] = b"env";
/// The other names in a process's directory.
pub(crate) const FILES: &[(&[u8], PartKind)] = &[
    (b"wait", PartKind::Exit),
    (b"ctl", PartKind::Control),
    (b"prio", PartKind::Priority),
    (b"cwd", PartKind::Directory),
    (b"cmdline", PartKind::Arguments),
    (b"note", PartKind::Note),
    (b"perf", PartKind::Usage),
];

/// Highest priority that a program can ask for (§3).
const PRIORITY_MAX_USER: i64 = 31;
/// Longest text of a priority, its terminator included.
const PRIORITY_SIZE: usize = 32;

/// Reads one of the files into a buffer that was checked.
pub(crate) fn read<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    part: &OpenPart,
    address: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let exit = part.exit.as_ref().ok_or(KernelError::NotPermitted)?;
    if file.position.get() == 0 {
        let text = if part.file == PartKind::Exit {
            match exit.status.get() {
                None => return Ok(running.wait_in(&exit.waiters)),
                Some(status) => status_text(status),
            }
        } else {
            let key = part.process.ok_or(KernelError::InvalidArgument)?;
            text_of(kernel, running, key, part.file)?
        };
        part.text.replace(text);
    }
    let text = part.text.borrow();
    let position = usize::try_from(file.position.get()).unwrap_or(usize::MAX);
    let rest = text.get(position..).unwrap_or_default();
    let length = rest.len().min(usize::try_from(count).unwrap_or(usize::MAX));
    let space = &mut running.process.space;
    user::write(&mut kernel.machine, space, address, &rest[..length])?;
    file.position.set(file.position.get() + length as u64);
    Ok(Flow::Return(length as u64))
}

/// A status is an `i32`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is the status"
)]
fn status_text(status: i64) -> Vec<u8> {
    format!("{}", status as i32).into_bytes()
}

fn text_of<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    key: ProcessKey,
    kind: PartKind,
) -> Result<Vec<u8>, KernelError> {
    match kind {
        PartKind::Priority => {
            let priority = kernel.priority_of(running, key)?;
            Ok(format!("{priority}").into_bytes())
        }
        PartKind::Directory => {
            let (_, process) = kernel.either(running, key)?;
            Ok(path_of(process.view.directory.clone()))
        }
        PartKind::Arguments => Ok(kernel.either(running, key)?.1.arguments.clone()),
        PartKind::Usage => usage(kernel, running, key),
        PartKind::Exit | PartKind::Control | PartKind::Note => Err(KernelError::NotSupported),
    }
}

/// The path that leads to a place; without one to the root.
fn path_of(place: Option<Place>) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = place;
    while let Some(Place {
        mount,
        entry,
        inode,
    }) = at
    {
        if entry == mount.root_entry {
            at = mount.covered.clone();
            continue;
        }
        let directory = inode.directory();
        names.extend(directory.map(|directory| directory.name));
        let parent = directory.and_then(|directory| directory.parent.upgrade());
        at = parent.map(|parent| Place {
            entry: parent.directory().map_or(0, |directory| directory.entry),
            inode: parent,
            mount,
        });
    }
    let mut path = Vec::new();
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name.bytes());
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// `user_clocks` is the time on the processor that was not in a call;
/// `kernel_clocks` counts from the first look on, or from the start of a
/// process that is traced: before that, calls are not timed.
fn usage<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    key: ProcessKey,
) -> Result<Vec<u8>, KernelError> {
    let spent = kernel.time(running, key)?;
    let (machine, process) = kernel.either(running, key)?;
    let user = machine.nanoseconds(spent.running.saturating_sub(spent.calls));
    let calls = machine.nanoseconds(spent.calls);
    let start = machine.time_at(process.started);
    let pages = P::Machine::owned(process.space.tables());
    let threads = process.threads.len();
    Ok(format!(
        "user_clocks {user}\nkernel_clocks {calls}\nstart_clocks {start}\n\
         user_pages {pages}\nthread_count {threads}"
    )
    .into_bytes())
}

/// Writes to one of the files from a buffer that was checked.
pub(crate) fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    part: &OpenPart,
    address: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    if part.exit.is_none() {
        return Err(KernelError::NotPermitted);
    }
    let key = part.process;
    let alive = key.ok_or(KernelError::InvalidArgument);
    if part.file == PartKind::Control {
        let commands = Commands::read(kernel, running, address, count)?;
        return ctl::run(kernel, running, key, &commands, count);
    }
    let longest = match part.file {
        PartKind::Note => NOTE_SIZE,
        PartKind::Priority => PRIORITY_SIZE,
        _ => PATH_MAX,
    };
    let mut room = [0; PATH_MAX];
    let length = usize::try_from(count).ok().filter(|it| *it < longest);
    let text = &mut room[..length.ok_or(KernelError::InvalidArgument)?];
    user::read(
        &mut kernel.machine,
        &mut running.process.space,
        address,
        text,
    )?;
    let text = &*text;
    match part.file {
        PartKind::Note if text.is_empty() => Ok(Flow::Return(0)),
        PartKind::Note => kernel.send_note(running, alive?, text),
        PartKind::Priority => {
            let priority = priority(text)?;
            kernel.set_priority(running, alive?, priority)?;
            // Others may come first now.
            Ok(Flow::Yield(count))
        }
        PartKind::Directory => {
            let place = directory(kernel, running, alive?, text)?;
            kernel.either(running, alive?)?.1.view.directory = Some(place);
            Ok(Flow::Return(count))
        }
        PartKind::Control | PartKind::Exit | PartKind::Arguments | PartKind::Usage => {
            Err(KernelError::NotSupported)
        }
    }
}

/// A decimal number, with its sign.
pub(super) fn number(text: &[u8]) -> Result<i64, KernelError> {
    let number = core::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    number.ok_or(KernelError::InvalidArgument)
}

fn priority(text: &[u8]) -> Result<u8, KernelError> {
    let value = number(text.trim_ascii())?;
    if value > PRIORITY_MAX_USER {
        return Err(KernelError::NotPermitted);
    }
    u8::try_from(value).map_err(|_| KernelError::InvalidArgument)
}

/// The directory that a path leads to, as the process itself sees it.
fn directory<P: Port>(
    kernel: &Kernel<P>,
    running: &Running<P>,
    key: ProcessKey,
    text: &[u8],
) -> Result<Place, KernelError> {
    let process: &Process<P> = if running.process.key == key {
        &running.process
    } else {
        kernel.process(key).ok_or(KernelError::InvalidArgument)?
    };
    let place = Path::parse(text)?.find_for(kernel, process)?;
    match place.inode.directory() {
        Some(_) => Ok(place),
        None => Err(KernelError::NotDirectory),
    }
}

//! Reading and writing open files, whatever they lead to.
//!
//! Order of checks that all interfaces share: the caller has looked at the
//! descriptor and the buffer; then comes what the file is, then how it was
//! opened ([`readable`], [`writable`]), then the transfer itself.

use alloc::rc::Rc;

use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{FileRef, Mode, Node, OpenFile, Ready};
use crate::object::inode::Inode;
use crate::object::memory::Touch;
use crate::object::stream::Stream;
use crate::object::wait::Entry;
use crate::object::{log, stream};
use crate::personality::{process_files as process, terminal_files as terminal};
use crate::port::{Machine, PAGE_SIZE, PIECES_MAX, Port};
use crate::user::{self, check_range};

/// Bytes that devices give.
static ZEROS: [u8; 4096] = [0; 4096];
static ONES: [u8; 4096] = [0xff; 4096];

/// Longest transfer that is made in one piece: so many pages as an output of four
/// messages has.
pub const PART: u64 = 4 * PIECES_MAX as u64 * PAGE_SIZE;
/// Bytes before whoever waits has a turn, the host among them.
pub const TURN: u64 = 1 << 20;

/// Makes a transfer with a file that is longer than [`PART`], [`in_turns`]: all of it
/// where the file never lets anybody wait, one [`TURN`] of it where no queue holds as
/// much.
///
/// # Errors
/// Those of [`in_turns`].
#[cold]
#[inline(never)]
pub fn long<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    (file, touch): (&OpenFile, Touch),
    whole: (u64, u64),
    transfer: impl Fn(&mut Kernel<P>, &mut Running<P>, u64, u64) -> Result<Flow, KernelError>,
) -> Result<Flow, KernelError> {
    // Neither reading nor writing these ever waits for anybody, nor keeps bytes together.
    let ready = matches!(
        file.node,
        Node::Null | Node::Zero | Node::One | Node::Log | Node::File(_) | Node::Stream(_)
    );
    in_turns(kernel, running, (ready, touch), whole, transfer)
}

/// Makes a transfer that is longer than [`PART`]: `transfer` reads or writes one
/// part of it. All of the buffer is checked first, for what the transfer does to it.
/// What goes wrong behind the first part ends the transfer there. What is not `ready`
/// at every time gets one [`TURN`] only.
///
/// # Errors
/// [`KernelError::Overflow`] and [`KernelError::BadAddress`] for the buffer; those
/// of the first part.
#[cold]
#[inline(never)]
pub fn in_turns<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    (ready, touch): (bool, Touch),
    (address, count): (u64, u64),
    transfer: impl Fn(&mut Kernel<P>, &mut Running<P>, u64, u64) -> Result<Flow, KernelError>,
) -> Result<Flow, KernelError> {
    let done = core::mem::take(&mut running.thread.done);
    check_range(address, count)?;
    let range = address..address + count;
    if done == 0 && !running.process.space.allows(range, touch) {
        return Err(KernelError::BadAddress);
    }
    if !ready {
        return transfer(kernel, running, address, count.min(TURN));
    }
    let mut at = done;
    loop {
        // Parts end where pages do.
        let part = (PART - (address + at) % PAGE_SIZE).min(count - at);
        let moved = match transfer(kernel, running, address + at, part) {
            Ok(Flow::Return(moved)) => moved,
            Err(_) if at > 0 => return Ok(Flow::Return(at)),
            other => return other,
        };
        at += moved;
        if moved < part || at == count {
            return Ok(Flow::Return(at));
        }
        if at - done >= TURN || kernel.is_due() {
            return Ok(kernel.go_on_later(running, at));
        }
    }
}

/// Checks that a file can be read and was opened for that.
///
/// # Errors
/// [`KernelError::IsDirectory`], [`KernelError::NotSupported`], [`KernelError::BadHandle`].
pub fn readable(file: &OpenFile) -> Result<(), KernelError> {
    match &file.node {
        Node::Directory(_) => Err(KernelError::IsDirectory),
        Node::Stream(_) | Node::Memory(_) => Err(KernelError::NotSupported),
        Node::Socket(socket) if !socket.reads() => Err(KernelError::NotSupported),
        Node::Process(part) if !part.file.is_read() => Err(KernelError::NotSupported),
        _ if file.mode.contains(Mode::APPEND) || !file.mode.contains(Mode::READ) => {
            Err(KernelError::BadHandle)
        }
        _ => Ok(()),
    }
}

/// Checks that a file can be written and was opened for that.
///
/// # Errors
/// As [`readable`].
pub fn writable(file: &OpenFile) -> Result<(), KernelError> {
    match &file.node {
        Node::Directory(_) => Err(KernelError::IsDirectory),
        Node::Input(_) | Node::Zero | Node::One | Node::Memory(_) | Node::Usage(_) => {
            Err(KernelError::NotSupported)
        }
        Node::Socket(socket) if !socket.writes() => Err(KernelError::NotSupported),
        Node::Process(part) if !part.file.is_written() => Err(KernelError::NotSupported),
        _ if !file.mode.contains(Mode::WRITE) => Err(KernelError::BadHandle),
        _ => Ok(()),
    }
}

/// Checks that a range of user memory can be written, and brings its pages in.
///
/// # Errors
/// [`KernelError::BadAddress`], [`KernelError::Overflow`], [`KernelError::NoMemory`].
// By itself: it is in so many calls that the others are not to be slower for it.
#[inline(never)]
pub fn check_output<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    length: u64,
) -> Result<(), KernelError> {
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    stream::bring_in(machine, space, address, length, Touch::Write)
}

/// Lets go of a file; whoever is at its other end hears of it.
pub fn close<P: Port>(kernel: &mut Kernel<P>, file: FileRef) {
    let has_other_end = matches!(
        file.node,
        Node::Pipe(_) | Node::Socket(_) | Node::Input(Some(_))
    );
    drop(file);
    if has_other_end {
        kernel.wake_hung_up();
    }
}

/// Reads up to `count` bytes into a buffer that was checked.
///
/// # Errors
/// Those of the file.
pub fn read<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    address: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let length = match &file.node {
        Node::Input(Some(input)) => return input.read(kernel, running, address, count),
        Node::Input(None) | Node::Null => 0,
        Node::Zero => fill(kernel, running, &ZEROS, address, count)?,
        Node::One => fill(kernel, running, &ONES, address, count)?,
        Node::Log => {
            let (length, position) =
                log::read(kernel, running, address, count, file.position.get())?;
            file.position.set(position);
            length
        }
        Node::File(inode) => read_regular(kernel, running, file, inode, address, count)?,
        Node::Pipe(end) => return end.read(kernel, running, address, count),
        Node::Usage(usage) => usage.read(kernel, running, file, address, count)?,
        Node::Socket(socket) => return socket.read(kernel, running, file, address, count),
        Node::Stream(_) | Node::Memory(_) => return Err(KernelError::NotSupported),
        Node::Process(part) => return process::read(kernel, running, file, part, address, count),
        Node::Terminal(terminal) => return terminal.read(kernel, running, address, count),
        Node::TerminalControl(it) => terminal::read(kernel, running, file, it, address, count)?,
        Node::Directory(_) => return Err(KernelError::IsDirectory),
    };
    Ok(Flow::Return(length))
}

/// Writes up to `count` bytes from a buffer that was checked.
///
/// # Errors
/// Those of the file.
pub fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    address: u64,
    count: u64,
) -> Result<Flow, KernelError> {
    let length = match &file.node {
        Node::Null => count,
        Node::Stream(stream) => stream::write(kernel, running, *stream, address, count)?,
        Node::Log => log::write(kernel, running, address, count)?,
        Node::File(inode) => write_regular(kernel, running, file, inode, address, count)?,
        Node::Pipe(end) => return end.write(kernel, running, address, count),
        Node::Socket(socket) => return socket.write(kernel, running, file, address, count),
        Node::Input(_) | Node::Zero | Node::One | Node::Memory(_) | Node::Usage(_) => {
            return Err(KernelError::NotSupported);
        }
        Node::Process(part) => return process::write(kernel, running, part, address, count),
        Node::Terminal(_) => stream::write(kernel, running, Stream::Terminal, address, count)?,
        Node::TerminalControl(it) => terminal::write(kernel, running, it, address, count)?,
        Node::Directory(_) => return Err(KernelError::IsDirectory),
    };
    Ok(Flow::Return(length))
}

fn fill<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    bytes: &[u8],
    address: u64,
    count: u64,
) -> Result<u64, KernelError> {
    let mut done = 0;
    while done < count {
        let length = usize::try_from(count - done).unwrap_or(usize::MAX);
        let part = &bytes[..length.min(bytes.len())];
        let space = &mut running.process.space;
        user::write(&mut kernel.machine, space, address + done, part)?;
        done += part.len() as u64;
    }
    Ok(count)
}

fn read_regular<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    inode: &Rc<Inode>,
    address: u64,
    count: u64,
) -> Result<u64, KernelError> {
    let regular = inode.regular().ok_or(KernelError::NotSupported)?;
    let position = file.position.get();
    let length = regular.size.get().saturating_sub(position).min(count);
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    let store = regular.store.borrow();
    store.read(machine, space, address, position, length)?;
    file.position.set(position.wrapping_add(length));
    inode.times.accessed.set(machine.now());
    Ok(length)
}

fn write_regular<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    inode: &Rc<Inode>,
    address: u64,
    count: u64,
) -> Result<u64, KernelError> {
    let regular = inode.regular().ok_or(KernelError::NotSupported)?;
    let size = regular.size.get();
    let position = match file.mode.contains(Mode::APPEND) {
        true => size,
        false => file.position.get(),
    };
    // One byte is kept from the end of all numbers, so that sizes can be told.
    if position.checked_add(count).is_none_or(|end| end > MAX_SIZE) {
        return Err(KernelError::TooLarge);
    }
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    let mut store = regular.store.borrow_mut();
    let written = store.write(machine, space, address, position, count)?;
    let end = position + written;
    file.position.set(end);
    if written > 0 {
        regular.size.set(size.max(end));
        inode.times.modify(machine.now());
    }
    Ok(written)
}

/// Largest file, in bytes.
const MAX_SIZE: u64 = i64::MAX as u64;

/// What can be done without waiting.
///
/// # Errors
/// [`KernelError::NotSupported`] when that cannot be asked.
pub fn ready<P: Port>(kernel: &Kernel<P>, file: &OpenFile) -> Result<Ready, KernelError> {
    match &file.node {
        Node::Input(Some(input)) => Ok(input.ready()),
        Node::Input(None) => Ok(Ready::IN),
        Node::Stream(_) => Ok(Ready::OUT),
        Node::Pipe(end) => Ok(end.ready()),
        Node::Socket(socket) => socket.ready(),
        Node::Process(part) => part.ready(),
        Node::Terminal(terminal) => Ok(terminal.ready()),
        Node::Log => {
            let more = kernel.files().log.end() > file.position.get();
            Ok(Ready::OUT.and(if more { Ready::IN } else { Ready::NONE }))
        }
        Node::Null
        | Node::Zero
        | Node::One
        | Node::File(_)
        | Node::Directory(_)
        | Node::Memory(_)
        | Node::Usage(_)
        | Node::TerminalControl(_) => Err(KernelError::NotSupported),
    }
}

/// Enters a parked thread for any change of what is [`ready`].
pub fn enter<P: Port>(kernel: &Kernel<P>, file: &OpenFile, entry: Entry) {
    match &file.node {
        Node::Pipe(end) => end.enter(entry),
        Node::Input(Some(input)) => input.enter(entry),
        Node::Socket(socket) => socket.enter(entry),
        Node::Process(part) => part.enter(entry),
        Node::Terminal(terminal) => terminal.enter(entry),
        Node::Log => kernel.files().log.grown.enter(entry),
        _ => {}
    }
}

//! What opening a place of the file tree leads to, whoever opens it.

use alloc::rc::Rc;

use crate::error::KernelError;
use crate::kernel::Kernel;
use crate::object::file::Node;
use crate::object::inode::{Body, Device};
use crate::object::memory::MemoryFile;
use crate::object::namespace::Place;
use crate::object::pipe::Pipe;
use crate::object::socket::file::SocketFile;
use crate::object::terminal::TerminalRef;
use crate::object::usage::UsageFile;
use crate::port::{Machine, Port};

/// What opening a place leads to.
///
/// # Errors
/// [`KernelError::NotFound`] for what is gone,
/// [`KernelError::NotSupported`] for what needs a process to open it,
/// [`KernelError::NoMemory`].
#[inline(always)]
pub fn node<P: Port>(kernel: &Kernel<P>, place: &Place) -> Result<Node, KernelError> {
    if kernel.machine.heap_full() {
        return Err(KernelError::NoMemory);
    }
    Ok(match &place.inode.body {
        Body::File(_) => Node::File(Rc::clone(&place.inode)),
        Body::Directory(_) => Node::Directory(Rc::clone(&place.inode)),
        Body::Process(part) => Node::Process(part.open()?),
        Body::Device(Device::Null) => Node::Null,
        Body::Device(Device::Zero) => Node::Zero,
        Body::Device(Device::One) => Node::One,
        Body::Device(Device::Log) => Node::Log,
        Body::Device(Device::NewMemory) => Node::Memory(MemoryFile::default()),
        Body::Device(Device::Segment(key)) => {
            let object = kernel.segments.find(*key).ok_or(KernelError::NotFound)?;
            Node::Memory(MemoryFile::of(Rc::clone(object)))
        }
        Body::Device(Device::Usage(usage)) => Node::Usage(UsageFile::new(*usage)),
        Body::Device(Device::NewPipe) => Node::Pipe(new_pipe(kernel)?.end(true, true)),
        Body::Device(Device::SocketAddress) => Node::Socket(SocketFile::Address),
        Body::Device(Device::Terminal) => Node::Terminal(terminal(kernel)?),
        Body::Device(Device::TerminalControl) => Node::TerminalControl(terminal(kernel)?),
        // A process needs a namespace for them: the interface that has sockets.
        Body::Device(Device::NewSocket) | Body::Socket(..) => {
            return Err(KernelError::NotSupported);
        }
    })
}

/// The terminal, which is there when the host has started a program on it.
#[cold]
fn terminal<P: Port>(kernel: &Kernel<P>) -> Result<TerminalRef, KernelError> {
    let files = kernel.files();
    let terminal = files.terminal.get().ok_or(KernelError::NotFound)?;
    Ok(Rc::clone(terminal))
}

/// A new pipe, without ends.
///
/// # Errors
/// [`KernelError::NoMemory`].
pub fn new_pipe<P: Port>(kernel: &Kernel<P>) -> Result<Rc<Pipe>, KernelError> {
    if kernel.machine.heap_low() {
        return Err(KernelError::NoMemory);
    }
    let files = kernel.files();
    Pipe::new(&files.quota, &files.hangups)
}

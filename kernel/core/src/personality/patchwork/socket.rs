//! Local sockets under `/net/local` (specs/patchwork.md §12).
//!
//! Where the specification is short: a socket has a directory that only the
//! process that made it and its children can open files in; it stays as long as
//! they do, even when nobody has a file of it open, because programs read the
//! number and close that file before they use the others. An accepted
//! connection has no directory: it is there as long as its descriptor.

use alloc::rc::Rc;

use super::control::Commands;
use super::path::Path;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{Mode, Node, OpenFile};
use crate::object::inode::{Body, Device, Inode, Name, Seeds, System};
use crate::object::namespace::{Namespace, Place};
use crate::object::owned::OwnedName;
use crate::object::socket::Socket;
use crate::object::socket::file::{DIGITS_MAX, Part, SocketFile, decimal};
use crate::port::{Machine, Port};

/// Connections that wait, when `listen` does not say how many.
const BACKLOG: u32 = 128;
/// The files of a socket's directory.
const PARTS: [(&[u8], Part); 3] = [
    (b"ctl", Part::Control),
    (b"data", Part::Data),
    (b"accept", Part::Accept),
];

/// Opening a place concerns a socket.
pub(crate) fn is_one(place: &Place) -> bool {
    matches!(
        place.inode.body,
        Body::Device(Device::NewSocket) | Body::Socket(..)
    )
}

/// Opens a file of a socket; waits to accept a connection.
#[cold]
#[inline(never)]
pub(crate) fn open<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    place: Place,
    mode: Mode,
) -> Result<Flow, KernelError> {
    let socket = socket(kernel, running, &place, mode)?;
    let mode = match socket.nonblock {
        true => mode.and(Mode::NONBLOCK),
        false => mode,
    };
    let file = match &place.inode.body {
        Body::Socket(_, Part::Accept) => {
            // A connection that found no descriptor would be lost.
            if running.process.handles.is_full() {
                return Err(KernelError::NoRoom);
            }
            match socket.accept(running, !mode.contains(Mode::NONBLOCK))? {
                Ok(side) => SocketFile::Accepted(side),
                Err(waits) => return Ok(waits),
            }
        }
        _ => file(&place, socket)?,
    };
    let file = OpenFile::at(Node::Socket(file), mode, Some(place));
    running.process.handles.insert(file).map(Flow::Return)
}

/// What OPEN2 leads to: the same file twice, or two new sockets. Accepting two
/// connections at once is not to be had.
#[cold]
#[inline(never)]
pub(crate) fn both<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    place: &Place,
    mode: Mode,
) -> Result<[Node; 2], KernelError> {
    let first = socket(kernel, running, place, mode)?;
    let second = socket(kernel, running, place, mode)?;
    Ok([
        Node::Socket(file(place, first)?),
        Node::Socket(file(place, second)?),
    ])
}

fn file(place: &Place, socket: Rc<Socket>) -> Result<SocketFile, KernelError> {
    Ok(match &place.inode.body {
        Body::Socket(_, Part::Control) => SocketFile::Control(socket),
        Body::Socket(_, Part::Data) => SocketFile::Data(socket),
        Body::Socket(_, Part::Accept) => return Err(KernelError::NotSupported),
        _ => SocketFile::Number(socket),
    })
}

/// The socket of a place, or a new one.
fn socket<P: Port>(
    kernel: &Kernel<P>,
    running: &mut Running<P>,
    place: &Place,
    mode: Mode,
) -> Result<Rc<Socket>, KernelError> {
    let Body::Socket(socket, _) = &place.inode.body else {
        return make(kernel, running, mode.contains(Mode::NONBLOCK));
    };
    let socket = socket.upgrade().ok_or(KernelError::NotFound)?;
    let namespace = kernel.namespace(&running.process);
    match namespace.keeps(&socket) {
        true => Ok(socket),
        false => Err(KernelError::NotFound),
    }
}

/// Makes a socket with its directory.
fn make<P: Port>(
    kernel: &Kernel<P>,
    running: &mut Running<P>,
    nonblock: bool,
) -> Result<Rc<Socket>, KernelError> {
    if kernel.machine.heap_low() {
        return Err(KernelError::NoMemory);
    }
    let (files, now) = (kernel.files(), kernel.machine.now());
    let socket = files.sockets.make(nonblock)?;
    let local = directory(kernel, &[b"net", b"local"])?;
    let mut digits = [0; DIGITS_MAX];
    let name = Name::new(decimal(socket.number, &mut digits)).ok_or(KernelError::TooLong)?;
    let own = files.directory(&local, name, System::Devices, Seeds::None, now)?;
    let entry = enter(kernel, &local, name, Rc::clone(&own))?;
    if socket.name.set(entry).is_err() {
        return Err(KernelError::Exists);
    }
    let parts = own.directory().ok_or(KernelError::NotDirectory)?;
    for (name, part) in PARTS {
        let name = Name::new(name).ok_or(KernelError::TooLong)?;
        let body = Body::Socket(Rc::downgrade(&socket), part);
        files.enter(parts, name, files.inode(System::Devices, now, body)?)?;
    }
    let root = Rc::clone(&files.root);
    let namespace = &mut running.process.view.namespace;
    let namespace = namespace.get_or_insert_with(|| Namespace::new(Some(root)));
    namespace.keep(&socket)?;
    Ok(socket)
}

/// Obeys commands: `bind A`, `listen [N]`, `connect A`.
pub(crate) fn control<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    socket: &Rc<Socket>,
    address: u64,
    count: u64,
) -> Result<(), KernelError> {
    let commands = Commands::read(kernel, running, address, count)?;
    for command in commands.each() {
        let command = command?;
        match (command.name, &command.words[..]) {
            (b"bind", [to]) => bind(kernel, socket, to)?,
            (b"listen", []) => socket.listen(BACKLOG)?,
            (b"listen", [backlog]) => socket.listen(number(backlog)?)?,
            (b"connect", [to]) => socket.connect(kernel, &name(to)?)?,
            (b"bind" | b"listen" | b"connect", _) => return Err(KernelError::BadCommand),
            _ => return Err(KernelError::NotFound),
        }
    }
    Ok(())
}

fn bind<P: Port>(
    kernel: &Kernel<P>,
    socket: &Rc<Socket>,
    address: &[u8],
) -> Result<(), KernelError> {
    let name = name(address)?;
    socket.can_bind(&name)?;
    let listen = directory(kernel, &[b"net", b"local", b"listen"])?;
    let (files, now) = (kernel.files(), kernel.machine.now());
    let body = Body::Device(Device::SocketAddress);
    let inode = files.inode(System::Devices, now, body)?;
    socket.bind(name, enter(kernel, &listen, name, inode)?);
    Ok(())
}

/// An address: what a name of a path may be, as it has a file of that name.
fn name(address: &[u8]) -> Result<Name, KernelError> {
    let path = Path::parse(address)?;
    match path.last() {
        Some(last) if last == address => Name::new(last).ok_or(KernelError::TooLong),
        _ => Err(KernelError::InvalidArgument),
    }
}

/// A number of connections: too many are as many as there can be.
fn number(digits: &[u8]) -> Result<u32, KernelError> {
    digits.iter().try_fold(0_u32, |number, digit| match digit {
        b'0'..=b'9' => Ok(number
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'))),
        _ => Err(KernelError::InvalidArgument),
    })
}

/// Gives an inode a name that its owner keeps.
fn enter<P: Port>(
    kernel: &Kernel<P>,
    directory: &Rc<Inode>,
    name: Name,
    inode: Rc<Inode>,
) -> Result<OwnedName, KernelError> {
    let entries = directory.directory().ok_or(KernelError::NotDirectory)?;
    let entry = kernel.files().enter(entries, name, inode)?;
    Ok(OwnedName::new(directory, entry.id))
}

/// A directory of the layout, whatever a process sees there.
fn directory<P: Port>(kernel: &Kernel<P>, names: &[&[u8]]) -> Result<Rc<Inode>, KernelError> {
    let mut at = Rc::clone(&kernel.files().root.root);
    for name in names {
        let name = Name::new(name).ok_or(KernelError::TooLong)?;
        at = kernel.entry(&at, &name)?.inode;
    }
    Ok(at)
}

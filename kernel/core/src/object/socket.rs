//! Local sockets: connections between processes by the name of an address.
//!
//! A [`Socket`] is bound to an address and listens there, or it connects to
//! one; each of its files is a `SocketFile` (`socket/file.rs`). It goes, and
//! its names with it, when no file of it is open and no namespace keeps it.
//! Connecting does not wait: a connection can be used before the other side
//! has accepted it.

pub mod connection;
pub mod file;
pub mod queue;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::rc::{Rc, Weak};
use core::cell::{Cell, OnceCell, RefCell};

use connection::Side;

use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::inode::{NAME_MAX, Name};
use crate::object::owned::OwnedName;
use crate::object::pipe::Hangups;
use crate::object::store::Quota;
use crate::object::wait::WaitQueue;
use crate::port::Port;

/// What a socket costs, its names apart.
const SOCKET_COST: u64 = 512;
/// Most connections that wait to be accepted.
pub const BACKLOG_MAX: u32 = 128;

/// The sockets of a kernel.
#[derive(Debug)]
pub struct Sockets {
    made: Cell<u64>,
    /// By their addresses.
    bound: RefCell<BTreeMap<[u8; NAME_MAX + 1], Weak<Socket>>>,
    quota: Rc<Quota>,
    hangups: Rc<Hangups>,
}

/// A socket.
#[derive(Debug)]
pub struct Socket {
    /// Number that no other socket has.
    pub number: u64,
    /// Calls that cannot go on fail instead of waiting, whatever file they use.
    pub nonblock: bool,
    /// Its directory, once it has one.
    pub name: OnceCell<OwnedName>,
    state: RefCell<State>,
    address: OnceCell<Address>,
    sockets: Rc<Sockets>,
}

/// What a socket has become.
#[derive(Debug)]
enum State {
    /// Neither of the others.
    Idle,
    /// It takes connections.
    Listening(Listener),
    /// It has one.
    Connected(Side),
}

/// Connections that nobody has accepted yet.
#[derive(Debug)]
struct Listener {
    /// Most of them.
    most: u32,
    pending: VecDeque<Side>,
    waiting: WaitQueue,
}

/// An address that is taken, and its name in the file tree.
#[derive(Debug)]
struct Address {
    name: Name,
    _entry: OwnedName,
}

impl Sockets {
    /// None yet.
    pub fn new(quota: &Rc<Quota>, hangups: &Rc<Hangups>) -> Rc<Self> {
        Rc::new(Self {
            made: Cell::new(0),
            bound: RefCell::default(),
            quota: Rc::clone(quota),
            hangups: Rc::clone(hangups),
        })
    }

    /// A new socket, without a name.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn make(self: &Rc<Self>, nonblock: bool) -> Result<Rc<Socket>, KernelError> {
        self.quota.take(SOCKET_COST)?;
        let number = self.made.get();
        self.made.set(number + 1);
        Ok(Rc::new(Socket {
            number,
            nonblock,
            name: OnceCell::new(),
            state: RefCell::new(State::Idle),
            address: OnceCell::new(),
            sockets: Rc::clone(self),
        }))
    }

    /// The address is taken.
    pub fn is_bound(&self, address: &Name) -> bool {
        self.bound.borrow().contains_key(address.padded())
    }

    fn find(&self, address: &Name) -> Option<Rc<Socket>> {
        self.bound.borrow().get(address.padded())?.upgrade()
    }
}

impl Socket {
    /// Checks that the socket can be bound to an address.
    ///
    /// # Errors
    /// [`KernelError::InvalidArgument`] when it has one or is connected,
    /// [`KernelError::AddressInUse`].
    pub fn can_bind(&self, address: &Name) -> Result<(), KernelError> {
        let connected = matches!(*self.state.borrow(), State::Connected(_));
        if connected || self.address.get().is_some() {
            return Err(KernelError::InvalidArgument);
        }
        match self.sockets.is_bound(address) {
            true => Err(KernelError::AddressInUse),
            false => Ok(()),
        }
    }

    /// Binds the socket to an address as [`can_bind`](Self::can_bind) allows;
    /// `entry` is the name of that in the file tree.
    pub fn bind(self: &Rc<Self>, name: Name, entry: OwnedName) {
        let address = Address {
            name,
            _entry: entry,
        };
        if self.address.set(address).is_ok() {
            let mut bound = self.sockets.bound.borrow_mut();
            bound.insert(*name.padded(), Rc::downgrade(self));
        }
    }

    /// Takes connections from now on, as many at a time as `backlog` says.
    ///
    /// # Errors
    /// [`KernelError::InvalidArgument`] for no backlog, a socket without an
    /// address, or one that listens or is connected.
    pub fn listen(&self, backlog: u32) -> Result<(), KernelError> {
        let mut state = self.state.borrow_mut();
        let idle = matches!(*state, State::Idle);
        if backlog == 0 || !idle || self.address.get().is_none() {
            return Err(KernelError::InvalidArgument);
        }
        *state = State::Listening(Listener {
            most: backlog.min(BACKLOG_MAX),
            pending: VecDeque::new(),
            waiting: WaitQueue::default(),
        });
        Ok(())
    }

    /// Connects to whoever listens at an address.
    ///
    /// # Errors
    /// [`KernelError::AlreadyConnected`], [`KernelError::InvalidArgument`] for
    /// a socket that listens, [`KernelError::ConnectionRefused`] when nobody
    /// listens there or too many wait already, [`KernelError::NoMemory`].
    pub fn connect<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        address: &Name,
    ) -> Result<(), KernelError> {
        match *self.state.borrow() {
            State::Idle => {}
            State::Listening(_) => return Err(KernelError::InvalidArgument),
            State::Connected(_) => return Err(KernelError::AlreadyConnected),
        }
        let sockets = &self.sockets;
        let server = sockets.find(address);
        let server = server.ok_or(KernelError::ConnectionRefused)?;
        let mut state = server.state.borrow_mut();
        let State::Listening(listener) = &mut *state else {
            return Err(KernelError::ConnectionRefused);
        };
        if listener.pending.len() >= listener.most as usize {
            return Err(KernelError::ConnectionRefused);
        }
        let [ours, theirs] = Side::pair(&sockets.quota, &sockets.hangups)?;
        listener.pending.push_back(theirs);
        kernel.wake_all(&listener.waiting);
        drop(state);
        // Itself it cannot be: that one listens.
        *self.state.borrow_mut() = State::Connected(ours);
        Ok(())
    }

    /// Takes the connection that has waited longest; `Err` with how the call
    /// goes on when there is none and it `waits`.
    ///
    /// # Errors
    /// [`KernelError::InvalidArgument`] for a socket that does not listen,
    /// [`KernelError::WouldBlock`].
    pub fn accept<P: Port>(
        &self,
        running: &mut Running<P>,
        waits: bool,
    ) -> Result<Result<Side, Flow>, KernelError> {
        let mut state = self.state.borrow_mut();
        let State::Listening(listener) = &mut *state else {
            return Err(KernelError::InvalidArgument);
        };
        match listener.pending.pop_front() {
            Some(side) => Ok(Ok(side)),
            None if waits => Ok(Err(running.wait_in(&listener.waiting))),
            None => Err(KernelError::WouldBlock),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let sockets = &self.sockets;
        if let Some(address) = self.address.get() {
            sockets.bound.borrow_mut().remove(address.name.padded());
        }
        if let State::Listening(listener) = self.state.get_mut() {
            sockets.hangups.add(&listener.waiting);
        }
        sockets.quota.give(SOCKET_COST);
    }
}

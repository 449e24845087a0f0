//! The files of a socket: what each can do.

use alloc::rc::Rc;

use super::Socket;
use super::State;
use super::connection::Side;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{Mode, OpenFile, Ready};
use crate::object::wait::Entry;
use crate::personality;
use crate::port::Port;
use crate::user;

/// Longest number of a socket, in digits.
pub const DIGITS_MAX: usize = 20;

/// A part of a socket that has a name in its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Takes commands.
    Control,
    /// Receives and sends.
    Data,
    /// Opening it accepts a connection.
    Accept,
}

/// What an open file of a socket leads to.
#[derive(Debug)]
pub enum SocketFile {
    /// The file that made it: reads its number.
    Number(Rc<Socket>),
    /// Takes commands.
    Control(Rc<Socket>),
    /// Receives and sends.
    Data(Rc<Socket>),
    /// Receives and sends on an accepted connection.
    Accepted(Side),
    /// The name of an address: knows no operation.
    Address,
}

impl SocketFile {
    /// It has something to read.
    pub fn reads(&self) -> bool {
        !matches!(self, Self::Control(_) | Self::Address)
    }

    /// It takes what is written.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Number(_) | Self::Address)
    }

    /// Reads the number, or receives a message.
    ///
    /// # Errors
    /// [`KernelError::NotConnected`], and as [`Side::receive`].
    pub fn read<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        file: &OpenFile,
        address: u64,
        count: u64,
    ) -> Result<Flow, KernelError> {
        let waits = !file.mode.contains(Mode::NONBLOCK);
        match self {
            Self::Number(socket) => {
                let read = read_number(kernel, running, file, socket.number, address, count);
                read.map(Flow::Return)
            }
            Self::Data(socket) => match &*socket.state.borrow() {
                State::Connected(side) => {
                    let waits = waits && !socket.nonblock;
                    side.receive(kernel, running, address, count, waits)
                }
                _ => Err(KernelError::NotConnected),
            },
            Self::Accepted(side) => side.receive(kernel, running, address, count, waits),
            Self::Control(_) | Self::Address => Err(KernelError::NotSupported),
        }
    }

    /// Obeys a command, or sends a message.
    ///
    /// # Errors
    /// [`KernelError::NotConnected`], as [`Side::send`], and those of commands.
    pub fn write<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        file: &OpenFile,
        address: u64,
        count: u64,
    ) -> Result<Flow, KernelError> {
        let waits = !file.mode.contains(Mode::NONBLOCK);
        match self {
            Self::Control(socket) => {
                let obeyed = personality::control_socket(kernel, running, socket, address, count);
                obeyed.map(|()| Flow::Return(count))
            }
            Self::Data(socket) => match &*socket.state.borrow() {
                State::Connected(side) => {
                    let waits = waits && !socket.nonblock;
                    side.send(kernel, running, address, count, waits)
                }
                _ => Err(KernelError::NotConnected),
            },
            Self::Accepted(side) => side.send(kernel, running, address, count, waits),
            Self::Number(_) | Self::Address => Err(KernelError::NotSupported),
        }
    }

    /// What can be done without waiting: at a socket that listens, accepting
    /// counts as reading.
    ///
    /// # Errors
    /// [`KernelError::NotSupported`] for files that never wait,
    /// [`KernelError::InvalidArgument`] for a socket that is nothing yet.
    pub fn ready(&self) -> Result<Ready, KernelError> {
        match self {
            Self::Data(socket) => match &*socket.state.borrow() {
                State::Idle => Err(KernelError::InvalidArgument),
                State::Listening(listener) if listener.pending.is_empty() => Ok(Ready::NONE),
                State::Listening(_) => Ok(Ready::IN),
                State::Connected(side) => Ok(side.ready()),
            },
            Self::Accepted(side) => Ok(side.ready()),
            Self::Number(_) | Self::Control(_) | Self::Address => Err(KernelError::NotSupported),
        }
    }

    /// Enters a parked thread for any change of what is [`ready`](Self::ready).
    pub fn enter(&self, entry: Entry) {
        match self {
            Self::Data(socket) => match &*socket.state.borrow() {
                State::Idle => {}
                State::Listening(listener) => listener.waiting.enter(entry),
                State::Connected(side) => side.enter(entry),
            },
            Self::Accepted(side) => side.enter(entry),
            Self::Number(_) | Self::Control(_) | Self::Address => {}
        }
    }
}

/// Reads a number in decimal, without an end, from the file's position on.
fn read_number<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    number: u64,
    address: u64,
    count: u64,
) -> Result<u64, KernelError> {
    let mut buffer = [0; DIGITS_MAX];
    let digits = decimal(number, &mut buffer);
    let position = usize::try_from(file.position.get()).unwrap_or(usize::MAX);
    let rest = digits.get(position..).unwrap_or_default();
    let length = usize::try_from(count).unwrap_or(usize::MAX).min(rest.len());
    let space = &mut running.process.space;
    user::write(&mut kernel.machine, space, address, &rest[..length])?;
    file.position.update(|position| position + length as u64);
    Ok(length as u64)
}

/// The digits of a number.
pub fn decimal(mut number: u64, buffer: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 || at == 0 {
            return &buffer[at..];
        }
    }
}

//! Waiting for QEMU: its sockets, its bytes, its end.
//!
//! Purpose: everything that can block, each with a deadline; nobody waits for
//! QEMU to take bytes, which it does when the guest has room. Neighbours:
//! [`super::qemu`] owns the sockets.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Waker;
use super::qemu::{broken, is_for_later};
use crate::error::Result;

/// Longest that a send may wait for QEMU to take earlier bytes.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Two sockets that are connected: one to keep, and one for QEMU.
pub(super) fn pair() -> Result<(UnixStream, UnixStream)> {
    let made = UnixStream::pair().and_then(|(own, theirs)| {
        own.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok((own, theirs))
    });
    made.map_err(|error| broken("make a pair of sockets for QEMU", error))
}

/// One of the guest's lines: bytes from QEMU, and those that it has not taken.
pub(super) struct Socket {
    stream: UnixStream,
    unsent: VecDeque<u8>,
}

impl Socket {
    /// Takes over a stream.
    pub(super) fn new(stream: UnixStream) -> Result<Self> {
        let made = stream.set_nonblocking(true);
        made.map_err(|error| broken("make a pair of sockets for QEMU", error))?;
        Ok(Self {
            stream,
            unsent: VecDeque::new(),
        })
    }

    /// What to wait for: bytes, and room for those that are to be sent.
    pub(super) fn poll(&self) -> PollFd<'_> {
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, !self.unsent.is_empty());
        PollFd::new(self.stream.as_fd(), events)
    }

    /// Reads what there is, if there is something; no bytes are an end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        match self.stream.read(buffer) {
            Ok(count) => Ok(Some(count)),
            Err(error) if is_for_later(&error) => Ok(None),
            Err(error) if is_closed(&error) => Ok(Some(0)),
            Err(error) => Err(broken("read from QEMU", error)),
        }
    }

    /// Sends, as far as QEMU takes it; the rest when it does.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.unsent.extend(bytes);
        self.flush()
    }

    /// Sends what was not taken before.
    pub(super) fn flush(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent.as_slices().0) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_for_later(&error) => break,
                // QEMU has ended: the next run says how.
                Err(error) if is_closed(&error) => self.unsent.clear(),
                Err(error) => return Err(broken("send to the guest in QEMU", error)),
            }
        }
        Ok(())
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

/// Something that another thread can do to end a wait: a byte in a socket.
pub(super) struct Bell {
    listener: UnixStream,
    ringer: Arc<UnixStream>,
}

impl Bell {
    /// A silent one.
    pub(super) fn new() -> Result<Self> {
        let made = UnixStream::pair().and_then(|(listener, ringer)| {
            listener.set_nonblocking(true)?;
            ringer.set_nonblocking(true)?;
            Ok((listener, Arc::new(ringer)))
        });
        let (listener, ringer) = made.map_err(|error| broken("make a pair of sockets", error))?;
        Ok(Self { listener, ringer })
    }

    /// What rings it.
    pub(super) fn waker(&self) -> Waker {
        let ringer = Arc::clone(&self.ringer);
        // A socket that is full is ringing already.
        Waker::new(move || drop((&*ringer).write(&[1])))
    }

    /// What is readable while it rings.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Silences it; whether it rang.
    pub(super) fn silence(&mut self) -> bool {
        let mut rang = false;
        let mut rings = [0; 256];
        while self.listener.read(&mut rings).is_ok_and(|count| count > 0) {
            rang = true;
        }
        rang
    }
}

/// Something to wait for bytes on.
pub(super) fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}

/// Waits until one of `fds` has something; `false`: the deadline passed.
pub(super) fn ready(fds: &mut [PollFd<'_>], deadline: Instant) -> Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the deadline has passed when this times out.
        let milliseconds = left.as_millis().saturating_add(1);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        match poll(fds, timeout) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(broken("wait for QEMU", error)),
        }
    }
}

//! What comes from this terminal: keys, and signals.
//!
//! Purpose: one thread waits for both and wakes the machine, which runs on
//! another one. Signals are blocked and read from a descriptor, so that nothing
//! is ever done in a handler. Neighbours: `session` takes what came.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use mayfly::terminal::TerminalWaker;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::read;

/// Signals that mean something to a person's session.
const SIGNALS: [Signal; 6] = [
    Signal::SIGWINCH,
    Signal::SIGCONT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
];
/// Bytes that are read at once.
const CHUNK: usize = 4096;

/// Something that came.
#[derive(Debug)]
pub(crate) enum Came {
    /// Keys.
    Typed(Vec<u8>),
    /// The terminal is gone.
    Closed,
    /// The window has another size, or the terminal may have been changed.
    Changed,
    /// Somebody wants this process to end.
    End(Signal),
}

/// Signals that are read, not handled.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks them in this thread, and in those that it starts.
    pub(crate) fn block() -> anyhow::Result<Self> {
        let mut set = SigSet::empty();
        for signal in SIGNALS {
            set.add(signal);
        }
        set.thread_block().context("cannot block signals")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&set, flags).context("cannot read signals")?;
        Ok(Self(fd))
    }
}

/// What came and was not taken.
pub(crate) struct Input(Arc<Shared>);

struct Shared {
    came: Mutex<VecDeque<Came>>,
    waker: Mutex<TerminalWaker>,
}

impl Input {
    /// Begins to listen; whatever comes wakes the machine.
    pub(crate) fn start(signals: Signals, waker: TerminalWaker) -> Self {
        let shared = Arc::new(Shared {
            came: Mutex::default(),
            waker: Mutex::new(waker),
        });
        let own = Arc::clone(&shared);
        // It ends with the terminal or with this process.
        std::thread::spawn(move || own.listen(&signals));
        Self(shared)
    }

    /// Takes the next thing that came.
    pub(crate) fn take(&self) -> Option<Came> {
        lock(&self.0.came).pop_front()
    }

    /// Another machine is to be woken.
    pub(crate) fn wake_instead(&self, waker: TerminalWaker) {
        *lock(&self.0.waker) = waker;
    }
}

impl Shared {
    fn listen(&self, signals: &Signals) {
        let stdin = io::stdin();
        loop {
            let mut fds = [
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.0.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(_) => return self.push(Came::Closed),
            }
            let ready = fds.map(|fd| fd.any().unwrap_or(true));
            if ready[1] {
                while let Ok(Some(info)) = signals.0.read_signal() {
                    let number = i32::try_from(info.ssi_signo).unwrap_or(0);
                    self.push(match Signal::try_from(number) {
                        Ok(Signal::SIGWINCH | Signal::SIGCONT) | Err(_) => Came::Changed,
                        Ok(signal) => Came::End(signal),
                    });
                }
            }
            if ready[0] {
                let mut bytes = vec![0; CHUNK];
                match read(&stdin, &mut bytes) {
                    Ok(0) => return self.push(Came::Closed),
                    Ok(count) => {
                        bytes.truncate(count);
                        self.push(Came::Typed(bytes));
                    }
                    Err(Errno::EINTR | Errno::EAGAIN) => {}
                    Err(_) => return self.push(Came::Closed),
                }
            }
        }
    }

    fn push(&self, came: Came) {
        lock(&self.came).push_back(came);
        lock(&self.waker).wake();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

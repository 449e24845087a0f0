//! What comes from this terminal: keys, and signals.
//!
//! Purpose: one thread waits for both and wakes the machine, which runs on
//! another one. Signals are blocked and read from a descriptor, so that nothing
//! is ever done in a handler. Neighbours: `session` takes what came.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use mayfly::terminal::{Terminal, TerminalKeyboard, TerminalWaker};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::read;

use super::menu;

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
    /// Something came.
    something: Condvar,
    /// Locked before `came`.
    line: Mutex<Line>,
}

/// The way to the machine.
struct Line {
    waker: TerminalWaker,
    keyboard: Option<TerminalKeyboard>,
    /// Keys may go there without the session.
    open: bool,
}

impl Input {
    /// Begins to listen; whatever comes wakes the machine of that terminal.
    pub(crate) fn start(signals: Signals, terminal: &Terminal) -> mayfly::Result<Self> {
        let shared = Arc::new(Shared {
            came: Mutex::default(),
            something: Condvar::new(),
            line: Mutex::new(Line::to(terminal)?),
        });
        let own = Arc::clone(&shared);
        // It ends with the terminal or with this process.
        std::thread::spawn(move || own.listen(&signals));
        Ok(Self(shared))
    }

    /// Takes the next thing that came.
    pub(crate) fn take(&self) -> Option<Came> {
        lock(&self.0.came).pop_front()
    }

    /// Waits until something is there to be taken, while no machine runs.
    pub(crate) fn wait(&self) {
        let came = lock(&self.0.came);
        let waited = self.0.something.wait_while(came, |came| came.is_empty());
        drop(waited);
    }

    /// Another machine is to be woken.
    pub(crate) fn turn_to(&self, terminal: &Terminal) -> mayfly::Result<()> {
        *lock(&self.0.line) = Line::to(terminal)?;
        Ok(())
    }

    /// Whether keys that mean nothing to the session may go to the machine as they
    /// come: that wakes one thread less.
    pub(crate) fn let_pass(&self, open: bool) {
        lock(&self.0.line).open = open;
    }
}

impl Line {
    fn to(terminal: &Terminal) -> mayfly::Result<Self> {
        Ok(Self {
            waker: terminal.waker()?,
            keyboard: terminal.keyboard()?,
            open: false,
        })
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
                        if !self.passes(&bytes) {
                            self.push(Came::Typed(bytes));
                        }
                    }
                    Err(Errno::EINTR | Errno::EAGAIN) => {}
                    Err(_) => return self.push(Came::Closed),
                }
            }
        }
    }

    /// Types, unless the session has to look at it or at something before it.
    fn passes(&self, bytes: &[u8]) -> bool {
        let line = lock(&self.line);
        let keyboard = line.keyboard.as_ref().filter(|_| line.open);
        let is_for_session = bytes.contains(&menu::KEY) || !lock(&self.came).is_empty();
        keyboard.is_some_and(|keyboard| !is_for_session && keyboard.types(bytes))
    }

    fn push(&self, came: Came) {
        lock(&self.came).push_back(came);
        self.something.notify_one();
        lock(&self.line).waker.wake();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

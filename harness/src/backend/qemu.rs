//! QEMU as a back end: the same kernel file and bundle, another machine.
//!
//! Purpose: starts `qemu-system-x86_64 -M microvm`, with the guest's ports on
//! sockets and the images in memory files that it inherits (so that nothing is
//! polled for and nothing lies in a directory), and reads its end from its exit
//! status. The TCG of QEMU shows the processor's true rules. Neighbours:
//! [`super::qmp`] asks where the processor is; [`super::spawner`] starts it.

mod arguments;

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Child, ChildStderr, ExitStatus};
use std::time::Instant;

use command_fds::{CommandFdExt as _, FdMapping};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

pub(crate) use arguments::PROGRAM;
use arguments::{BUNDLE, KERNEL, SOCKETS, STREAMS};

use super::qmp::Qmp;
use super::sockets::{Bell, Socket, pair, readable, ready};
use super::{Backend, Counting, End, Stop, Stream, Waker, spawner};
use crate::error::{Error, Result};
use crate::image;
use crate::metering::Visit;
use crate::options::VmOptions;

/// Exit status of a QEMU that cannot do what its arguments say.
const REFUSAL: i32 = 1;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// Most that is kept of what QEMU says on its standard error: its last words.
const WORDS_MAX: usize = 16 << 10;

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Deadline,
    Bell,
    /// Some stream has bytes, or QEMU has closed one.
    Bytes,
}

/// A machine in a QEMU process.
pub(crate) struct Qemu {
    child: Child,
    stderr: ChildStderr,
    /// What it said there.
    words: Vec<u8>,
    streams: Vec<Socket>,
    taken: [Vec<u8>; 4],
    monitor: Qmp,
    bell: Bell,
    /// It has closed a stream, which is readable for ever from then on.
    closing: bool,
    /// The guest has written something: QEMU itself is in order.
    spoke: bool,
    ended: Option<End>,
}

impl Qemu {
    /// Starts QEMU; the guest boots at once.
    pub(crate) fn start(options: &VmOptions) -> Result<Self> {
        let bundle = image::merged_bundle(&options.files)?;
        let mut inherited = vec![
            (KERNEL, in_memory("kernel", image::kernel())?),
            (BUNDLE, in_memory("bundle", &bundle)?),
        ];
        let mut streams = Vec::new();
        for (number, _) in SOCKETS.zip(arguments::names()) {
            let (own, theirs) = pair()?;
            streams.push(own);
            inherited.push((number, theirs.into()));
        }
        let Some(monitor) = streams.pop() else {
            return Err(broken("talk to QEMU", "no monitor"));
        };
        let mut command = arguments::command(options, bundle.len())?;
        let mappings = inherited
            .into_iter()
            .map(|(child_fd, parent_fd)| FdMapping {
                parent_fd,
                child_fd,
            });
        command
            .fd_mappings(mappings.collect())
            .map_err(|error| broken("pass files to QEMU", error))?;
        let bell = Bell::new()?;
        let mut child = spawner::spawn(command).map_err(|error| not_started(&error))?;
        let Some(stderr) = child.stderr.take() else {
            return Err(broken("read QEMU's errors", "it has no standard error"));
        };
        let this = Self {
            child,
            stderr,
            words: Vec::new(),
            streams: streams
                .into_iter()
                .map(Socket::new)
                .collect::<Result<_>>()?,
            taken: Default::default(),
            monitor: Qmp::new(monitor),
            bell,
            closing: false,
            spoke: false,
            ended: None,
        };
        never_waits(&this.stderr).map_err(|error| broken("read QEMU's errors", error))?;
        Ok(this)
    }

    /// Waits for bytes, for QEMU's end, or for the bell; sends what was not
    /// taken before.
    fn wait(&mut self, deadline: Instant) -> Result<Waited> {
        // What is there counts, and then the time is over, whatever comes.
        let is_late = Instant::now() >= deadline;
        let open = match self.closing {
            true => 0,
            false => self.streams.len(),
        };
        let mut fds = vec![readable(self.bell.as_fd()), readable(self.stderr.as_fd())];
        fds.extend(self.streams[..open].iter().map(Socket::poll));
        if !ready(&mut fds, deadline)? {
            return Ok(Waited::Deadline);
        }
        let flags: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        for index in (0..open).filter(|index| flags[2 + index]) {
            self.closing |= self.read(index)? == Some(0);
            self.streams[index].flush()?;
        }
        // QEMU's end closes its standard error; only its end does.
        if flags[1] && self.read_words()? {
            self.finish()?;
        }
        let rang = self.bell.silence();
        Ok(match (is_late, rang) {
            (true, _) => Waited::Deadline,
            (false, true) => Waited::Bell,
            (false, false) => Waited::Bytes,
        })
    }

    /// Reads what a stream has, if it has something; an end of file is left for
    /// [`Qemu::finish`].
    fn read(&mut self, index: usize) -> Result<Option<usize>> {
        let mut chunk = [0; CHUNK];
        let count = self.streams[index].read(&mut chunk)?;
        self.taken[index].extend_from_slice(&chunk[..count.unwrap_or(0)]);
        self.spoke |= count.is_some_and(|count| count > 0);
        Ok(count)
    }

    /// Reads what QEMU says on its standard error; whether that is at its end.
    fn read_words(&mut self) -> Result<bool> {
        let mut chunk = [0; WORDS_MAX];
        let count = match self.stderr.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if is_for_later(&error) => return Ok(false),
            Err(error) => return Err(broken("read QEMU's errors", error)),
        };
        self.words.extend_from_slice(&chunk[..count]);
        let surplus = self.words.len().saturating_sub(WORDS_MAX);
        self.words.drain(..surplus);
        Ok(count == 0)
    }

    /// Takes QEMU's last bytes and its exit status; it has closed its standard
    /// error.
    fn finish(&mut self) -> Result<()> {
        let status = self
            .child
            .wait()
            .map_err(|error| broken("wait for QEMU", error))?;
        for index in 0..self.streams.len() {
            while self.read(index)?.is_some_and(|count| count > 0) {}
        }
        let words = String::from_utf8_lossy(&self.words);
        if status.code() == Some(REFUSAL) && !self.spoke {
            return Err(broken("start QEMU", words.trim()));
        }
        self.ended = Some(end(status, words.trim()));
        Ok(())
    }
}

impl Backend for Qemu {
    fn run(&mut self, deadline: Instant) -> Result<Stop> {
        loop {
            if let Some(end) = &self.ended {
                return Ok(Stop::Ended(end.clone()));
            }
            let waited = self.wait(deadline)?;
            if self.ended.is_some() {
                continue;
            }
            if waited == Waited::Deadline {
                return Ok(Stop::Deadline(self.monitor.position()));
            }
            let output = self.taken.iter().any(|bytes| !bytes.is_empty());
            if output || waited == Waited::Bell {
                return Ok(Stop::Output);
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.type_on(Stream::Control, bytes)
    }

    fn type_on(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        let index = STREAMS.iter().position(|other| *other == stream);
        let Some(line) = index.and_then(|index| self.streams.get_mut(index)) else {
            return Err(broken("send to the guest", "QEMU has no such port"));
        };
        line.send(bytes)
    }

    fn waker(&self) -> Waker {
        self.bell.waker()
    }

    fn take(&mut self, stream: Stream) -> Vec<u8> {
        let index = STREAMS.iter().position(|other| *other == stream);
        index.map_or_else(Vec::new, |index| std::mem::take(&mut self.taken[index]))
    }

    fn meter(&mut self, _: Option<Counting>) -> Result<bool> {
        Ok(false)
    }

    fn take_visits(&mut self) -> Vec<Visit> {
        Vec::new()
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(super) fn is_for_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Reads give what there is from now on, and never wait.
fn never_waits(stderr: &ChildStderr) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(stderr, FcntlArg::F_GETFL)?);
    fcntl(stderr, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// What QEMU's exit status says about the guest.
fn end(status: ExitStatus, words: &str) -> End {
    match status.code() {
        // isa-debug-exit ends QEMU with twice the code and one.
        Some(code) if code > 1 && code % 2 == 1 => End::Exit(code.unsigned_abs() / 2),
        Some(0) => End::Crash {
            message: "the guest reset its machine (a triple fault)".into(),
            position: None,
        },
        _ => End::Lost(format!("QEMU ended: {status}. {words}")),
    }
}

/// A file in memory that QEMU is to read.
fn in_memory(name: &str, bytes: &[u8]) -> Result<OwnedFd> {
    let made = memfd_create(name, MFdFlags::MFD_CLOEXEC).map_err(std::io::Error::from);
    let written = made.and_then(|fd| {
        let mut file = File::from(fd);
        file.write_all(bytes)?;
        Ok(file.into())
    });
    written.map_err(|error| broken(format!("keep the {name} in memory for QEMU"), error))
}

fn not_started(error: &std::io::Error) -> Error {
    let what = format!("cannot start {PROGRAM}");
    match error.kind() {
        ErrorKind::NotFound => Error::broken(
            what,
            "it is not installed, or not in PATH",
            "`apt-get install qemu-system-x86` (Debian), `dnf install qemu-system-x86-core` \
             (Fedora); or MAYFLY_BACKEND=kvm",
        ),
        _ => Error::broken(what, error, "MAYFLY_BACKEND=kvm, or a working QEMU"),
    }
}

pub(super) fn broken(what: impl Into<String>, why: impl ToString) -> Error {
    let what = format!("cannot {}", what.into());
    Error::broken(what, why, "`mayfly doctor`; or MAYFLY_BACKEND=kvm")
}

#[cfg(test)]
mod tests;

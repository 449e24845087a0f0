//! QEMU as a back end: the same kernel file and bundle, another machine.
//!
//! Purpose: starts `qemu-system-x86_64 -M microvm`, with the guest's ports on
//! sockets and the images in memory files that it inherits (so that nothing is
//! polled for and nothing lies in a directory), and reads its end from its exit
//! status. The TCG of QEMU shows the processor's true rules. Neighbours:
//! [`super::qmp`] asks where the processor is; [`super::spawner`] starts it.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Instant;

use command_fds::{CommandFdExt as _, FdMapping};
use nix::poll::PollFd;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::qmp::Qmp;
use super::sockets::{Bell, pair, readable, ready};
use super::{Backend, Counting, End, Stop, Stream, Waker, spawner};
use crate::error::{Error, Result};
use crate::image;
use crate::metering::Visit;
use crate::options::VmOptions;

/// Program to start.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";
/// Sockets, in the order of [`Qemu::streams`].
const STREAMS: [Stream; 4] = [
    Stream::Control,
    Stream::Trace,
    Stream::Console,
    Stream::Serial,
];
/// Name of the monitor's socket.
const MONITOR: &str = "monitor";
/// Descriptors of QEMU: the kernel, the bundle, then a socket for each stream
/// and one for the monitor. 0, 1 and 2 are the standard ones.
const KERNEL: i32 = 3;
const BUNDLE: i32 = 4;
const SOCKETS: std::ops::RangeFrom<i32> = 5..;
/// Exit status of a QEMU that cannot do what its arguments say.
const REFUSAL: i32 = 1;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;

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
    streams: Vec<UnixStream>,
    taken: [Vec<u8>; 4],
    monitor: Qmp,
    bell: Bell,
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
        for (number, _) in SOCKETS.zip(names()) {
            let (own, theirs) = pair()?;
            streams.push(own);
            inherited.push((number, theirs.into()));
        }
        let Some(monitor) = streams.pop() else {
            return Err(broken("talk to QEMU", "no monitor"));
        };
        let mut command = command(options, bundle.len());
        let mappings = inherited
            .into_iter()
            .map(|(child_fd, parent_fd)| FdMapping {
                parent_fd,
                child_fd,
            });
        command
            .fd_mappings(mappings.collect())
            .map_err(|error| broken("pass files to QEMU", error))?;
        let mut child = spawner::spawn(command).map_err(|error| not_started(&error))?;
        let Some(stderr) = child.stderr.take() else {
            return Err(broken("read QEMU's errors", "it has no standard error"));
        };
        Ok(Self {
            child,
            stderr,
            streams,
            taken: Default::default(),
            monitor: Qmp::new(monitor),
            bell: Bell::new()?,
            spoke: false,
            ended: None,
        })
    }

    /// Waits for bytes, for QEMU's end, or for the bell.
    fn wait(&mut self, deadline: Instant) -> Result<Waited> {
        let mut fds: Vec<PollFd<'_>> = self.streams.iter().map(|s| readable(s.as_fd())).collect();
        fds.push(readable(self.bell.as_fd()));
        fds.push(readable(self.stderr.as_fd()));
        if !ready(&mut fds, deadline)? {
            return Ok(Waited::Deadline);
        }
        let flags: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        for (index, _) in flags.iter().enumerate().filter(|(_, ready)| **ready) {
            if index < self.streams.len() {
                self.read(index)?;
            }
        }
        // QEMU's end closes its standard error; only its end does.
        if flags.last() == Some(&true) {
            self.finish()?;
        }
        Ok(match self.bell.silence() {
            true => Waited::Bell,
            false => Waited::Bytes,
        })
    }

    /// Reads what a stream has; an end of file is left for [`Qemu::finish`].
    fn read(&mut self, index: usize) -> Result<usize> {
        let mut chunk = [0; CHUNK];
        match self.streams[index].read(&mut chunk) {
            Ok(count) => {
                self.taken[index].extend_from_slice(&chunk[..count]);
                self.spoke |= count > 0;
                Ok(count)
            }
            Err(error) if is_closed(&error) => Ok(0),
            Err(error) => Err(broken("read from QEMU", error)),
        }
    }

    /// Takes QEMU's last bytes and its exit status.
    fn finish(&mut self) -> Result<()> {
        let mut words = String::new();
        // Returns at end of file, which is QEMU's end.
        self.stderr
            .read_to_string(&mut words)
            .map_err(|error| broken("read QEMU's errors", error))?;
        for index in 0..self.streams.len() {
            while self.read(index)? > 0 {}
        }
        let status = self
            .child
            .wait()
            .map_err(|error| broken("wait for QEMU", error))?;
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
            if waited == Waited::Deadline {
                return Ok(Stop::Deadline(self.monitor.position()));
            }
            let output = self.taken.iter().any(|bytes| !bytes.is_empty());
            if self.ended.is_none() && (output || waited == Waited::Bell) {
                return Ok(Stop::Output);
            }
            // A stream that QEMU closed is readable for ever: wait for its end.
            if self.ended.is_none() {
                self.finish()?;
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
        match line.write_all(bytes) {
            Ok(()) => {}
            // QEMU has ended: the next run says how.
            Err(error) if is_closed(&error) => {}
            Err(error) => return Err(broken("send to the guest in QEMU", error)),
        }
        Ok(())
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

/// Names of the sockets in their order: each stream, then the monitor.
fn names() -> impl Iterator<Item = &'static str> {
    STREAMS.map(name).into_iter().chain([MONITOR])
}

/// Name of a stream's socket and character device.
fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Control => "control",
        Stream::Trace => "trace",
        Stream::Console => "console",
        Stream::Serial => "serial",
    }
}

fn command(options: &VmOptions, bundle_bytes: usize) -> Command {
    // QEMU puts the bundle into the guest's RAM, Mayfly's VMM beside it.
    let kibibytes = (options.memory_bytes + bundle_bytes as u64).next_multiple_of(1 << 20) >> 10;
    let accelerator = std::env::var("MAYFLY_QEMU_ACCEL").unwrap_or_else(|_| "tcg".into());
    let cpu = if accelerator == "kvm" { "host" } else { "max" };
    let mut command = Command::new(PROGRAM);
    command
        .args([
            "-M",
            "microvm,acpi=off,x-option-roms=off,rtc=off,pit=off,pic=off,isa-serial=on",
        ])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-accel", &accelerator, "-cpu", cpu])
        .args([
            "-m",
            &format!("{kibibytes}K"),
            "-smp",
            &options.cpus.to_string(),
        ])
        .args(["-kernel", &format!("/proc/self/fd/{KERNEL}")])
        .args(["-initrd", &format!("/proc/self/fd/{BUNDLE}")])
        .args(["-append", &options.full_command_line()])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"])
        .args(["-global", "virtio-mmio.force-legacy=false"])
        .args(["-device", "virtio-serial-device,max_ports=4"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for (number, name) in SOCKETS.zip(names()) {
        command.args(["-chardev", &format!("socket,id={name},fd={number}")]);
    }
    command
        .args(["-serial", "chardev:serial"])
        .args([
            "-device",
            "virtconsole,name=mayfly.console,chardev=console,nr=0",
        ])
        .args([
            "-device",
            "virtserialport,name=mayfly.control,chardev=control,nr=1",
        ])
        .args([
            "-device",
            "virtserialport,name=mayfly.trace,chardev=trace,nr=2",
        ])
        .args(["-mon", "chardev=monitor,mode=control"])
        .args(&options.qemu_arguments);
    command
}

fn is_closed(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
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
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn exit_statuses_are_read_as_qemu_writes_them() {
        let status = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(end(status(0x10 * 2 + 1), ""), End::Exit(0x10));
        assert!(matches!(end(status(0), ""), End::Crash { .. }));
        assert!(
            matches!(end(status(1), "bad option"), End::Lost(words) if words.contains("bad option"))
        );
        assert!(matches!(end(ExitStatus::from_raw(9), ""), End::Lost(_)));
    }

    #[test]
    fn a_missing_program_names_the_package() {
        let error = not_started(&ErrorKind::NotFound.into()).to_string();
        assert!(error.contains("apt-get install qemu-system-x86"), "{error}");
    }
}

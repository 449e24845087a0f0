//! What a machine has told so far.
//!
//! Purpose: turns events and trace records into state that callers look things
//! up in: answers by request, processes by pid, last words. Pure data, so it is
//! tested without a machine. Neighbours: `known` has what is of one process,
//! `limits` says how much is kept, `telling` hands it on to whoever waits;
//! [`crate::client`] feeds it, `guest`, `probe` and `report` read it.

mod known;
mod limits;
mod telling;

use std::collections::{BTreeMap, VecDeque};

use mayfly_abi::Abi;
use mayfly_abi::mailbox::Mailbox;
use mayfly_wire::message::{Event, Refusal, Stats};

use crate::error::{Error, Result};
use crate::image;
use crate::options::ExtraFile;
use crate::phase::Phase;
use crate::report::Panicked;
use crate::symbols::{self, Frame};
use crate::transcript::Call;

pub(crate) use known::Known;
#[cfg(test)]
pub(crate) use limits::Limits;
pub(crate) use telling::Told;

/// Calls kept for a failure report, over all processes.
const RECENT_MAX: usize = 12;
/// Lines of the log kept for whoever looks on.
const LOG_MAX: usize = 1000;
/// Bytes kept of each text stream of the machine.
const TEXT_MAX: usize = 64 << 10;

/// First message of a kernel, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Name and version of the kernel.
    pub kernel: String,
    /// Protocol version.
    pub version: u16,
    /// Entered in 64-bit mode (else by PVH).
    pub direct: bool,
    /// TSC at its first instructions.
    pub entered_tsc: u64,
    /// TSC when it was ready.
    pub ready_tsc: u64,
    /// TSC rate, in kHz.
    pub tsc_khz: u32,
    /// Protections in force, as the bits of the wire message.
    pub protections: u32,
    /// Free frames.
    pub frames_free: u64,
}

impl Ready {
    /// It speaks this library's version of the protocol.
    pub(crate) fn check_version(&self) -> Result<()> {
        if self.version == mayfly_wire::VERSION {
            return Ok(());
        }
        Err(Error::broken(
            format!("{} speaks another protocol version", self.kernel),
            format!(
                "its version is {}, ours {}",
                self.version,
                mayfly_wire::VERSION
            ),
            "rebuild kernel and harness together; they share kernel/wire",
        ))
    }
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Started {
        pid: u64,
        root: u64,
        abi: u8,
    },
    Refused {
        reason: Refusal,
        message: String,
    },
    Returned(Returned),
    Stats(Stats),
    Served([u64; 2]),
    Pong,
    Stopped,
    /// The machine stands still for a call; address of the probe's mailbox.
    Awaiting(u64),
}

impl Answer {
    /// What the kernel has done, as a sentence without its subject.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Started { pid, .. } => format!("started process {pid}"),
            Self::Refused { message, .. } => format!("refused: {message}"),
            Self::Returned(returned) => format!("made a call, with result {:#x}", returned.value),
            Self::Stats(_) => "told how much of everything it has".into(),
            Self::Served(_) => "told which calls it serves".into(),
            Self::Pong => "said that it is there".into(),
            Self::Stopped => "stood still".into(),
            Self::Awaiting(_) => "stood still for a call".into(),
        }
    }
}

/// Result of a raw call, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) value: u64,
    pub(crate) error: u32,
    pub(crate) before_tsc: u64,
    pub(crate) after_tsc: u64,
    pub(crate) buffer: Vec<u8>,
}

impl From<&Mailbox> for Returned {
    fn from(mailbox: &Mailbox) -> Self {
        Self {
            value: mailbox.result,
            // What the kernel writes there has no more.
            error: u32::try_from(mailbox.error).unwrap_or(u32::MAX),
            before_tsc: mailbox.before_tsc,
            after_tsc: mailbox.after_tsc,
            buffer: Vec::new(),
        }
    }
}

/// Everything a machine has told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    pub(crate) ready: Option<Ready>,
    pub(crate) phase: Phase,
    pub(crate) answers: BTreeMap<u32, Answer>,
    pub(crate) processes: BTreeMap<u64, Known>,
    pub(crate) recent: VecDeque<Call>,
    /// The call that was in a mailbox has returned.
    pub(crate) called: bool,
    pub(crate) bad_requests: VecDeque<String>,
    pub(crate) panicked: Option<Panicked>,
    /// Text of the kernel: its log, its terminal, COM1.
    pub(crate) console: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    /// Lines of the kernel's log that nobody has looked at.
    pub(crate) log: VecDeque<String>,
    /// Programs that the caller brought: their symbols are wanted in reports.
    pub(crate) files: Vec<ExtraFile>,
    pub(crate) limits: limits::Limits,
    /// Bytes that are kept of all processes.
    pub(crate) bytes: usize,
}

impl Journal {
    /// Takes in one event.
    pub(crate) fn apply(&mut self, event: Event<'_>) {
        match event {
            Event::Ready(ready) => {
                self.phase = Phase::Ready;
                self.ready = Some(Ready {
                    kernel: ready.kernel.into(),
                    version: ready.version,
                    direct: ready.direct,
                    entered_tsc: ready.entered_tsc,
                    ready_tsc: ready.ready_tsc,
                    tsc_khz: ready.tsc_khz,
                    protections: ready.protections,
                    frames_free: ready.frames_free,
                });
            }
            Event::Started { id, pid, root, abi } => {
                self.phase = Phase::Running;
                let process = self.process(pid);
                (process.abi, process.root) = (Abi::from_code(abi), root);
                self.answers.insert(id, Answer::Started { pid, root, abi });
            }
            Event::Refused {
                id,
                reason,
                message,
            } => {
                let message = message.into();
                match id {
                    // Of a request that has no answer.
                    0 => self.bad_request(message),
                    _ => drop(self.answers.insert(id, Answer::Refused { reason, message })),
                }
            }
            Event::Exited(exited) => self.process(exited.pid).exited = Some(exited),
            Event::Returned { id, returned } => {
                let returned = Returned {
                    value: returned.value,
                    error: returned.error,
                    before_tsc: returned.before_tsc,
                    after_tsc: returned.after_tsc,
                    buffer: returned.buffer.into(),
                };
                self.answers.insert(id, Answer::Returned(returned));
            }
            Event::Output { pid, stream, bytes } => self.output(pid, stream, bytes),
            Event::Log { line } => {
                if self.log.len() == LOG_MAX {
                    self.log.pop_front();
                }
                self.log.push_back(line.into());
                keep(&mut self.console, line.as_bytes());
                keep(&mut self.console, b"\n");
            }
            Event::Panic(panic) => self.panicked = Some(Panicked::from(panic)),
            Event::Stats { id, stats } => drop(self.answers.insert(id, Answer::Stats(stats))),
            Event::Served { id, numbers } => {
                self.answers.insert(id, Answer::Served(numbers));
            }
            Event::Pong { id } => drop(self.answers.insert(id, Answer::Pong)),
            Event::Stopped { id } => drop(self.answers.insert(id, Answer::Stopped)),
            Event::Awaiting { id, mailbox } => {
                self.answers.insert(id, Answer::Awaiting(mailbox));
            }
            Event::Called => self.called = true,
            Event::WrongVersion { version } => self.bad_request(format!(
                "the kernel speaks protocol version {version}, this library {}",
                mayfly_wire::VERSION
            )),
            Event::BadRequest { message } => self.bad_request(message.into()),
            Event::Child {
                pid,
                parent,
                root,
                abi,
                program,
            } => {
                self.bytes += program.len();
                let child = self.process(pid);
                child.parent = Some(parent);
                child.root = root;
                child.abi = Abi::from_code(abi);
                child.program = String::from_utf8_lossy(program).into_owned();
            }
            Event::InputRoom { pid, bytes } => {
                let room = &mut self.process(pid).input_room;
                *room = room.saturating_add(bytes.into());
            }
            Event::InputClosed { pid } => self.process(pid).input_closed = true,
        }
    }

    /// Takes in one trace record.
    pub(crate) fn record(&mut self, call: Call) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(call.clone());
        self.bytes += size_of::<Call>() + call.detail().len();
        self.process(call.pid()).calls.push(call);
    }

    /// Takes in bytes of the guest's terminal.
    pub(crate) fn console(&mut self, bytes: &[u8]) {
        keep(&mut self.console, bytes);
    }

    /// Takes in bytes of COM1; a line `phase: NAME` says how far the boot is.
    pub(crate) fn serial(&mut self, bytes: &[u8]) {
        keep(&mut self.serial, bytes);
        if self.ready.is_none() {
            let text = String::from_utf8_lossy(&self.serial);
            let reached = text
                .lines()
                .filter_map(|line| Phase::from_name(line.strip_prefix("phase: ")?.trim()));
            self.phase = self.phase.max(reached.max().unwrap_or_default());
        }
    }

    /// What is known of a process; knowledge of one unheard of is empty.
    pub(crate) fn process(&mut self, pid: u64) -> &mut Known {
        let bytes = &mut self.bytes;
        self.processes.entry(pid).or_insert_with(|| {
            *bytes += size_of::<Known>();
            Known::default()
        })
    }

    /// A process and all that came of it, as far as that is known.
    pub(crate) fn family(&self, pid: u64) -> Vec<u64> {
        let mut family = vec![pid];
        // Whoever makes a process is older, and has a lower number.
        for (child, known) in self.processes.range(pid..) {
            if known.parent.is_some_and(|parent| family.contains(&parent)) {
                family.push(*child);
            }
        }
        family
    }

    /// The function of a program that an address is in.
    pub(crate) fn frame(&self, program: &str, address: u64) -> Option<Frame> {
        let own = self.files.iter().find(|file| file.name == program);
        let bytes = match own {
            Some(file) => &file.bytes,
            None => image::program(program)?.bytes,
        };
        symbols::program_frames(bytes, address).into_iter().next()
    }

    /// The program that runs, if only one does.
    pub(crate) fn only_program(&self) -> Option<&str> {
        let mut running = self
            .processes
            .values()
            .filter(|known| known.exited.is_none() && known.parent.is_none());
        let only = running.next().filter(|_| running.next().is_none())?;
        Some(only.program.as_str()).filter(|name| !name.is_empty())
    }

    fn output(&mut self, pid: u64, stream: u8, bytes: &[u8]) {
        self.bytes += bytes.len();
        let process = self.process(pid);
        match stream {
            2 => process.stderr.extend_from_slice(bytes),
            _ => process.stdout.extend_from_slice(bytes),
        }
    }
}

/// Appends, and drops the oldest bytes beyond [`TEXT_MAX`].
fn keep(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(bytes);
    if text.len() > TEXT_MAX {
        text.drain(..text.len() - TEXT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_wire::message::{Cause, Exited};

    const EXITED: Exited = Exited {
        pid: 7,
        cause: Cause::Exit,
        status: 3,
        calls: 1,
        records: 1,
        ran_tsc: 10,
    };

    #[test]
    fn a_process_is_finished_when_its_records_are_here_too() {
        let mut journal = Journal::default();
        journal.apply(Event::Exited(EXITED));
        assert_eq!(journal.process(7).finished(), None);
        let record = mayfly_wire::trace::Record {
            pid: 7,
            abi: 2,
            ..Default::default()
        };
        journal.record(Call::new(record, Vec::new()));
        assert_eq!(journal.process(7).finished(), Some(EXITED));
    }

    #[test]
    fn output_goes_to_its_stream() {
        let mut journal = Journal::default();
        for (stream, bytes) in [(1, b"out"), (2, b"err")] {
            let pid = 4;
            journal.apply(Event::Output { pid, stream, bytes });
        }
        assert_eq!(journal.process(4).stdout, b"out");
        assert_eq!(journal.process(4).stderr, b"err");
    }

    #[test]
    fn serial_lines_advance_the_phase() {
        let mut journal = Journal::default();
        journal.serial(b"phase: pag");
        assert_eq!(journal.phase, Phase::Loaded);
        journal.serial(b"ing\nphase: traps\n");
        assert_eq!(journal.phase, Phase::Traps);
    }
}

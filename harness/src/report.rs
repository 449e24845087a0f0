//! The death of a machine, told on one screen.
//!
//! Purpose: cause first with its source line, then the call in flight, the
//! stack, the phase; what ran before and how to run again follow. Neighbours:
//! `client` makes a [`Death`] when a machine ends or does not answer, the test
//! runner and the command line print it.

mod context;
mod text;

use std::fmt;
use std::time::Duration;

use mayfly_abi::Abi;
use mayfly_machine::exit;
use mayfly_wire::message::Panic;

use crate::backend::Position;
use crate::journal::Journal;
use crate::notation;
use crate::phase::Phase;
use crate::snippet;
use crate::symbols::{self, Frame};
pub(crate) use context::context;
use text::tail;

/// Functions shown of a backtrace.
const STACK_MAX: usize = 8;

/// Last words of a kernel, with names for its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// What.
    pub message: String,
    /// `file:line`, empty when the kernel did not say.
    pub location: String,
    /// Functions, innermost first.
    pub backtrace: Vec<Frame>,
    /// The system call in flight: `patchwork WRITE(1, 0x7000, 2)`.
    pub call: Option<String>,
    /// Process that was running, 0 for none.
    pub pid: u64,
    /// Thread that was running.
    pub tid: u64,
}

impl From<Panic<'_>> for Panicked {
    fn from(panic: Panic<'_>) -> Self {
        let call = Abi::from_code(panic.abi).map(|abi| {
            let signature = match abi.row(panic.number) {
                Some(row) => notation::call(row, &panic.arguments, &[]),
                None => notation::unknown_call(panic.number, &panic.arguments),
            };
            format!("{} {signature}", abi.name())
        });
        let location = match panic.file {
            "" => String::new(),
            file => format!("{file}:{}", panic.line),
        };
        let addresses = panic.backtrace.iter().take_while(|address| **address != 0);
        Self {
            message: panic.message.into(),
            location,
            // A return address is behind its call: look one byte back.
            backtrace: addresses
                .flat_map(|address| symbols::kernel_frames(address.saturating_sub(1)))
                .filter(|frame| !frame.function.starts_with("core::panicking::"))
                .collect(),
            call,
            pid: panic.pid,
            tid: panic.tid,
        }
    }
}

/// What ended a machine, or a wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeathCause {
    /// The kernel panicked.
    Panic(Box<Panicked>),
    /// The time of a wait was over.
    Timeout {
        /// The time.
        timeout: Duration,
        /// Where the processor was.
        position: Option<Position>,
    },
    /// The guest ended the machine with a code.
    Exit(u32),
    /// The processor could not go on.
    Crash {
        /// What happened.
        message: String,
        /// Where.
        position: Option<Position>,
    },
    /// The guest broke a rule of the machine, or the machine's process is gone.
    Lost(String),
}

impl DeathCause {
    /// A few words, for messages that mention it.
    pub(crate) fn in_short(&self) -> String {
        match self {
            DeathCause::Panic(panic) => format!("kernel panic: {}", panic.message),
            DeathCause::Timeout { timeout, .. } => format!("no end within {timeout:?}"),
            DeathCause::Exit(code) => {
                format!("exit code {code:#x}: {}", exit::describe(*code))
            }
            DeathCause::Crash { message, .. } => format!("crash: {message}"),
            DeathCause::Lost(message) => message.clone(),
        }
    }
}

/// A machine that ended, or did not answer in time.
#[derive(Clone)]
pub struct Death {
    /// What ended it.
    pub cause: DeathCause,
    /// Last phase reached.
    pub phase: Phase,
    /// What the host was waiting for.
    pub doing: String,
    /// Last lines of COM1 and of the kernel's log.
    pub last_words: Vec<String>,
    /// The program that ran, when it was the only one.
    pub program: Option<String>,
    /// Where the processor was in it.
    pub frame: Option<Frame>,
}

impl Death {
    pub(crate) fn new(doing: &str, cause: DeathCause, journal: &Journal) -> Self {
        let mut last_words = tail(&journal.serial);
        last_words.extend(tail(&journal.console));
        let mut death = Self {
            cause,
            phase: journal.phase,
            doing: doing.into(),
            last_words,
            program: journal.only_program().map(Into::into),
            frame: None,
        };
        if let (Some(program), Some(3)) = (&death.program, death.ring()) {
            let rip = death.position().map_or(0, |position| position.rip);
            death.frame = journal.frame(program, rip);
        }
        death
    }

    /// One word for the kind of death.
    pub fn kind(&self) -> &'static str {
        match self.cause {
            DeathCause::Panic(_) => "panic",
            DeathCause::Timeout { .. } => "timeout",
            DeathCause::Exit(_) | DeathCause::Crash { .. } => "crashed",
            DeathCause::Lost(_) => "lost",
        }
    }

    /// The kernel's last words, if it panicked.
    pub fn panicked(&self) -> Option<&Panicked> {
        match &self.cause {
            DeathCause::Panic(panicked) => Some(panicked),
            _ => None,
        }
    }

    /// Privilege level at which a timeout or crash found the processor.
    pub fn ring(&self) -> Option<u8> {
        self.position().map(|position| position.ring)
    }

    /// Where a timeout or crash found the processor.
    pub fn position(&self) -> Option<Position> {
        match &self.cause {
            DeathCause::Timeout { position, .. } | DeathCause::Crash { position, .. } => *position,
            _ => None,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            DeathCause::Panic(panicked) => panic_lines(f, panicked)?,
            DeathCause::Timeout { timeout, position } => {
                writeln!(f, "timeout: no answer within {timeout:?}")?;
                place(f, *position, self.program.as_deref(), self.frame.as_ref())?;
                writeln!(f, "  try     more time, if it may take that long")?;
            }
            DeathCause::Crash { message, position } => {
                writeln!(f, "the machine crashed: {message}")?;
                place(f, *position, self.program.as_deref(), self.frame.as_ref())?;
            }
            DeathCause::Exit(code) => {
                writeln!(
                    f,
                    "the machine ended: {} (exit code {code:#x})",
                    exit::describe(*code)
                )?;
            }
            DeathCause::Lost(message) => writeln!(f, "the machine is gone: {message}")?,
        }
        writeln!(f, "  waiting to {}", self.doing)?;
        write!(f, "  phase   {}", self.phase)?;
        for (index, line) in self.last_words.iter().enumerate() {
            let title = if index == 0 { "kernel" } else { "" };
            write!(f, "\n  {title:<7} {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Says in words where a processor was, on lines of their own.
fn place(
    f: &mut fmt::Formatter<'_>,
    position: Option<Position>,
    program: Option<&str>,
    frame: Option<&Frame>,
) -> fmt::Result {
    let Some(position) = position else {
        return writeln!(f, "  where   not known: the machine did not say");
    };
    if position.ring != 0 {
        let name = program.unwrap_or("a program");
        write!(f, "  where   ring 3 ({name}), rip {:#x}", position.rip)?;
        return match frame {
            Some(frame) => writeln!(f, ", {frame}"),
            None => writeln!(f),
        };
    }
    let state = match (position.halted, position.interrupts) {
        (true, true) => "asleep until an interrupt",
        (true, false) => "asleep for ever",
        (false, true) => "interrupts on",
        (false, false) => "interrupts off",
    };
    let frames = symbols::kernel_frames(position.rip);
    let place = match frames.first() {
        Some(frame) => frame.to_string(),
        None => format!("rip {:#x}", position.rip),
    };
    writeln!(f, "  where   ring 0 (the kernel), {state}, {place}")
}

fn panic_lines(f: &mut fmt::Formatter<'_>, panicked: &Panicked) -> fmt::Result {
    writeln!(f, "kernel panic: {}", panicked.message)?;
    if !panicked.location.is_empty() {
        let (file, line) = panicked.location.rsplit_once(':').unwrap_or_default();
        f.write_str(&snippet::at(file, line.parse().unwrap_or(0)))?;
    }
    match &panicked.call {
        Some(call) => {
            writeln!(
                f,
                "  during  {call}  of process {} thread {}",
                panicked.pid, panicked.tid
            )?;
        }
        None if panicked.pid != 0 => writeln!(f, "  during  process {}", panicked.pid)?,
        None => writeln!(f, "  during  no system call: the kernel's own work")?,
    }
    for (index, frame) in panicked.backtrace.iter().take(STACK_MAX).enumerate() {
        let title = if index == 0 { "stack" } else { "" };
        writeln!(f, "  {title:<7} {frame}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(cause: DeathCause) -> Death {
        Death {
            cause,
            phase: Phase::Running,
            doing: "wait for process 3".into(),
            last_words: vec!["first".into(), "second".into()],
            program: None,
            frame: None,
        }
    }

    #[test]
    fn a_panic_is_told_cause_first() {
        let panicked = Panicked {
            message: "index out of bounds".into(),
            location: "kernel/src/nowhere.rs:7".into(),
            backtrace: vec![Frame {
                function: "serve".into(),
                file: None,
                line: None,
            }],
            call: Some("patchwork YIELD()".into()),
            pid: 3,
            tid: 0,
        };
        let expected = "kernel panic: index out of bounds
  --> kernel/src/nowhere.rs:7
  during  patchwork YIELD()  of process 3 thread 0
  stack   serve
  waiting to wait for process 3
  phase   running
  kernel  first
          second";
        assert_eq!(
            death(DeathCause::Panic(Box::new(panicked))).to_string(),
            expected
        );
    }

    #[test]
    fn a_timeout_says_which_ring() {
        for (ring, words) in [(3, "ring 3 (a program)"), (0, "ring 0 (the kernel)")] {
            let position = Some(Position {
                ring,
                rip: 0x40_0000,
                halted: false,
                interrupts: true,
            });
            let timeout = Duration::from_secs(2);
            let text = death(DeathCause::Timeout { timeout, position }).to_string();
            assert!(text.starts_with("timeout: no answer within 2s"), "{text}");
            assert!(text.contains(words), "{text}");
        }
    }
}

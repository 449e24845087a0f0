//! A program on the guest's terminal, and whoever types there.
//!
//! Purpose: bytes to and from `mayfly.console` or COM1 while the machine runs,
//! and what else happens meanwhile: log lines, calls of traced programs, ends.
//! Neighbours: [`filter`] takes the shell's messages out of what it shows; the
//! command `mayfly shell` connects a person.

pub mod filter;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mayfly_wire::message::{Request, Window};

use crate::Vm;
use crate::backend::{Counting, Keyboard, Stream, Waker};
use crate::cause::{Died, ExitStatus};
use crate::client::{Held, Shared};
use crate::error::{Result, unexpected};
use crate::journal::Answer;
use crate::transcript::Call;

/// What a guest believes that was told nothing of its window.
const UNTOLD: (u16, u16, u16) = (80, 24, 1);

/// Where the terminal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// The port `mayfly.console`.
    #[default]
    Console,
    /// COM1.
    Serial,
}

impl Line {
    pub(crate) fn stream(self) -> Stream {
        match self {
            Self::Console => Stream::Console,
            Self::Serial => Stream::Serial,
        }
    }
}

impl Vm {
    /// Lines of the kernel's log, and what its terminal showed while nobody
    /// looked; the last 64 KiB.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&self.client().journal.console).into()
    }

    /// A program on a terminal: what it shows is taken, what it reads typed.
    ///
    /// # Errors
    /// When the kernel refuses, or the machine has ended.
    pub fn terminal(&self, line: Line, program: &str) -> Result<Terminal> {
        let timeout = self.options().run_timeout;
        let answer = self.client().begin_on_terminal(line, program, timeout)?;
        Terminal::of(self, program, &answer)
    }
}

/// A program on the terminal of a machine.
pub struct Terminal {
    client: Arc<Shared>,
    pid: u64,
    /// Columns, rows and machine that the guest knows of.
    window: (u16, u16, u16),
    /// Traced processes.
    traced: Vec<u64>,
    /// How many calls of each, and of each that came of it, were taken.
    taken: HashMap<u64, usize>,
    /// Kernel instructions are counted.
    counts: bool,
    /// Ends that were told.
    told: BTreeSet<u64>,
    /// Bytes of the standard streams that were taken.
    output: [usize; 2],
    /// Kernel instructions counted so far.
    counted: u64,
}

/// Wakes the machine of a terminal, from another thread.
#[derive(Clone)]
pub struct TerminalWaker(Waker);

impl TerminalWaker {
    /// Makes [`Terminal::turn`] return.
    pub fn wake(&self) {
        self.0.wake();
    }
}

/// Types on a terminal during a [`Terminal::turn`], from another thread.
#[derive(Clone)]
pub struct TerminalKeyboard(Keyboard);

impl TerminalKeyboard {
    /// Types; false if the machine does not take it.
    #[must_use]
    pub fn types(&self, bytes: &[u8]) -> bool {
        self.0.types(bytes)
    }
}

/// What happened during a turn.
#[derive(Debug, Default)]
pub struct Turn {
    /// What the terminal showed.
    pub shown: Vec<u8>,
    /// Lines of the kernel's log.
    pub log: Vec<String>,
    /// Calls of traced processes, in their order.
    pub calls: Vec<Call>,
    /// Programs that died, but for the one on the terminal.
    pub deaths: Vec<Died>,
    /// How the program on the terminal ended.
    pub ended: Option<ExitStatus>,
}

impl Terminal {
    /// The terminal of a program that a machine has started so.
    pub(crate) fn of(vm: &Vm, program: &str, answer: &Answer) -> Result<Self> {
        let Answer::Started { pid, .. } = *answer else {
            return Err(unexpected("start a program on the terminal", answer));
        };
        vm.client().journal.process(pid).program = program.into();
        Ok(Self {
            client: vm.shared_client(),
            pid,
            window: UNTOLD,
            traced: Vec::new(),
            taken: HashMap::new(),
            counts: false,
            told: BTreeSet::new(),
            output: [0; 2],
            counted: 0,
        })
    }

    /// The same terminal in a sibling of its machine ([`Vm::fork`]).
    pub fn in_vm(&self, sibling: &Vm) -> Self {
        Self {
            client: sibling.shared_client(),
            pid: self.pid,
            window: self.window,
            traced: self.traced.clone(),
            taken: self.taken.clone(),
            counts: false,
            told: self.told.clone(),
            output: self.output,
            counted: self.counted,
        }
    }

    /// Types.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn types(&self, bytes: &[u8]) -> Result<()> {
        self.client().type_on(bytes)
    }

    /// Tells the guest what the window is like; whoever edits a line draws it
    /// anew. `machine` is for its prompt.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn window(&mut self, columns: u16, rows: u16, machine: u16) -> Result<()> {
        self.window = (columns, rows, machine);
        let window = Window {
            columns,
            rows,
            machine,
        };
        self.client()
            .send("tell the window", &Request::Terminal(window))
    }

    /// The guest knows the window to be so.
    pub fn has_window(&self, columns: u16, rows: u16, machine: u16) -> bool {
        self.window == (columns, rows, machine)
    }

    /// What ends a turn early.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn waker(&self) -> Result<TerminalWaker> {
        self.client().waker().map(TerminalWaker)
    }

    /// What types without ending a turn, if there is such a thing.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn keyboard(&self) -> Result<Option<TerminalKeyboard>> {
        let keyboard = self.client().keyboard()?;
        Ok(keyboard.map(TerminalKeyboard))
    }

    /// Shows the calls of a process from now on, by its id as programs of
    /// PatchworkOS know it; the number to ask [`Self::is_over`] with.
    ///
    /// # Errors
    /// When there is none, or the machine has ended.
    pub fn trace(&mut self, process: u64, timeout: Duration) -> Result<u64> {
        let what = "trace a process";
        let request = |id| Request::Trace { id, process };
        let answer = self.client().ask(what, timeout, request)?;
        match answer {
            Answer::Started { pid, .. } => {
                self.traced.push(pid);
                Ok(pid)
            }
            answer => Err(unexpected(what, &answer)),
        }
    }

    /// A traced process has ended, and all its calls are here.
    pub fn is_over(&self, number: u64) -> bool {
        self.client().journal.process(number).finished().is_some()
    }

    /// Shows no more calls of that process and of those that came of it.
    pub fn forget(&mut self, number: u64) {
        self.traced.retain(|traced| *traced != number);
        if self.traced.is_empty() {
            self.taken.clear();
        }
    }

    /// Counts kernel instructions from now on; false if the machine cannot.
    ///
    /// # Errors
    /// When the machine has ended.
    pub fn count(&mut self) -> Result<bool> {
        let counts = self.client().meter(Some(Counting::default()))?;
        self.counts = counts;
        Ok(counts)
    }

    /// Kernel instructions are counted.
    pub fn counts(&self) -> bool {
        self.counts
    }

    /// Kernel instructions counted so far.
    pub fn instructions(&mut self) -> u64 {
        let visits = self.client().take_visits();
        self.counted += visits.iter().map(|it| it.instructions).sum::<u64>();
        self.counted
    }

    /// Runs the machine until something has happened, it was woken, or
    /// `patience` is over.
    ///
    /// # Errors
    /// When the machine ends.
    pub fn turn(&mut self, patience: Duration) -> Result<Turn> {
        let deadline = Instant::now() + patience;
        let ran = self.client().turn("serve the terminal", deadline);
        let turn = self.take();
        // Its last words are in the death's report.
        ran.map(|()| turn)
    }

    /// Takes what has happened.
    pub fn take(&mut self) -> Turn {
        let client = Arc::clone(&self.client);
        let mut client = client.lock();
        let mut turn = Turn {
            shown: client.take_screen(),
            ..Turn::default()
        };
        let journal = &mut client.journal;
        turn.log.extend(journal.log.drain(..));
        let known = journal.process(self.pid);
        for (index, stream) in [&known.stdout, &known.stderr].into_iter().enumerate() {
            turn.shown.extend(&stream[self.output[index]..]);
            self.output[index] = stream.len();
        }
        let exited = known.exited;
        turn.ended = exited.map(|exited| ExitStatus {
            cause: exited.cause.into(),
            code: exited.status,
        });
        for traced in &self.traced {
            for pid in journal.family(*traced) {
                let calls = &journal.process(pid).calls;
                let taken = self.taken.entry(pid).or_default();
                turn.calls.extend(calls[*taken..].iter().cloned());
                *taken = calls.len();
            }
        }
        // They come in the order in which they returned.
        turn.calls.sort_by_key(Call::left_tsc);
        turn.deaths = journal.deaths(&mut self.told);
        // That one is in `ended`.
        turn.deaths.retain(|died| died.pid != self.pid);
        turn
    }

    fn client(&self) -> Held<'_> {
        self.client.lock()
    }
}

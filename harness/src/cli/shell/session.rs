//! A session at the guest's shell: this terminal, and machines behind it.
//!
//! Purpose: one loop that passes keys on, shows what the guest shows, obeys the
//! shell's messages at the place where they stand, and puts everything else (log
//! lines, calls, deaths, what jobs show) `above` the prompt. Neighbours: `input`
//! brings keys, `menu` says what Ctrl-] is followed by, `mayfly::terminal` has
//! the machine.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use mayfly::terminal::filter::{Filter, Piece};
use mayfly::terminal::{Terminal, Turn};
use mayfly::{ExitStatus, Vm};
use mayfly_wire::terminal::{BEGIN, END, LINE_END, Message, parse};
use nix::sys::signal::Signal;

use super::history::History;
use super::input::{Came, Input};
use super::log::Log;
use super::menu;
use super::row::is_at_left;
use super::tty::Raw;
use crate::cli::say::{QUIET, WRONG, styled};

mod above;
mod machines;

use above::Above;

/// How long a turn lasts when nothing happens, and while an answer is owed.
const IDLE: Duration = Duration::from_secs(3600);
const OWING: Duration = Duration::from_millis(20);
/// How long the last calls of a traced program are waited for.
const CALLS_PATIENCE: Duration = Duration::from_secs(2);
/// Longest wait for an answer of the kernel.
const ASKING: Duration = Duration::from_secs(5);

/// How a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// Somebody left.
    Left,
    /// The shell ended.
    Shell(ExitStatus),
    /// A signal came.
    Signal(u8),
}

/// One machine of the session.
struct Machine {
    vm: Vm,
    terminal: Terminal,
    filter: Filter,
    /// A line is being edited.
    at_prompt: bool,
    /// What comes is the shell's drawing of it.
    draws: bool,
    /// The shell was asked for room above it.
    asked: bool,
    /// Processes whose calls are shown: their ids, and their numbers.
    traced: Vec<(u64, u64)>,
    /// Number of the process whose last calls are owed, and since when.
    owed: Option<(u64, Instant)>,
    number: u16,
}

/// The session.
pub(crate) struct Session {
    machines: Vec<Machine>,
    here: usize,
    /// What the machine was when somebody said so.
    kept: Option<Machine>,
    input: Input,
    history: History,
    log: Option<Log>,
    /// What waits for its place above the prompt.
    above: Above,
    /// The menu is open, below where the cursor was; machines stand still.
    menu: bool,
    /// The last byte that was shown ended a line.
    at_left: bool,
    made: u16,
}

impl Session {
    pub(crate) fn new(
        vm: Vm,
        terminal: Terminal,
        input: Input,
        history: History,
        log: Option<Log>,
    ) -> Self {
        let machine = Machine {
            vm,
            terminal,
            filter: Filter::default(),
            at_prompt: false,
            draws: false,
            asked: false,
            traced: Vec::new(),
            owed: None,
            number: 1,
        };
        Self {
            machines: vec![machine],
            here: 0,
            kept: None,
            input,
            history,
            log,
            above: Above::default(),
            menu: false,
            at_left: true,
            made: 1,
        }
    }

    /// Serves both sides until one is over.
    pub(crate) fn serve(&mut self, raw: &Raw) -> anyhow::Result<End> {
        let ended = self.serve_both(raw);
        // What no room was made for comes behind.
        let shown = self.show_all();
        let ended = ended?;
        shown?;
        Ok(ended)
    }

    fn serve_both(&mut self, raw: &Raw) -> anyhow::Result<End> {
        self.begin()?;
        loop {
            while let Some(came) = self.input.take() {
                if let Some(end) = self.came(came, raw)? {
                    return Ok(end);
                }
            }
            if self.menu {
                self.input.wait();
                continue;
            }
            let patience = match self.machine().owed {
                Some(_) => OWING,
                None => self.above.left().unwrap_or(IDLE),
            };
            self.input.let_pass(true);
            let turn = self.machine().terminal.turn(patience);
            self.input.let_pass(false);
            let turn = match turn {
                Ok(turn) => turn,
                Err(error) => {
                    // What it showed before it died comes before the report.
                    let turn = self.machine().terminal.take();
                    self.happened(turn)?;
                    self.show(b"\r\n")?;
                    if self.machines.len() == 1 && self.kept.is_none() {
                        return Err(error.into());
                    }
                    self.lose(&error)?;
                    continue;
                }
            };
            if let Some(ended) = self.happened(turn)? {
                if self.machines.len() == 1 {
                    return Ok(End::Shell(ended));
                }
                self.leave(ended)?;
            }
        }
    }

    /// Shows what a copy shows, and tells the window if it does not know it.
    fn begin(&mut self) -> anyhow::Result<()> {
        let shown = self.machine().terminal.take();
        self.happened(shown)?;
        let ((columns, rows), number) = (size(), self.machine().number);
        match self.machine().terminal.has_window(columns, rows, number) {
            true => Ok(()),
            false => self.tell_window(),
        }
    }

    /// Ends the log.
    pub(crate) fn end_log(self) -> Result<(), mayfly::Error> {
        self.log.map_or(Ok(()), Log::end)
    }

    fn machine(&mut self) -> &mut Machine {
        &mut self.machines[self.here]
    }

    fn came(&mut self, came: Came, raw: &Raw) -> anyhow::Result<Option<End>> {
        match came {
            Came::Typed(bytes) => return self.typed(&bytes),
            Came::Closed => return Ok(Some(End::Signal(Signal::SIGHUP as u8))),
            Came::Changed => {
                raw.apply()?;
                self.tell_window()?;
            }
            Came::End(signal) => {
                let number = u8::try_from(signal as i32).unwrap_or(0);
                return Ok(Some(End::Signal(number)));
            }
        }
        Ok(None)
    }

    /// Passes keys on, but for those of the menu.
    fn typed(&mut self, bytes: &[u8]) -> anyhow::Result<Option<End>> {
        let mut rest = bytes;
        loop {
            if self.menu {
                if rest.is_empty() {
                    return Ok(None);
                }
                let (choice, length) = menu::choice(rest);
                rest = &rest[length..];
                if self.choose(choice)? {
                    return Ok(Some(End::Left));
                }
                continue;
            }
            let Some(at) = rest.iter().position(|byte| *byte == menu::KEY) else {
                if !rest.is_empty() {
                    self.machine().terminal.types(rest)?;
                }
                return Ok(None);
            };
            if at > 0 {
                self.machine().terminal.types(&rest[..at])?;
            }
            rest = &rest[at + 1..];
            self.menu = true;
            self.show(b"\r\n")?;
            self.show_menu()?;
        }
    }

    /// Shows the menu where the cursor is.
    fn show_menu(&self) -> io::Result<()> {
        let (columns, _) = size();
        let line = menu::line(columns.into());
        put(format!("\r\x1b[2K\x1b[7m{line}\x1b[0m").as_bytes())
    }

    /// Tells the guest what the window is like; its shell draws its line anew.
    fn tell_window(&mut self) -> anyhow::Result<()> {
        let (columns, rows) = size();
        let number = self.machine().number;
        self.machine().terminal.window(columns, rows, number)?;
        self.machine().asked = self.machine().at_prompt;
        if !self.machine().at_prompt {
            self.show_all()?;
        }
        Ok(())
    }

    /// Shows what happened; how the shell ended, if it did.
    fn happened(&mut self, turn: Turn) -> anyhow::Result<Option<ExitStatus>> {
        for line in turn.log {
            self.say(styled(QUIET, format!("kernel: {line}")));
        }
        for call in &turn.calls {
            let text = call.to_string();
            self.say(match call.result {
                Ok(_) => styled(QUIET, text),
                Err(_) => styled(WRONG, text),
            });
        }
        for died in &turn.deaths {
            self.say(styled(WRONG, died));
        }
        if !self.machine().at_prompt {
            self.show_all()?;
        }
        for piece in self.machine().filter.pieces(&turn.shown) {
            match piece {
                Piece::Shown(bytes) if self.machine().draws => self.show(&bytes)?,
                Piece::Shown(bytes) if self.machine().at_prompt => self.keep(&bytes),
                Piece::Shown(bytes) => self.show_logged(&bytes)?,
                Piece::Message(text) => {
                    if let Some(message) = parse(&text) {
                        self.obey(message)?;
                    }
                }
            }
        }
        if turn.ended.is_some() {
            self.machine().at_prompt = false;
        }
        self.make_room()?;
        self.pay()?;
        Ok(turn.ended)
    }

    /// Obeys the shell.
    fn obey(&mut self, message: Message<'_>) -> anyhow::Result<()> {
        match message {
            Message::Prompt => {
                if !std::mem::replace(&mut self.machine().at_prompt, true) && !self.at_left {
                    // What was shown last has no end of a line, and would be drawn over.
                    self.show(b"\r\n")?;
                }
                self.machine().asked = false;
                self.show_waiting()?;
            }
            Message::Run(line) => {
                // Any program could say so: what was typed is of a prompt.
                if !std::mem::replace(&mut self.machine().at_prompt, false) {
                    return Ok(());
                }
                self.machine().asked = false;
                self.history.add(line);
                if let Some(log) = &mut self.log {
                    let line = line.replace(LINE_END, "\n");
                    log.line(&format!("guest> {line}"));
                }
            }
            Message::Drawing => self.machine().draws = true,
            Message::Drawn => self.machine().draws = false,
            Message::Trace(process) => {
                let number = self.machine().terminal.trace(process, ASKING);
                let answer = if number.is_ok() { "ok" } else { "no" };
                let traced = number.ok().map(|number| (process, number));
                self.machine().traced.extend(traced);
                self.answer(answer)?;
            }
            Message::Traced(process) => {
                let traced = self.machine().traced.iter();
                let number = traced.rev().find(|it| it.0 == process).map(|it| it.1);
                match number {
                    Some(number) => self.machine().owed = Some((number, Instant::now())),
                    None => self.answer("no")?,
                }
            }
            Message::Count => {
                let answer = match self.machine().terminal.instructions() {
                    0 => "none".into(),
                    count => count.to_string(),
                };
                self.answer(&answer)?;
            }
        }
        Ok(())
    }

    /// Answers when all calls of a traced program were shown.
    fn pay(&mut self) -> anyhow::Result<()> {
        let machine = self.machine();
        let Some((number, since)) = machine.owed else {
            return Ok(());
        };
        let is_over = machine.terminal.is_over(number);
        if is_over || since.elapsed() > CALLS_PATIENCE {
            machine.owed = None;
            let turn = machine.terminal.take();
            if is_over {
                machine.terminal.forget(number);
                machine.traced.retain(|it| it.1 != number);
            }
            if !turn.calls.is_empty() {
                self.happened(turn)?;
            }
            self.answer("ok")?;
        }
        Ok(())
    }

    fn answer(&mut self, words: &str) -> anyhow::Result<()> {
        let answer = format!("{BEGIN}{words}{END}");
        self.machine().terminal.types(answer.as_bytes())?;
        Ok(())
    }

    fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at_left = is_at_left(bytes, self.at_left);
        put(bytes)
    }
}

fn put(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Columns and rows of this terminal.
pub(super) fn size() -> (u16, u16) {
    match terminal_size::terminal_size() {
        Some((columns, rows)) if columns.0 > 0 => (columns.0, rows.0),
        _ => (80, 24),
    }
}

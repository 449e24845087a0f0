//! The terminal as the shell uses it: keys from it, lines on it, its control.
//!
//! Neighbours: the library's `editor` decides what keys do; `/dev/tty/ctl` is
//! the kernel's (`kernel/core/src/personality/patchwork/terminal.rs`); answers
//! come from the host (`mayfly_wire::terminal`).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use mayfly_abi::patchwork::Errno;
use mayfly_shell::complete::Complete;
use mayfly_shell::editor::{Editor, Outcome};
use mayfly_shell::history::History;
use mayfly_shell::keys::{Decoder, Key};
use mayfly_wire::terminal::Message;

use super::system::{self, File};

const INPUT: u64 = 0;
/// The key that interrupts.
const INTERRUPT: Key = Key::Control('C');
/// Bytes that are taken at once.
const KEYS: usize = 256;
/// Keys that are kept while something else is waited for.
const KEPT_MAX: usize = 1 << 16;
/// Makes a terminal ring.
const BELL: &[u8] = b"\x07";
/// Ready for reading, and for writing: only a terminal is both.
const IN: u32 = 1;
const OUT: u32 = 2;
/// Where the host puts the lines of earlier runs.
const HISTORY: &str = "/var/history";
/// Terminals mark pasted text from here on, or no more.
const PASTE_ON: &[u8] = b"\x1b[?2004h";
const PASTE_OFF: &[u8] = b"\x1b[?2004l";

/// The terminal, and the line that is edited on it.
#[derive(Debug)]
pub(crate) struct Terminal {
    control: File,
    /// The terminal itself, wherever the standard streams lead meanwhile.
    file: File,
    /// There may be more keys than were taken.
    is_full: bool,
    pub(crate) columns: usize,
    /// Number of the machine, which the prompt shows from the second on.
    machine: usize,
    decoder: Decoder,
    /// Keys that came while something else was waited for.
    early: VecDeque<Key>,
    editor: Editor,
    pub(crate) history: History,
    has_history: bool,
}

impl Terminal {
    /// The terminal, if standard input is one.
    pub(crate) fn open() -> Option<Self> {
        let is_both = system::ready(INPUT, IN | OUT).is_ok_and(|it| it & OUT != 0);
        let control = is_both.then(|| File::open("/dev/tty/ctl").ok()).flatten()?;
        let mut terminal = Self {
            control,
            file: File::copy_of(INPUT).ok()?,
            is_full: false,
            columns: 80,
            machine: 1,
            decoder: Decoder::default(),
            early: VecDeque::new(),
            editor: Editor::default(),
            history: History::default(),
            has_history: false,
        };
        terminal.order("foreground");
        terminal.look();
        Some(terminal)
    }

    /// Gives the kernel's terminal an order.
    fn order(&self, words: &str) {
        // It knows them all; a process that has ended is no mistake.
        let _done = self.control.write(words.as_bytes());
    }

    /// Programs are in the foreground: they read lines.
    pub(crate) fn foreground(&self, processes: &[u64]) {
        let mut words = String::from("foreground");
        for process in processes {
            words.push(' ');
            words.push_str(&process.to_string());
        }
        self.order(&words);
    }

    /// Reads what is known of the window.
    fn look(&mut self) {
        let Ok(text) = self.control.text() else {
            return;
        };
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or_default();
            let value = value.parse().unwrap_or(0);
            match name {
                "columns" if value > 0 => self.columns = value,
                "machine" => self.machine = value,
                _ => {}
            }
        }
    }

    fn prompt(&self, directory: &str) -> String {
        let machine = match self.machine {
            0 | 1 => String::new(),
            number => format!("/{number}"),
        };
        let directory = match directory {
            "/" => String::new(),
            path => format!(":{path}"),
        };
        format!("guest{machine}{directory}> ")
    }

    /// Keys: those that came early, then those that come; `None` when the
    /// window has changed or there are no more.
    fn key(&mut self) -> Result<Option<Key>, Errno> {
        loop {
            if let Some(key) = self.early.pop_front() {
                return Ok(Some(key));
            }
            let mut bytes = [0; KEYS];
            let count = system::read(self.file.fd(), &mut bytes)?;
            if count == 0 {
                return Ok(None);
            }
            self.is_full = count == KEYS;
            let keys = bytes[..count]
                .iter()
                .filter_map(|it| self.decoder.push(*it));
            self.early.extend(keys);
        }
    }

    /// More keys are here: only what comes of them all is drawn. The kernel is
    /// asked behind many of them only, never for one.
    fn has_more(&mut self) -> bool {
        !self.early.is_empty()
            || core::mem::take(&mut self.is_full)
                && system::ready(self.file.fd(), IN).is_ok_and(|ready| ready & IN != 0)
    }

    /// Lets a person edit a line; `None` at the end of all lines.
    pub(crate) fn read_line(
        &mut self,
        directory: &str,
        complete: &mut dyn Complete,
    ) -> Option<Entered> {
        // First: the host looks whether a line was begun where it stands.
        let mut out = Message::Prompt.to_string().into_bytes();
        out.extend(PASTE_ON);
        let prompt = self.prompt(directory);
        self.editor.begin(&prompt, self.columns, &mut out);
        loop {
            let more = self.has_more();
            if !more {
                self.editor.draw(&mut out);
            }
            // Much of it goes at once, as the memory for it is not for ever.
            if !out.is_empty() && (!more || out.len() > system::CHUNK) {
                self.show(&mut out)?;
            }
            let key = match self.key() {
                Ok(Some(key)) => key,
                Err(Errno::EINTR) => {
                    self.redraw(directory, &mut out);
                    continue;
                }
                Ok(None) | Err(_) => return None,
            };
            if matches!(key, Key::Up | Key::Control('P' | 'R')) {
                self.remember();
            }
            let outcome = self.editor.key(key, &self.history, complete, &mut out);
            let entered = match outcome {
                Outcome::Editing => continue,
                Outcome::Line(line) => Some(Entered::Line(line)),
                Outcome::Cancelled => Some(Entered::Cancelled),
                Outcome::End => None,
            };
            // In front, so that what is shown last is the line's end.
            out.splice(0..0, PASTE_OFF.iter().copied());
            if let Some(Entered::Line(line)) = &entered {
                self.history.add(line);
                out.extend(Message::Run(line).to_string().as_bytes());
            }
            self.show(&mut out)?;
            return entered;
        }
    }

    /// Shows a piece of the drawing, marked: what stands between those is
    /// programs'.
    fn show(&self, out: &mut Vec<u8>) -> Option<()> {
        out.splice(0..0, Message::Drawing.to_string().into_bytes());
        out.extend(Message::Drawn.to_string().as_bytes());
        let shown = self.file.write(out).ok();
        out.clear();
        shown
    }

    /// The window is another, or the host has something to show.
    fn redraw(&mut self, directory: &str, out: &mut Vec<u8>) {
        self.look();
        self.editor.hide(self.columns, out);
        out.extend(Message::Prompt.to_string().as_bytes());
        let prompt = self.prompt(directory);
        self.editor.show(&prompt, self.columns, out);
    }

    /// Looks for the lines of earlier runs, once somebody wants them.
    pub(crate) fn remember(&mut self) {
        if core::mem::replace(&mut self.has_history, true) {
            return;
        }
        let mut history = History::of(&system::text_of(HISTORY).unwrap_or_default());
        for line in self.history.lines() {
            history.add(line);
        }
        self.history = history;
    }

    /// Asks the host; its answer. Keys that come meanwhile are kept, but for the
    /// one that interrupts: waiting is over then.
    pub(crate) fn ask(&mut self, message: Message<'_>) -> system::Result<String> {
        self.file.write(message.to_string().as_bytes())?;
        let mut kept = VecDeque::new();
        let answer = loop {
            match self.key() {
                // What came together with it was typed before it was seen.
                Ok(Some(Key::Answer(answer))) if !self.early.contains(&INTERRUPT) => {
                    break Ok(answer);
                }
                Ok(Some(Key::Answer(_))) => {}
                Ok(Some(INTERRUPT)) => {
                    self.file.write(b"^C\n")?;
                    break Err(Errno::EINTR);
                }
                Ok(Some(key)) if kept.len() < KEPT_MAX => kept.push_back(key),
                Ok(Some(_)) => self.file.write(BELL)?,
                Err(Errno::EINTR) => self.look(),
                Ok(None) => break Err(Errno::EPIPE),
                Err(errno) => break Err(errno),
            }
        };
        kept.append(&mut self.early);
        self.early = kept;
        answer
    }
}

/// What became of a line.
#[derive(Debug)]
pub(crate) enum Entered {
    /// It is to be run.
    Line(String),
    /// It was given up.
    Cancelled,
}

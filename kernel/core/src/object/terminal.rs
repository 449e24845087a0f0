//! The terminal: a keyboard and a screen that programs share.
//!
//! There is one, on whichever line the host has chosen, and it is made when the
//! host first starts a program on it: a machine without costs nothing. One job
//! is in the foreground; the key that interrupts ends it. Whoever edits lines
//! itself reads raw bytes, and is disturbed when the window changes. Neighbours:
//! `discipline` says what bytes become, `personality/patchwork/terminal.rs`
//! has the words of its control file.

mod discipline;
mod width;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::{Mode, Node, OpenFile, Ready};
use crate::object::process::ProcessKey;
use crate::object::store::Quota;
use crate::object::wait::{Entry, WaitQueue};
use crate::personality;
use crate::port::{Host, Line, Port};
use crate::user;

pub use discipline::{Discipline, LINE_MAX, Typed};

/// What a terminal costs, the bytes it keeps included.
const TERMINAL_COST: u64 = discipline::KEPT_MAX as u64 + 1024;

/// What the host knows of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Characters in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Number of the machine among those that one person looks at.
    pub machine: u16,
}

/// The terminal.
#[derive(Debug)]
pub struct Terminal {
    discipline: RefCell<Discipline>,
    window: Cell<Window>,
    /// Whoever reads raw bytes has not heard of the window yet.
    changed: Cell<bool>,
    /// The key that interrupts was pressed while nobody was in the foreground.
    interrupted: Cell<bool>,
    /// Who edits lines itself: raw bytes are for it only.
    editor: Cell<Option<ProcessKey>>,
    /// Who is in the foreground.
    foreground: RefCell<Vec<ProcessKey>>,
    readable: WaitQueue,
}

/// Terminals are shared by those who have them open.
pub type TerminalRef = Rc<Terminal>;

impl Terminal {
    fn new(quota: &Quota) -> Result<TerminalRef, KernelError> {
        // It stays as long as the machine.
        quota.take(TERMINAL_COST)?;
        let mut discipline = Discipline::default();
        discipline.set_raw(true);
        Ok(Rc::new(Self {
            discipline: RefCell::new(discipline),
            window: Cell::new(Window {
                columns: 80,
                rows: 24,
                machine: 1,
            }),
            changed: Cell::new(false),
            interrupted: Cell::new(false),
            editor: Cell::new(None),
            foreground: RefCell::default(),
            readable: WaitQueue::default(),
        }))
    }

    /// The window as the host last told it.
    pub fn window(&self) -> Window {
        self.window.get()
    }

    /// What can be done without waiting.
    pub fn ready(&self) -> Ready {
        let more = self.discipline.borrow().is_readable();
        Ready::OUT.and(if more { Ready::IN } else { Ready::NONE })
    }

    /// Enters a parked thread for any change.
    pub fn enter(&self, entry: Entry) {
        self.readable.enter(entry);
    }

    /// Something came that ends a wait.
    fn disturbs(&self, raw: bool) -> bool {
        self.interrupted.take() || raw && self.changed.take()
    }

    /// Reads what was typed, no further than to the end of a line; waits while
    /// there is nothing. No bytes are an end.
    ///
    /// # Errors
    /// [`KernelError::Interrupted`] when the window has changed and bytes are
    /// raw, or the key that interrupts was pressed; those of the buffer.
    pub fn read<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        address: u64,
        count: u64,
    ) -> Result<Flow, KernelError> {
        let mut discipline = self.discipline.borrow_mut();
        let editor = self.editor.get().filter(|_| discipline.is_raw());
        if editor.is_some_and(|editor| editor != running.process.key) {
            // A job that was just started, and is not in the foreground yet.
            return Ok(running.wait_in(&self.readable));
        }
        if self.disturbs(discipline.is_raw()) {
            return Err(KernelError::Interrupted);
        }
        if count == 0 {
            return Ok(Flow::Return(0));
        }
        if !discipline.is_readable() {
            return Ok(running.wait_in(&self.readable));
        }
        let bytes = discipline.next(usize::try_from(count).unwrap_or(usize::MAX));
        let length = bytes.len();
        let space = &mut running.process.space;
        // What a bad buffer did not get, the next reader does.
        user::write(&mut kernel.machine, space, address, bytes)?;
        discipline.consume(length);
        drop(discipline);
        if kernel.host.terminal_waits() {
            // Bytes that there was no room for before.
            kernel.typing_on();
        }
        Ok(Flow::Return(length as u64))
    }
}

impl<P: Port> Kernel<P> {
    /// The terminal, on `line` if nobody has used it yet.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub(crate) fn terminal(&mut self, line: Line) -> Result<TerminalRef, KernelError> {
        let files = self.files();
        if let Some(terminal) = files.terminal.get() {
            return Ok(Rc::clone(terminal));
        }
        let terminal = Terminal::new(&files.quota)?;
        self.host.terminal_begins(line);
        Ok(Rc::clone(files.terminal.get_or_init(|| terminal)))
    }

    /// Makes the terminal the standard streams of a new process.
    pub(crate) fn attach(&mut self, process: ProcessKey, terminal: TerminalRef) {
        let file = OpenFile::new(Node::Terminal(terminal), Mode::ALL);
        if let Some(process) = self.process_mut(process) {
            personality::attach(process, &file);
        }
    }

    /// The terminal, if there is one.
    fn used_terminal(&self) -> Option<TerminalRef> {
        self.files.get()?.terminal.get().cloned()
    }

    /// The host's window is another one. Nothing runs now.
    pub fn set_window(&mut self, window: Window) {
        if let Some(terminal) = self.used_terminal() {
            terminal.window.set(window);
            terminal.changed.set(true);
            self.wake_all_between_turns(&terminal.readable);
        }
    }

    /// Takes in what was typed, as far as there is room. Nothing runs now.
    pub fn typing(&mut self) {
        self.take_typed::<false>();
    }

    /// As [`typing`](Self::typing), in a call that has made room.
    pub(crate) fn typing_on(&mut self) {
        self.take_typed::<true>();
    }

    #[inline(always)]
    fn take_typed<const IN_CALL: bool>(&mut self) {
        let Some(terminal) = self.used_terminal() else {
            return;
        };
        let mut more = true;
        while more {
            let mut discipline = terminal.discipline.borrow_mut();
            let mut typed = Typed::default();
            let room = discipline.room();
            more = self
                .host
                .terminal_bytes(room, |bytes| discipline.take(bytes, &mut typed));
            drop(discipline);
            self.follow::<IN_CALL>(&terminal, &typed);
        }
    }

    /// Who is in the foreground from now on, and for whom bytes are raw.
    pub(crate) fn set_foreground(
        &mut self,
        terminal: &Terminal,
        processes: Vec<ProcessKey>,
        editor: Option<ProcessKey>,
    ) {
        terminal.foreground.replace(processes);
        self.set_raw(terminal, editor);
    }

    /// Raw bytes are for that process from now on, or lines for all.
    pub(crate) fn set_raw(&mut self, terminal: &Terminal, editor: Option<ProcessKey>) {
        if editor.is_some() {
            terminal.interrupted.set(false);
        }
        terminal.editor.set(editor);
        let typed = terminal.discipline.borrow_mut().set_raw(editor.is_some());
        // Whoever may read now, and might not before.
        self.wake_all(&terminal.readable);
        self.follow::<true>(terminal, &typed);
    }

    #[inline]
    fn follow<const IN_CALL: bool>(&mut self, terminal: &Terminal, typed: &Typed) {
        if !typed.echo.is_empty() {
            self.host.terminal_echo(&typed.echo);
        }
        if typed.readable {
            match IN_CALL {
                true => self.wake_all(&terminal.readable),
                false => self.wake_all_between_turns(&terminal.readable),
            }
        }
        if typed.interrupt {
            self.interrupt(terminal);
        }
    }

    /// Ends whoever is in the foreground, and all that came of them; if nobody
    /// is, whoever reads is disturbed. The running process, if one runs, stays.
    fn interrupt(&mut self, terminal: &Terminal) {
        let foreground = terminal.foreground.borrow().clone();
        if foreground.is_empty() {
            terminal.interrupted.set(true);
            self.wake_all(&terminal.readable);
        }
        self.kill_families(&foreground, personality::INTERRUPTED_STATUS);
    }
}

#[cfg(test)]
mod tests;

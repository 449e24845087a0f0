//! What the host is told: the wire's guest side over the virtio-console.

use core::fmt::{self, Write};

use mayfly_arch::apic;
use mayfly_arch::virtio::console::{Console, Letter, Port};
use mayfly_core::event::Event as CoreEvent;
use mayfly_core::object::stream::Stream;
use mayfly_core::port::{Host, Line, NewChild, PIECES_MAX, PageFrame, Piece};
use mayfly_core::trace::TracedCall;
use mayfly_wire::message::Event;
use mayfly_wire::output::output_header;
use mayfly_wire::trace::{FIXED, Record};
use mayfly_wire::{CALLED, frame};

extern crate alloc;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::terminal::Terminal;

/// Room for messages without large contents.
const SMALL: usize = 512;
/// Bytes of trace records that are sent together.
const BATCH: usize = 4096;

/// The kernel's end of the wire.
pub(crate) struct Link {
    console: Console,
    /// What core has told and the agent has not yet looked at.
    pub(crate) events: VecDeque<CoreEvent>,
    batch: Vec<u8>,
    /// Request that a standstill for a call answers.
    pub(crate) await_id: u32,
    terminal: Option<Terminal>,
}

impl Link {
    pub(crate) fn new(console: Console) -> Self {
        Self {
            console,
            events: VecDeque::new(),
            batch: Vec::new(),
            await_id: 0,
            terminal: None,
        }
    }

    /// Sends one message of at most [`SMALL`] bytes.
    pub(crate) fn send(&mut self, event: &Event<'_>) {
        let mut buffer = [0; SMALL];
        self.send_with(event, &mut buffer);
    }

    /// Sends one message by way of `buffer`, which must have room for it.
    pub(crate) fn send_with(&mut self, event: &Event<'_>, buffer: &mut [u8]) {
        let length = frame::encode(event, buffer).expect("the caller's buffer has room");
        self.console.send(Port::Control, &buffer[..length]);
    }

    /// Sends a line of the kernel's log.
    pub(crate) fn log(&mut self, line: fmt::Arguments<'_>) {
        let mut text = Text::default();
        // A line that is too long is cut.
        let _ = text.write_fmt(line);
        self.send(&Event::Log {
            line: text.as_str(),
        });
    }

    /// Sends the trace records that wait.
    pub(crate) fn flush_trace(&mut self) {
        if !self.batch.is_empty() {
            self.console.send(Port::Trace, &self.batch);
            self.batch.clear();
        }
    }

    /// The device interrupted. Not where it is called: the device's address would be
    /// kept at hand there, and each system call would pay for that.
    #[inline(never)]
    pub(crate) fn interrupted(&mut self) {
        self.console.interrupted();
    }

    /// Bytes of a process for the terminal.
    #[cold]
    fn show(&mut self, pieces: &[Piece]) {
        // What a traced program did comes before what it shows.
        self.flush_trace();
        if let Some(terminal) = &self.terminal {
            terminal.show_pieces(&mut self.console, pieces);
        }
    }

    /// The terminal is in use.
    pub(crate) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// The next received bytes, which are given back when they were used.
    pub(crate) fn receive(&mut self) -> Option<Letter> {
        self.console.receive()
    }

    /// Gives received bytes back.
    pub(crate) fn give_back(&mut self, letter: Letter) {
        self.console.give_back(letter);
    }
}

impl Host for Link {
    fn output(&mut self, process: u64, stream: u8, pieces: &[Piece]) {
        if stream == Stream::Terminal as u8 {
            return self.show(pieces);
        }
        let length = pieces.iter().map(|piece| piece.length as usize).sum();
        let mut header = [0; 24];
        let used = output_header(&mut header, process, stream, length)
            .expect("an output of PIECES_MAX pages fits a frame");
        debug_assert!(pieces.len() <= PIECES_MAX);
        let pieces = pieces.iter().map(|piece| {
            (
                piece.frame.address() + u64::from(piece.offset),
                piece.length,
            )
        });
        self.console
            .send_with_header(Port::Control, &header[..used], pieces);
    }

    fn output_bytes(&mut self, process: u64, stream: u8, bytes: &[u8]) {
        if stream == Stream::Terminal as u8 {
            return self.terminal_echo(bytes);
        }
        self.send(&Event::Output {
            pid: process,
            stream,
            bytes,
        });
    }

    fn traced(&mut self, call: &TracedCall) {
        let detail = usize::from(call.call.detail_length);
        if self.batch.len() + FIXED + detail > BATCH {
            self.flush_trace();
        }
        let record = Record {
            pid: call.process,
            tid: u32::try_from(call.thread).unwrap_or(u32::MAX),
            abi: call.abi.code(),
            detail: call.call.detail_length,
            ended: call.result.is_none(),
            error: call.error,
            number: call.call.number,
            arguments: call.call.arguments,
            result: call.result.unwrap_or(0),
            entered_tsc: call.call.entered,
            left_tsc: call.left,
        };
        self.batch.reserve(BATCH);
        self.batch.extend_from_slice(&record.to_bytes());
        self.batch.extend_from_slice(&call.call.detail[..detail]);
    }

    fn child(&mut self, child: &NewChild<'_>) {
        self.send(&Event::Child {
            pid: child.process,
            parent: child.parent,
            root: child.root,
            abi: child.abi.code(),
            program: child.program,
        });
    }

    fn logged(&mut self, words: &[u8]) {
        for line in words.utf8_chunks().flat_map(|chunk| chunk.valid().lines()) {
            self.log(format_args!("{line}"));
        }
    }

    fn input_room(&mut self, process: u64, bytes: usize) {
        let bytes = u32::try_from(bytes).expect("an input holds less than 4 GiB");
        self.send(&Event::InputRoom {
            pid: process,
            bytes,
        });
    }

    fn input_closed(&mut self, process: u64) {
        self.send(&Event::InputClosed { pid: process });
    }

    fn terminal_begins(&mut self, line: Line) {
        self.terminal = Some(Terminal::new(line, &mut self.console));
    }

    fn terminal_echo(&mut self, bytes: &[u8]) {
        if let Some(terminal) = &self.terminal {
            terminal.show(&mut self.console, bytes);
        }
    }

    fn terminal_bytes(&mut self, room: usize, consume: impl FnOnce(&[u8])) -> bool {
        let terminal = self.terminal.as_mut();
        terminal.is_some_and(|it| it.take(&mut self.console, room, consume))
    }

    fn terminal_waits(&self) -> bool {
        self.terminal.as_ref().is_some_and(Terminal::waits)
    }

    fn event(&mut self, event: CoreEvent) {
        self.events.push_back(event);
    }

    fn awaiting(&mut self, mailbox: PageFrame) {
        self.flush_trace();
        // None is to come between a copy's beginning and its call.
        apic::admit();
        // What is used of the heap does not tell how a call came.
        self.events.reserve(1);
        self.send(&Event::Awaiting {
            id: self.await_id,
            mailbox: mailbox.address(),
        });
    }

    fn called(&mut self) {
        self.console.send_known(Port::Control, &CALLED);
    }
}

/// Text of limited length, made by formatting.
pub(crate) struct Text {
    bytes: [u8; 256],
    used: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            bytes: [0; 256],
            used: 0,
        }
    }
}

impl Text {
    /// What was written, up to the limit.
    pub(crate) fn as_str(&self) -> &str {
        let bytes = &self.bytes[..self.used];
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            // Cut in the middle of a character: keep what is before it.
            Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
        }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.len() - self.used;
        let length = text.len().min(room);
        self.bytes[self.used..self.used + length].copy_from_slice(&text.as_bytes()[..length]);
        self.used += length;
        if length == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

//! What the fake host was told, and the memory that it reads outputs from.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use mayfly_abi::Abi;

use crate::event::Event;
use crate::port::{Host, Line, NewChild, PAGE_BYTES, PAGE_SIZE, PIECES_MAX, PageFrame, Piece};
use crate::trace::TracedCall;

/// Frame of the first file; all frames below are RAM.
const FILES: u64 = 1 << 32;

/// Memory by frames, shared by the machine and the host.
#[derive(Default)]
pub struct Ram {
    pub(super) pages: HashMap<PageFrame, Box<[u8; PAGE_BYTES]>>,
    pub(super) last: u64,
    files: Vec<(PageFrame, &'static [u8])>,
}

impl Ram {
    pub(super) fn add_file(&mut self, bytes: &'static [u8]) -> PageFrame {
        let end = self.files.last().map_or(FILES, |(first, bytes)| {
            first.0 + (bytes.len() as u64).div_ceil(PAGE_SIZE)
        });
        self.files.push((PageFrame(end), bytes));
        PageFrame(end)
    }

    pub(super) fn read(&self, frame: PageFrame, offset: usize, buffer: &mut [u8]) {
        assert!(
            offset + buffer.len() <= PAGE_BYTES,
            "a read leaves its frame"
        );
        if let Some(page) = self.pages.get(&frame) {
            return buffer.copy_from_slice(&page[offset..offset + buffer.len()]);
        }
        let bytes = self
            .file_page(frame)
            .expect("a read of a frame that is not in use");
        for (byte, at) in buffer.iter_mut().zip(offset..) {
            *byte = bytes.get(at).copied().unwrap_or(0);
        }
    }

    /// The bytes of a file from the page that lies in `frame`.
    pub(super) fn file_page(&self, frame: PageFrame) -> Option<&'static [u8]> {
        self.files.iter().find_map(|(first, bytes)| {
            let page = usize::try_from(frame.0.checked_sub(first.0)?).ok()?;
            bytes.get(page * PAGE_BYTES..)
        })
    }
}

/// A host that keeps what it is told.
pub struct FakeHost {
    ram: Rc<RefCell<Ram>>,
    /// Outputs: process number, stream, bytes; one for each call.
    pub outputs: Vec<(u64, u8, Vec<u8>)>,
    /// Traced calls.
    pub traces: Vec<TracedCall>,
    /// Children of traced processes: number, number of the maker, interface, program.
    pub children: Vec<(u64, u64, Abi, Vec<u8>)>,
    /// What the kernel logged.
    pub logged: Vec<u8>,
    /// Standard inputs: process number, room for so many bytes more, or none:
    /// closed.
    pub inputs: Vec<(u64, Option<usize>)>,
    /// Events.
    pub events: Vec<Event>,
    /// What it puts into the mailbox that it is shown next, by offset.
    pub mail: Vec<(usize, u64)>,
    /// Calls that were in a mailbox and have returned.
    pub called: usize,
    /// Line of the terminal, once it is used.
    pub line: Option<Line>,
    /// Bytes that were typed and not taken.
    pub typed: VecDeque<u8>,
    /// What the kernel itself showed on the terminal.
    pub echo: Vec<u8>,
}

impl FakeHost {
    pub(super) fn new(ram: &Rc<RefCell<Ram>>) -> Self {
        Self {
            ram: Rc::clone(ram),
            outputs: Vec::new(),
            traces: Vec::new(),
            children: Vec::new(),
            logged: Vec::new(),
            inputs: Vec::new(),
            events: Vec::new(),
            mail: Vec::new(),
            called: 0,
            line: None,
            typed: VecDeque::new(),
            echo: Vec::new(),
        }
    }
}

impl Host for FakeHost {
    fn output(&mut self, process: u64, stream: u8, pieces: &[Piece]) {
        assert!(!pieces.is_empty() && pieces.len() <= PIECES_MAX);
        let mut bytes = Vec::new();
        for piece in pieces {
            assert!(piece.length > 0, "an empty piece");
            let mut buffer = vec![0; piece.length as usize];
            let ram = self.ram.borrow();
            ram.read(piece.frame, piece.offset as usize, &mut buffer);
            bytes.extend(buffer);
        }
        self.outputs.push((process, stream, bytes));
    }

    fn output_bytes(&mut self, process: u64, stream: u8, bytes: &[u8]) {
        self.outputs.push((process, stream, bytes.to_vec()));
    }

    fn traced(&mut self, call: &TracedCall) {
        self.traces.push(*call);
    }

    fn child(&mut self, child: &NewChild<'_>) {
        let program = child.program.to_vec();
        let child = (child.process, child.parent, child.abi, program);
        self.children.push(child);
    }

    fn logged(&mut self, words: &[u8]) {
        self.logged.extend(words);
    }

    fn input_room(&mut self, process: u64, bytes: usize) {
        self.inputs.push((process, Some(bytes)));
    }

    fn input_closed(&mut self, process: u64) {
        self.inputs.push((process, None));
    }

    fn terminal_begins(&mut self, line: Line) {
        assert_eq!(self.line.replace(line), None, "it begins once");
    }

    fn terminal_echo(&mut self, bytes: &[u8]) {
        self.echo.extend(bytes);
    }

    fn terminal_bytes(&mut self, room: usize, consume: impl FnOnce(&[u8])) -> bool {
        let count = room.min(self.typed.len());
        let bytes: Vec<u8> = self.typed.drain(..count).collect();
        if count > 0 {
            consume(&bytes);
        }
        count > 0 && !self.typed.is_empty()
    }

    fn terminal_waits(&self) -> bool {
        !self.typed.is_empty()
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn awaiting(&mut self, mailbox: PageFrame) {
        for (offset, word) in self.mail.drain(..) {
            let mut ram = self.ram.borrow_mut();
            let page = ram.pages.get_mut(&mailbox).expect("the mailbox is RAM");
            page[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
    }

    fn called(&mut self) {
        self.called += 1;
    }
}

//! The terminal's lines: a port of the virtio-console, or COM1.
//!
//! Typed bytes are left where they are until there is room for them. Neighbours:
//! `link` is the host that core talks to, `kernel/core/src/object/terminal.rs`
//! what programs see.

use mayfly_arch::serial;
use mayfly_arch::virtio::console::{Console, Port, Typed};
use mayfly_core::port::{Line, Piece};

/// Bytes that are taken from a serial line at once.
const CHUNK: usize = 64;

/// The line that the terminal is on.
pub(crate) struct Terminal {
    line: Line,
    /// Bytes that the device has handed over, and nobody had room for.
    left: Option<Typed>,
}

impl Terminal {
    /// Begins to listen.
    pub(crate) fn new(line: Line, console: &mut Console) -> Self {
        match line {
            Line::Console => console.listen_to_terminal(),
            Line::Serial => serial::listen(),
        }
        Self { line, left: None }
    }

    /// Shows bytes of the kernel's own.
    pub(crate) fn show(&self, console: &mut Console, bytes: &[u8]) {
        match self.line {
            Line::Console => console.send(Port::Console, bytes),
            Line::Serial => serial::write(bytes),
        }
    }

    /// Shows bytes from the frames they lie in.
    pub(crate) fn show_pieces(&self, console: &mut Console, pieces: &[Piece]) {
        let place = |piece: &Piece| {
            let address = piece.frame.address() + u64::from(piece.offset);
            (address, piece.length)
        };
        if let (Line::Console, [piece]) = (self.line, pieces) {
            return console.send_piece(Port::Console, place(piece));
        }
        let pieces = pieces.iter().map(place);
        match self.line {
            Line::Console => console.send_pieces(Port::Console, pieces),
            Line::Serial => {
                pieces.for_each(|(address, length)| serial::write_from(address, length));
            }
        }
    }

    /// Typed bytes wait.
    pub(crate) fn waits(&self) -> bool {
        self.left.is_some() || self.line == Line::Serial && serial::has_received()
    }

    /// Hands over at most `room` typed bytes; true if there may be more, and there
    /// was room.
    pub(crate) fn take(
        &mut self,
        console: &mut Console,
        room: usize,
        consume: impl FnOnce(&[u8]),
    ) -> bool {
        if room == 0 {
            if self.line == Line::Console && self.left.is_none() {
                // It is known then that they wait, and whoever makes room asks again.
                self.left = console.typed();
            }
            return false;
        }
        if self.line == Line::Serial {
            let mut bytes = [0; CHUNK];
            let received = core::iter::from_fn(serial::read);
            let mut count = 0;
            for (place, byte) in bytes.iter_mut().take(room).zip(received) {
                (*place, count) = (byte, count + 1);
            }
            if count > 0 {
                consume(&bytes[..count]);
            }
            return count > 0;
        }
        let Some(typed) = self.left.take().or_else(|| console.typed()) else {
            return false;
        };
        let more;
        (self.left, more) = console.consume_typed(typed, room, consume);
        more
    }
}

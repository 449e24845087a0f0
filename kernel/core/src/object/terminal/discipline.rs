//! The line discipline of a terminal: what typed bytes become.
//!
//! In [raw](Discipline::raw) mode they go to the reader as they are; that is for
//! whoever edits lines itself. Otherwise a line is gathered, echoed, and read
//! when it is complete; some keys edit it, and Ctrl-C is no byte but an event.
//! Pure data: tested without a machine.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::width::columns;

/// Longest line that is gathered, and bytes kept for readers in all.
pub const LINE_MAX: usize = 4095;
pub(super) const KEPT_MAX: usize = 16 << 10;

/// Keys that mean something while a line is gathered.
mod key {
    pub(super) const INTERRUPT: u8 = 0x03;
    pub(super) const END: u8 = 0x04;
    pub(super) const BACKSPACE: u8 = 0x08;
    pub(super) const RETURN: u8 = b'\r';
    pub(super) const KILL_LINE: u8 = 0x15;
    pub(super) const ERASE_WORD: u8 = 0x17;
    pub(super) const QUIT: u8 = 0x1c;
    pub(super) const DELETE: u8 = 0x7f;
}

const BELL: u8 = 0x07;

/// What typing leads to, besides bytes for readers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// Bytes to show.
    pub echo: Vec<u8>,
    /// Somebody can read more than before.
    pub readable: bool,
    /// Whoever runs in the foreground is to end.
    pub interrupt: bool,
}

/// Bytes on their way from a keyboard to readers.
#[derive(Debug, Default)]
pub struct Discipline {
    raw: bool,
    /// The line that is being typed.
    line: Vec<u8>,
    /// Bytes for readers.
    ready: VecDeque<u8>,
    /// Lengths of the parts that single reads take of them; 0 is an end.
    parts: VecDeque<usize>,
}

impl Discipline {
    /// Bytes go to the reader as they are.
    pub fn is_raw(&self) -> bool {
        self.raw
    }

    /// Bytes that can still be taken without losing any.
    pub fn room(&self) -> usize {
        match self.raw {
            true => KEPT_MAX.saturating_sub(self.ready.len()),
            // A key that ends programs must come through.
            false => KEPT_MAX,
        }
    }

    /// Changes the mode. What was typed ahead is taken as the new mode takes it.
    pub fn set_raw(&mut self, raw: bool) -> Typed {
        if self.raw == raw {
            return Typed::default();
        }
        self.raw = raw;
        let mut typed: Vec<u8> = self.ready.drain(..).collect();
        typed.append(&mut self.line);
        self.parts.clear();
        self.typed(&typed)
    }

    /// Takes what was typed.
    pub fn typed(&mut self, bytes: &[u8]) -> Typed {
        let mut typed = Typed::default();
        self.take(bytes, &mut typed);
        typed
    }

    /// Takes what was typed, and adds what it leads to.
    pub fn take(&mut self, bytes: &[u8], typed: &mut Typed) {
        if self.raw {
            match bytes {
                // One key: mostly.
                [byte] if self.ready.len() < KEPT_MAX => self.ready.push_back(*byte),
                bytes => self.ready.extend(&bytes[..bytes.len().min(self.room())]),
            }
            typed.readable = !self.ready.is_empty();
            return;
        }
        for byte in bytes {
            self.cook(*byte, typed);
        }
    }

    /// Something can be read: bytes, or an end.
    pub fn is_readable(&self) -> bool {
        match self.raw {
            true => !self.ready.is_empty(),
            false => !self.parts.is_empty(),
        }
    }

    /// What one read of at most `most` bytes gets: what was typed, no further
    /// than to the end of a line. Nothing at all is an end.
    pub fn next(&mut self, most: usize) -> &[u8] {
        let ready = self.ready.make_contiguous();
        let length = if self.raw {
            // No further than is read: much may wait behind.
            let ready = &ready[..ready.len().min(most)];
            let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
            let end = ready.iter().position(is_end);
            end.map_or(ready.len(), |end| end + 1)
        } else {
            self.parts.front().copied().unwrap_or(0)
        };
        &ready[..length.min(most)]
    }

    /// A reader has the first `length` bytes of [`next`](Self::next).
    pub fn consume(&mut self, length: usize) {
        self.ready.drain(..length);
        if let Some(part) = self.parts.front_mut() {
            *part -= length;
            if *part == 0 {
                self.parts.pop_front();
            }
        }
    }

    fn cook(&mut self, byte: u8, typed: &mut Typed) {
        match byte {
            key::INTERRUPT | key::QUIT => {
                self.line.clear();
                self.ready.clear();
                self.parts.clear();
                show(&[byte], &mut typed.echo);
                typed.echo.extend(b"\r\n");
                (typed.interrupt, typed.readable) = (true, false);
            }
            key::END => {
                self.deliver();
                typed.readable = true;
            }
            key::BACKSPACE | key::DELETE => self.erase(&mut typed.echo),
            key::KILL_LINE => {
                while !self.line.is_empty() {
                    self.erase(&mut typed.echo);
                }
            }
            key::ERASE_WORD => {
                while self.line.last().is_some_and(u8::is_ascii_whitespace) {
                    self.erase(&mut typed.echo);
                }
                while self.line.last().is_some_and(|it| !it.is_ascii_whitespace()) {
                    self.erase(&mut typed.echo);
                }
            }
            key::RETURN | b'\n' if self.kept() < KEPT_MAX => {
                self.line.push(b'\n');
                typed.echo.extend(b"\r\n");
                self.deliver();
                typed.readable = true;
            }
            _ if self.line.len() >= LINE_MAX || self.kept() >= KEPT_MAX - 1 => {
                typed.echo.push(BELL);
            }
            _ => {
                self.line.push(byte);
                show(&[byte], &mut typed.echo);
            }
        }
    }

    fn kept(&self) -> usize {
        self.ready.len() + self.line.len() + self.parts.len()
    }

    /// The line is complete.
    fn deliver(&mut self) {
        if self.parts.len() < KEPT_MAX {
            self.parts.push_back(self.line.len());
            self.ready.extend(self.line.drain(..));
        }
    }

    /// Takes the last character back, and off the screen.
    fn erase(&mut self, echo: &mut Vec<u8>) {
        let is_first = |byte: &u8| byte & 0xc0 != 0x80;
        let start = self.line.iter().rposition(is_first).unwrap_or(0);
        let character = self.line.split_off(start);
        for _ in 0..columns(&character) {
            echo.extend(b"\x08 \x08");
        }
    }
}

/// Shows typed bytes: a key without a character as `^X`.
fn show(bytes: &[u8], echo: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'\t' => echo.push(b' '),
            0..=0x1f | 0x7f => echo.extend([b'^', byte ^ 0x40]),
            _ => echo.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests;

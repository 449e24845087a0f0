//! From the bytes of a terminal to keys.
//!
//! Purpose: a [`Decoder`] takes bytes as they come, in whatever pieces, and
//! gives keys: characters of UTF-8, control keys, the escape sequences that
//! terminals in use send, pasted text in brackets, answers of the host.
//! Neighbours: `editor` acts on keys.

use alloc::string::String;
use alloc::vec::Vec;

use mayfly_wire::terminal::LONGEST;

/// A key, or something else that comes from the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character that is shown.
    Character(char),
    /// A control key, by its letter: `C` is Ctrl-C.
    Control(char),
    /// Return.
    Enter,
    /// Tab.
    Tab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Cursor keys.
    Left,
    /// To the right.
    Right,
    /// Up.
    Up,
    /// Down.
    Down,
    /// To the beginning of the line.
    Home,
    /// To its end.
    End,
    /// A word to the left.
    WordLeft,
    /// A word to the right.
    WordRight,
    /// Erases the word to the left.
    EraseWordLeft,
    /// Erases the word to the right.
    EraseWordRight,
    /// Escape by itself, as far as that can be told.
    Escape,
    /// Pasted text begins, or ends.
    Paste(bool),
    /// The host's answer.
    Answer(String),
}

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;
const DELETE: u8 = 0x7f;

/// Where a decoder is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Behind an escape.
    Escape,
    /// Behind `ESC [`, with what came since.
    Sequence(Vec<u8>),
    /// Behind `ESC O`.
    Single,
    /// Behind `ESC ]`, with what came since.
    Command(Vec<u8>),
    /// In a character: its bytes so far, and how many it has.
    Character([u8; 4], u8, u8),
}

/// Takes bytes, gives keys.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
}

impl Decoder {
    /// In the middle of something: the next byte belongs to it.
    pub fn is_busy(&self) -> bool {
        self.state != State::Ground
    }

    /// Takes one byte.
    pub fn push(&mut self, byte: u8) -> Option<Key> {
        match core::mem::take(&mut self.state) {
            State::Ground => self.ground(byte),
            State::Escape => self.escape(byte),
            State::Sequence(mut bytes) => match byte {
                0x40..=0x7e => sequence(&bytes, byte),
                0x20..=0x3f if bytes.len() < 32 => {
                    bytes.push(byte);
                    self.state = State::Sequence(bytes);
                    None
                }
                // Not a sequence after all: the byte counts by itself.
                _ => self.ground(byte),
            },
            State::Single => sequence(&[], byte),
            State::Command(mut bytes) => match byte {
                BELL => {
                    let text = String::from_utf8(bytes).ok()?;
                    text.strip_prefix("7077;").map(|it| Key::Answer(it.into()))
                }
                ESCAPE => self.ground(byte),
                _ => {
                    if bytes.len() < LONGEST {
                        bytes.push(byte);
                    }
                    self.state = State::Command(bytes);
                    None
                }
            },
            State::Character(mut bytes, have, need) => {
                if byte & 0xc0 != 0x80 {
                    return self.ground(byte);
                }
                bytes[usize::from(have)] = byte;
                if have + 1 < need {
                    self.state = State::Character(bytes, have + 1, need);
                    return None;
                }
                let text = core::str::from_utf8(&bytes[..usize::from(need)]).ok()?;
                text.chars()
                    .next()
                    .filter(|it| !it.is_control())
                    .map(Key::Character)
            }
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | DELETE => Key::Backspace,
            ESCAPE => {
                self.state = State::Escape;
                return None;
            }
            0..=0x1f => Key::Control(char::from(byte | 0x40)),
            0x20..=0x7e => Key::Character(char::from(byte)),
            0xc2..=0xf4 => {
                let need = match byte {
                    ..0xe0 => 2,
                    0xe0..0xf0 => 3,
                    _ => 4,
                };
                self.state = State::Character([byte, 0, 0, 0], 1, need);
                return None;
            }
            _ => return None,
        })
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b'[' => {
                self.state = State::Sequence(Vec::new());
                return None;
            }
            b'O' => {
                self.state = State::Single;
                return None;
            }
            b']' => {
                self.state = State::Command(Vec::new());
                return None;
            }
            b'b' | b'B' => Key::WordLeft,
            b'f' | b'F' => Key::WordRight,
            b'd' | b'D' => Key::EraseWordRight,
            0x08 | DELETE => Key::EraseWordLeft,
            ESCAPE => {
                self.state = State::Escape;
                Key::Escape
            }
            _ => return self.ground(byte).filter(|_| byte < 0x20),
        })
    }
}

/// What a sequence stands for: its parameters, and the byte that ends it.
fn sequence(parameters: &[u8], end: u8) -> Option<Key> {
    let text = core::str::from_utf8(parameters).ok()?;
    let mut numbers = text.split(';').map(|it| it.parse::<u16>().unwrap_or(0));
    let first = numbers.next().unwrap_or(0);
    // Shift counts 1, Alt 2, Ctrl 4, all from 1.
    let far = matches!(numbers.next(), Some(3 | 5..=8));
    Some(match (end, first) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if far => Key::WordRight,
        (b'D', _) if far => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', 1 | 7) => Key::Home,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'~', 3) if far => Key::EraseWordRight,
        (b'~', 3) => Key::Delete,
        (b'~', 200) => Key::Paste(true),
        (b'~', 201) => Key::Paste(false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        bytes
            .iter()
            .filter_map(|byte| decoder.push(*byte))
            .collect()
    }

    #[test]
    fn what_terminals_send_is_known() {
        for (bytes, key) in [
            (&b"\x1b[A"[..], Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b[1;5C", Key::WordRight),
            (b"\x1b[1;3D", Key::WordLeft),
            (b"\x1b[H", Key::Home),
            (b"\x1b[1~", Key::Home),
            (b"\x1bOF", Key::End),
            (b"\x1b[8~", Key::End),
            (b"\x1b[3~", Key::Delete),
            (b"\x1bb", Key::WordLeft),
            (b"\x1b\x7f", Key::EraseWordLeft),
            (b"\x01", Key::Control('A')),
            (b"\r", Key::Enter),
            (b"\x7f", Key::Backspace),
            (b"\x1b[200~", Key::Paste(true)),
            (b"\x1b]7077;ok 5\x07", Key::Answer("ok 5".into())),
            ("\u{1f600}".as_bytes(), Key::Character('\u{1f600}')),
        ] {
            assert_eq!(keys(bytes), [key], "{bytes:?}");
        }
    }

    #[test]
    fn what_is_broken_off_does_not_swallow_what_comes_next() {
        assert_eq!(keys(b"\xe4a"), [Key::Character('a')]);
        assert_eq!(keys(b"\x1b[12\ra"), [Key::Enter, Key::Character('a')]);
        assert_eq!(keys(b"\xffa"), [Key::Character('a')]);
        assert_eq!(keys(b"\x1b\x1b[A"), [Key::Escape, Key::Up]);
        assert_eq!(keys(b"\x1bxa"), [Key::Character('a')]);
    }

    proptest! {
        #[test]
        fn text_is_its_characters(text in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{0,40}") {
            let expected: Vec<Key> = text.chars().map(Key::Character).collect();
            prop_assert_eq!(keys(text.as_bytes()), expected);
        }

        #[test]
        fn any_bytes_are_survived_and_a_return_is_seen_soon(bytes: Vec<u8>) {
            let mut decoder = Decoder::default();
            for byte in bytes {
                let key = decoder.push(byte);
                prop_assert!(!matches!(key, Some(Key::Character(it)) if it.is_control()));
            }
            // Whatever was begun is over: a command after its bell.
            decoder.push(BELL);
            decoder.push(b' ');
            prop_assert_eq!(decoder.push(b'\r'), Some(Key::Enter));
        }
    }
}

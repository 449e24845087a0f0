//! Takes the shell's messages out of what its terminal shows.
//!
//! Purpose: bytes in whatever pieces, out again byte for byte but for the
//! messages ([`mayfly_wire::terminal`]), each at its place. A message that is
//! longer than one can be is shown as what it is: bytes. Pure, so that it is
//! tested without a machine.

use mayfly_wire::terminal::{BEGIN, END, LONGEST};

/// A piece of what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes to show.
    Shown(Vec<u8>),
    /// A message, without what is around it.
    Message(String),
}

/// Where it is.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// What may be the beginning of a message, or is one.
    held: Vec<u8>,
}

impl Filter {
    /// Takes bytes; pieces in their order.
    pub fn pieces(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let begin = BEGIN.as_bytes();
        let mut pieces = Vec::new();
        let mut shown = Vec::new();
        for byte in bytes {
            self.held.push(*byte);
            let inside = self.held.strip_prefix(begin);
            match inside {
                Some(inside) if *byte == END as u8 => {
                    let text = &inside[..inside.len() - 1];
                    let text = String::from_utf8_lossy(text).into_owned();
                    flush(&mut shown, &mut pieces);
                    pieces.push(Piece::Message(text));
                    self.held.clear();
                }
                Some(inside) if inside.len() <= LONGEST => {}
                None if begin.starts_with(&self.held) => {}
                _ => self.give_up(&mut shown),
            }
        }
        flush(&mut shown, &mut pieces);
        pieces
    }

    /// What was held is no message, but its end may be the beginning of one.
    fn give_up(&mut self, shown: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let begin = BEGIN.as_bytes();
        let starts = (1..held.len()).find(|at| begin.starts_with(&held[*at..]));
        let (out, kept) = held.split_at(starts.unwrap_or(held.len()));
        shown.extend(out);
        self.held = kept.into();
    }
}

fn flush(shown: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !shown.is_empty() {
        pieces.push(Piece::Shown(std::mem::take(shown)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts() -> impl Strategy<Value = Vec<Piece>> {
        let shown = prop_oneof![
            "[a-z\u{1b}\\]7;\u{7}\n]{1,12}",
            Just(String::from("\x1b]70")),
            Just(String::from("\x1b]0;title\x07")),
        ];
        let part = prop_oneof![
            shown.prop_map(|it| Piece::Shown(it.into_bytes())),
            "[a-z;0-9]{0,20}".prop_map(Piece::Message),
        ];
        proptest::collection::vec(part, 0..12)
    }

    proptest! {
        /// However the bytes are cut, the messages and the rest come out.
        #[test]
        fn messages_are_taken_out_and_nothing_else(parts in parts(), cut in 1..9usize) {
            let mut bytes = Vec::new();
            let (mut shown, mut messages) = (Vec::new(), Vec::new());
            for part in parts {
                match part {
                    Piece::Shown(it) => {
                        let whole = [&shown[..], &it].concat();
                        prop_assume!(!whole.windows(BEGIN.len()).any(|it| it == BEGIN.as_bytes()));
                        bytes.extend(&it);
                        shown.extend(it);
                    }
                    Piece::Message(it) => {
                        bytes.extend(format!("{BEGIN}{it}{END}").into_bytes());
                        messages.push(it);
                    }
                }
            }
            let mut filter = Filter::default();
            let (mut out, mut found) = (Vec::new(), Vec::new());
            for part in bytes.chunks(cut) {
                for piece in filter.pieces(part) {
                    match piece {
                        Piece::Shown(it) => out.extend(it),
                        Piece::Message(it) => found.push(it),
                    }
                }
            }
            out.extend(&filter.held);
            prop_assert_eq!(found, messages);
            prop_assert_eq!(out, shown);
        }
    }

    #[test]
    fn a_message_without_an_end_is_shown_at_last() {
        let mut filter = Filter::default();
        let long = [BEGIN.as_bytes(), &[b'x'; LONGEST + 10], b"after"].concat();
        let pieces = filter.pieces(&long);
        assert_eq!(pieces, [Piece::Shown(long)]);
    }
}

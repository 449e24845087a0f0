//! The menu behind Ctrl-]: one line, one key.

/// The key that opens it.
pub(crate) const KEY: u8 = 0x1d;
const ESCAPE: u8 = 0x1b;
const CTRL_C: u8 = 0x03;

/// What a key of the menu asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Leave.
    Quit,
    /// Send the key itself.
    Send,
    /// Make a sibling of the machine and go there.
    Fork,
    /// Go to the next machine.
    Next,
    /// Remember what the machine is now.
    Snapshot,
    /// Make it that again.
    Back,
    /// Nothing.
    Close,
    /// No key of it: it stays.
    Unknown,
}

/// What the first key of what was typed asks for, and the bytes that it is.
pub(crate) fn choice(typed: &[u8]) -> (Choice, usize) {
    let choice = match typed {
        [ESCAPE, b'[' | b'O', ..] => return (Choice::Unknown, sequence(typed)),
        [ESCAPE | CTRL_C, ..] => Choice::Close,
        [b'q' | b'Q' | b'.', ..] => Choice::Quit,
        [KEY | b']', ..] => Choice::Send,
        [b'f', ..] => Choice::Fork,
        [b'n', ..] => Choice::Next,
        [b's', ..] => Choice::Snapshot,
        [b'b', ..] => Choice::Back,
        _ => Choice::Unknown,
    };
    (choice, 1)
}

/// Length of the sequence that a key without a character is.
fn sequence(typed: &[u8]) -> usize {
    let mut rest = typed.iter().skip(2);
    match rest.position(|byte| matches!(byte, 0x40..=0x7e)) {
        Some(last) => 2 + last + 1,
        None => typed.len(),
    }
}

/// The line, as long as there is room for it.
pub(crate) fn line(columns: usize) -> String {
    let forms = [
        "q quit  ] send Ctrl-]  f fork this machine  n next machine  s snapshot  b back to it  Esc",
        "q quit  ] send  f fork  n next  s snapshot  b back  Esc",
        "q ] f n s b Esc",
    ];
    let fits = forms.iter().find(|form| form.len() < columns);
    (*fits.unwrap_or(&"q ] f n s b")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_no_longer_than_the_window() {
        for columns in 12..120 {
            assert!(line(columns).len() < columns, "{columns}");
        }
    }

    #[test]
    fn keys_are_taken_whole() {
        for (typed, key) in [
            (&b"q"[..], (Choice::Quit, 1)),
            (b"\x1b", (Choice::Close, 1)),
            (b"\x03f", (Choice::Close, 1)),
            (&[KEY], (Choice::Send, 1)),
            (b"\x1b[Aq", (Choice::Unknown, 3)),
            (b"\x1b[1;5Cq", (Choice::Unknown, 6)),
            (b"\x1bOPq", (Choice::Unknown, 3)),
            (b"\x1b[1", (Choice::Unknown, 3)),
            (b"?q", (Choice::Unknown, 1)),
        ] {
            assert_eq!(choice(typed), key, "{typed:?}");
        }
    }
}

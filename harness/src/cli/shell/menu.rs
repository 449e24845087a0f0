//! The menu behind Ctrl-]: one line, one key.

/// The key that opens it.
pub(crate) const KEY: u8 = 0x1d;

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
}

/// What a key asks for.
pub(crate) fn choice(key: u8) -> Choice {
    match key {
        b'q' | b'Q' | b'.' => Choice::Quit,
        KEY | b']' => Choice::Send,
        b'f' => Choice::Fork,
        b'n' => Choice::Next,
        b's' => Choice::Snapshot,
        b'b' => Choice::Back,
        _ => Choice::Close,
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
        assert_eq!(choice(b'q'), Choice::Quit);
        assert_eq!(choice(0x1b), Choice::Close);
        assert_eq!(choice(KEY), Choice::Send);
    }
}

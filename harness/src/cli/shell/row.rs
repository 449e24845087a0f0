//! Whether the cursor stands where a row begins.
//!
//! Neighbours: `session` puts nothing behind what a program has left there.

/// It does, behind bytes that were shown when it did or did not.
pub(super) fn is_at_left(mut bytes: &[u8], before: bool) -> bool {
    // Colours and the like are no text.
    while let Some(at) = bytes.iter().rposition(|byte| *byte == 0x1b)
        && let [b'[', parameters @ .., last] = &bytes[at + 1..]
        && (0x40..0x7f).contains(last)
        && parameters.iter().all(|it| (0x20..0x40).contains(it))
    {
        if *last == b'J' {
            // Nobody's line was begun where all behind it was erased.
            return true;
        }
        bytes = &bytes[..at];
    }
    match bytes.last() {
        Some(last) => matches!(last, b'\n' | b'\r'),
        None => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_moves_the_cursor_and_sequences_do_not() {
        for (bytes, before, after) in [
            (&b""[..], true, true),
            (b"", false, false),
            (b"text", true, false),
            (b"text\n", false, true),
            (b"text\r\n\x1b[0m", false, true),
            (b"text\x1b[0m", true, false),
            (b"\x1b[1m\x1b[?25h", true, true),
            (b"\x1b[1m\x1b[?25h", false, false),
            (b"text\r\x1b[J", false, true),
            (b"\x1b[H\x1b[2J", false, true),
            (b"\x1b[1", true, false),
        ] {
            assert_eq!(is_at_left(bytes, before), after, "{bytes:?}");
        }
    }
}

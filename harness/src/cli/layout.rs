//! How wide lines may be, and text that fits.
//!
//! Purpose: the width of the terminal that results go to, `COLUMNS` where they
//! go elsewhere (as for help, whose width the parser finds so), and words in
//! lines of that width. Neighbours: `calltable`, `doctor`, `intro`.

use std::io::IsTerminal as _;

/// Width where nobody says: nothing is cut for it.
const WIDE: usize = 120;
/// Narrowest width that text is fitted to.
const NARROW: usize = 20;

/// Columns for results.
pub(crate) fn width() -> usize {
    let stdout = std::io::stdout();
    let terminal = stdout.is_terminal().then(terminal_size::terminal_size);
    let columns = match terminal.flatten() {
        Some((terminal_size::Width(columns), _)) => Some(usize::from(columns)),
        None => std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok()),
    };
    columns.unwrap_or(WIDE).max(NARROW)
}

/// Words in lines of at most `width`; a word that is longer has its own.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let used = line.chars().count();
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("immeasurable a", 4), ["immeasurable", "a"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}

//! Texts in a report: the end of each, and no long lines.

use std::fmt::{self, Write as _};

/// Lines of text kept of each stream.
const TAIL_LINES: usize = 6;
/// Characters of each.
const LINE_CHARS: usize = 240;

/// Lines with a title before the first.
pub(super) fn section<T: fmt::Display>(
    text: &mut String,
    title: &str,
    lines: impl IntoIterator<Item = T>,
) {
    for (index, line) in lines.into_iter().enumerate() {
        let title = if index == 0 { title } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {title:<7} {line}");
    }
}

/// The last lines of a text that may not be UTF-8.
pub(super) fn tail(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines[skipped..].iter().map(|line| short(line)).collect()
}

/// A line, or as much of it as a report has room for.
fn short(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}... ({} bytes)", &line[..end], line.len()),
        None => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_short() {
        let text: Vec<u8> = (0..100)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        let lines = tail(&text);
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines.last().unwrap(), "line 99");
        let long = "é".repeat(LINE_CHARS);
        assert_eq!(tail(long.as_bytes()), [long.as_str()]);
        let longer = format!("{long}{long}");
        let told = format!("{long}... ({} bytes)", longer.len());
        assert_eq!(tail(longer.as_bytes()), [told]);
    }
}

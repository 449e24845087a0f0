//! Lines that were entered before.
//!
//! Neighbours: `editor` moves through them; the host keeps them between runs.

use alloc::string::String;
use alloc::vec::Vec;

use mayfly_wire::terminal::LINE_END;

/// Most lines that are kept, and most bytes that they have.
const MOST: usize = 1000;
const BYTES_MAX: usize = 512 << 10;

/// Lines, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<String>,
    bytes: usize,
}

impl History {
    /// Those of a text, one a line, in which an entry of several lines is one.
    pub fn of(text: &str) -> Self {
        let mut history = Self::default();
        for line in text.lines() {
            history.add(&line.replace(LINE_END, "\n"));
        }
        history
    }

    /// Adds a line, unless it is empty, begins with a blank, or is the last
    /// one again.
    pub fn add(&mut self, line: &str) {
        let line = line.trim_end_matches('\n');
        let again = self.lines.last().is_some_and(|last| last == line);
        if line.trim().is_empty() || line.starts_with(' ') || again {
            return;
        }
        self.bytes += line.len();
        self.lines.push(line.into());
        let mut over = 0;
        while self.lines.len() - over > MOST || self.bytes > BYTES_MAX {
            self.bytes -= self.lines[over].len();
            over += 1;
        }
        self.lines.drain(..over);
    }

    /// All of them.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The line `back` steps back; 0 is none.
    pub fn back(&self, back: usize) -> Option<&str> {
        let at = self.lines.len().checked_sub(back)?;
        self.lines.get(at).map(String::as_str)
    }

    /// How many steps back the next line with `text` in it is, further back
    /// than `from` steps.
    pub fn find(&self, text: &str, from: usize) -> Option<usize> {
        let mut steps = from + 1..=self.lines.len();
        steps.find(|back| self.back(*back).is_some_and(|line| line.contains(text)))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn lines_are_found_by_steps_and_by_text() {
        let mut history = History::of("one\ntwo\n\ntwo\n secret\nthree two\n");
        assert_eq!(history.lines(), ["one", "two", "three two"]);
        assert_eq!(
            (history.back(0), history.back(1)),
            (None, Some("three two"))
        );
        assert_eq!((history.back(3), history.back(4)), (Some("one"), None));
        assert_eq!(history.find("two", 0), Some(1));
        assert_eq!(history.find("two", 1), Some(2));
        assert_eq!(history.find("two", 2), None);
        history.add("for x\ny\n");
        assert_eq!(history.back(1), Some("for x\ny"));
        let entry = History::of("a\x0bb\x0bc\n");
        assert_eq!(entry.lines(), ["a\nb\nc"]);
        for n in 0..2 * MOST {
            history.add(if n % 2 == 0 { "a" } else { "b" });
        }
        assert_eq!(history.lines().len(), MOST);
        for n in 0..100 {
            history.add(&n.to_string().repeat(10_000));
        }
        let bytes: usize = history.lines().iter().map(String::len).sum();
        assert!(bytes <= BYTES_MAX && history.bytes == bytes, "{bytes}");
        assert!(bytes > BYTES_MAX / 2, "{bytes}");
    }
}

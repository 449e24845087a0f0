//! Draws a prompt and a line, and remembers where the cursor is.
//!
//! Purpose: each change is drawn with as few bytes as is easy: a character at
//! the end of the line as itself, anything else anew from where the prompt
//! began. Neighbours: `layout` breaks rows, `editor` owns the line.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::layout::{Layout, text_width};

/// What stands on the screen.
#[derive(Debug, Default)]
pub struct Screen {
    prompt: String,
    /// Stands in place of prompt and line while the history is searched.
    search: Option<(String, String)>,
    columns: usize,
    /// Prompt and line as they were drawn; `None` if nothing is there.
    drawn: Option<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    text: String,
    /// The cursor stands behind all of it.
    at_end: bool,
    layout: Layout,
}

impl Screen {
    /// An empty one; the cursor stands in the first column.
    pub fn new(prompt: &str, columns: usize) -> Self {
        Self {
            prompt: prompt.into(),
            columns,
            ..Self::default()
        }
    }

    /// Another prompt, on another number of columns.
    pub fn set(&mut self, prompt: &str, columns: usize) {
        self.prompt = prompt.into();
        self.columns = columns;
    }

    /// Shows a search from now on.
    pub fn search(&mut self, text: &str, line: &str, failed: bool) {
        let words = if failed { "failed search" } else { "search" };
        self.search = Some((format!("({words}) {text}: "), line.into()));
    }

    /// Shows prompt and line again.
    pub fn end_search(&mut self) {
        self.search = None;
    }

    /// Draws the line; the cursor stands at byte `cursor` of it.
    pub fn draw(&mut self, line: &str, cursor: usize, out: &mut Vec<u8>) {
        let (before, line, cursor) = match &self.search {
            Some((before, found)) => (&before[..], &found[..], 0),
            None => (&self.prompt[..], line, cursor),
        };
        let mut text = String::from(before);
        text.push_str(line);
        let mark = before.len() + cursor;
        let at_end = mark == text.len();
        if let Some(drawn) = &mut self.drawn
            && drawn.at_end
            && at_end
            && let Some(added) = text.strip_prefix(&drawn.text[..])
            && drawn.layout.mark.1 + text_width(added) < self.columns
            && !added.contains(|it: char| it.is_control())
        {
            out.extend(added.as_bytes());
            let wide = text_width(added);
            drawn.layout.text.push_str(added);
            drawn.layout.mark.1 += wide;
            if let Some(row) = drawn.layout.rows.last_mut() {
                *row += wide;
            }
            drawn.text = text;
            return;
        }
        let layout = Layout::new(&text, mark, self.columns);
        self.hide(self.columns, out);
        out.extend(layout.text.as_bytes());
        let up = layout.rows.len() - 1 - layout.mark.0;
        if !at_end {
            if up > 0 {
                out.extend(format!("\x1b[{up}A").as_bytes());
            }
            out.push(b'\r');
            if layout.mark.1 > 0 {
                out.extend(format!("\x1b[{}C", layout.mark.1).as_bytes());
            }
        }
        self.drawn = Some(Drawn {
            text,
            at_end,
            layout,
        });
    }

    /// Takes what was drawn off a screen that has so many columns now. Most
    /// terminals break rows anew that have become too long; on one that cuts
    /// them, rows above are erased rather than any of these left.
    pub fn hide(&mut self, columns: usize, out: &mut Vec<u8>) {
        let Some(drawn) = self.drawn.take() else {
            return;
        };
        let up = drawn.layout.row_in(columns);
        out.push(b'\r');
        if up > 0 {
            out.extend(format!("\x1b[{up}A").as_bytes());
        }
        out.extend(b"\x1b[J");
    }

    /// Empties the whole screen.
    pub fn clear(&mut self, out: &mut Vec<u8>) {
        self.drawn = None;
        out.extend(b"\x1b[H\x1b[2J");
    }

    /// Shows names in columns below the line, which is then drawn anew.
    pub fn list(&mut self, names: &[&str], out: &mut Vec<u8>) {
        self.below(out);
        out.extend(table(names, self.columns).as_bytes());
    }

    /// The line is over: `words` stand behind it, the cursor below.
    pub fn leave(&mut self, words: &str, out: &mut Vec<u8>) {
        self.search = None;
        if let Some(drawn) = &self.drawn {
            let down = drawn.layout.rows.len() - 1 - drawn.layout.mark.0;
            if !drawn.at_end {
                if down > 0 {
                    out.extend(format!("\x1b[{down}B").as_bytes());
                }
                let column = drawn.layout.rows.last().copied().unwrap_or(0);
                out.push(b'\r');
                if column > 0 {
                    out.extend(format!("\x1b[{column}C").as_bytes());
                }
            }
        }
        out.extend(words.as_bytes());
        out.extend(b"\r\n");
        self.drawn = None;
    }

    fn below(&mut self, out: &mut Vec<u8>) {
        self.leave("", out);
    }
}

/// Names in as many columns as fit, down first, with `\r\n` behind each row.
pub fn table(names: &[&str], columns: usize) -> String {
    let widest = names.iter().map(|name| text_width(name)).max().unwrap_or(0);
    let across = (columns.saturating_sub(1) / (widest + 2)).max(1);
    let rows = names.len().div_ceil(across).max(1);
    let mut text = String::new();
    for row in 0..rows {
        let mut left = 0;
        for name in names.iter().skip(row).step_by(rows) {
            for _ in 0..left {
                text.push(' ');
            }
            text.push_str(name);
            left = widest + 2 - text_width(name);
        }
        text.push_str("\r\n");
    }
    text
}

//! Where text stands on a screen of so many columns.
//!
//! Purpose: rows are broken here, by the width of every character, and never
//! left to the terminal, which may break elsewhere. Neighbours: `editor` draws
//! with it.

use alloc::string::String;
use alloc::vec::Vec;

use unicode_width::UnicodeWidthChar as _;

/// Columns that a character takes.
pub fn width(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// Columns that text takes in one row.
pub fn text_width(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Text in rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The text, with `\r\n` where a row ends.
    pub text: String,
    /// Columns that each row takes.
    pub rows: Vec<usize>,
    /// Row and column of the mark.
    pub mark: (usize, usize),
}

impl Layout {
    /// Puts `text` into rows of `columns`; the mark stands at byte `mark` of it.
    pub fn new(text: &str, mark: usize, columns: usize) -> Self {
        let columns = columns.max(2);
        let mut layout = Self {
            rows: Vec::from([0]),
            ..Self::default()
        };
        let mut marked = false;
        for (at, character) in text.char_indices() {
            let wide = width(character);
            if character == '\n' || layout.column() + wide > columns {
                layout.new_row();
            }
            if at == mark {
                layout.mark = (layout.rows.len() - 1, layout.column());
                marked = true;
            }
            if character != '\n' {
                layout.text.push(character);
                *layout.column_mut() += wide;
            }
        }
        if layout.column() >= columns {
            // The cursor has no place behind a full row.
            layout.new_row();
        }
        if !marked {
            layout.mark = (layout.rows.len() - 1, layout.column());
        }
        layout
    }

    fn column(&self) -> usize {
        self.rows.last().copied().unwrap_or(0)
    }

    fn column_mut(&mut self) -> &mut usize {
        if self.rows.is_empty() {
            self.rows.push(0);
        }
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    fn new_row(&mut self) {
        self.text.push_str("\r\n");
        self.rows.push(0);
    }

    /// The row of the mark on a screen that has other `columns` now, if it
    /// breaks rows that have become too long.
    pub fn row_in(&self, columns: usize) -> usize {
        let mut rows = self.text.split("\r\n");
        let above = rows.by_ref().take(self.mark.0);
        let above: usize = above.map(|row| rows_of(row, columns)).sum();
        let row = rows.next().unwrap_or_default();
        let mut left = 0;
        let marked = row.char_indices().find(|(_, it)| {
            let is_mark = left >= self.mark.1;
            left += width(*it);
            is_mark
        });
        // The mark goes with the character that it stands on.
        let behind = marked.map_or(row.len(), |(at, it)| at + it.len_utf8());
        above + rows_of(&row[..behind], columns) - 1
    }
}

/// Rows that a terminal of so many columns makes of one row.
fn rows_of(row: &str, columns: usize) -> usize {
    let (mut rows, mut column) = (1, 0);
    for character in row.chars() {
        column += width(character);
        if column > columns.max(2) {
            rows += 1;
            column = width(character);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wide_character_is_not_cut_in_two() {
        let layout = Layout::new("a\u{4e2d}\u{4e2d}b", 7, 4);
        assert_eq!(layout.text, "a\u{4e2d}\r\n\u{4e2d}b");
        assert_eq!((layout.rows, layout.mark), (alloc::vec![3, 3], (1, 2)));
    }

    #[test]
    fn behind_a_full_row_the_cursor_stands_in_the_next() {
        let layout = Layout::new("abcd", 4, 4);
        assert_eq!((&layout.text[..], layout.mark), ("abcd\r\n", (1, 0)));
    }

    #[test]
    fn a_narrower_screen_has_more_rows_above_the_mark() {
        let layout = Layout::new("abcdefghij\u{4e2d}klm", 15, 20);
        assert_eq!(
            (layout.row_in(20), layout.row_in(11), layout.row_in(5)),
            (0, 1, 2)
        );
        let full = Layout::new("abcdefgh", 8, 8);
        assert_eq!((full.row_in(8), full.row_in(4)), (1, 2));
    }

    proptest! {
        #[test]
        fn no_row_is_too_long_and_nothing_is_lost(
            text in "[a-z\u{e4}\u{4e2d}\u{1f600}\u{301}]{0,60}", columns in 2..30usize,
        ) {
            let layout = Layout::new(&text, 0, columns);
            prop_assert_eq!(layout.text.replace("\r\n", ""), text);
            let rows: Vec<usize> = layout.text.split("\r\n").map(text_width).collect();
            prop_assert_eq!(&rows, &layout.rows);
            prop_assert!(rows.iter().all(|row| *row <= columns));
        }
    }
}

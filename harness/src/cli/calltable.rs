//! Calls as a table: what was called, what came of it, what it cost.
//!
//! Purpose: the one table layout of `demo` and `run --trace`. Neighbours:
//! `say` prints the lines.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use mayfly::notation::grouped;
use mayfly::transcript::Call;

/// Widest signature that is shown whole.
const SIGNATURE_MAX: usize = 58;

/// A table of `calls`, without borders.
pub(crate) fn calls(calls: &[Call]) -> Vec<String> {
    let metered = calls.iter().any(|call| call.kernel_instr.is_some());
    let mut header = vec!["call", "result", "ticks"];
    if metered {
        header.push("kernel instr");
    }
    let mut table = plain(&header);
    for call in calls {
        let mut row = vec![
            Cell::new(shortened(&call.signature())),
            Cell::new(call.outcome()),
            number(grouped(call.ticks())),
        ];
        if metered {
            row.push(number(call.kernel_instr.map_or_else(String::new, grouped)));
        }
        table.add_row(row);
    }
    lines(&table)
}

/// A table without borders, as wide as its contents.
pub(crate) fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

/// The lines of a table, without blanks at their ends.
pub(crate) fn lines(table: &Table) -> Vec<String> {
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// A cell with a number.
pub(crate) fn number(number: impl ToString) -> Cell {
    Cell::new(number).set_alignment(CellAlignment::Right)
}

fn shortened(signature: &str) -> String {
    if signature.chars().count() <= SIGNATURE_MAX {
        return signature.into();
    }
    let start: String = signature.chars().take(SIGNATURE_MAX - 2).collect();
    format!("{start}..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_signatures_are_cut() {
        assert_eq!(shortened("GETPID()"), "GETPID()");
        assert_eq!(shortened(&"x".repeat(100)).len(), SIGNATURE_MAX);
    }

    #[test]
    fn no_calls_make_a_table_with_a_header() {
        assert_eq!(calls(&[]).len(), 1);
    }
}

//! Calls as a table: what was called, what came of it, what it cost.
//!
//! Purpose: the one table layout of `demo` and `run --trace`. Neighbours:
//! `say` prints the lines.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use mayfly::notation::grouped;
use mayfly::transcript::Call;

/// Widest and narrowest signature to be cut to.
const SIGNATURE_MAX: usize = 58;
const SIGNATURE_MIN: usize = 12;
/// Columns that the rest of a row takes: results, ticks, instructions, margins.
const BESIDE: usize = 46;
/// The same without ticks, which a narrow table has no room for.
const BESIDE_NARROW: usize = 30;

/// A table of `calls`, without borders, in `width` columns if it can be.
pub(crate) fn calls(calls: &[Call], width: usize) -> Vec<String> {
    let metered = calls.iter().any(|call| call.kernel_instr.is_some());
    let ticks = !metered || width >= BESIDE + SIGNATURE_MIN;
    let beside = if ticks { BESIDE } else { BESIDE_NARROW };
    let most = width.saturating_sub(beside);
    let most = most.clamp(SIGNATURE_MIN, SIGNATURE_MAX);
    let mut header = vec!["call", "result"];
    if ticks {
        header.push("ticks");
    }
    if metered {
        header.push("kernel instr");
    }
    let mut table = plain(&header);
    for call in calls {
        let mut row = vec![
            Cell::new(shortened(&call.signature(), most)),
            Cell::new(call.outcome()),
        ];
        if ticks {
            row.push(number(grouped(call.ticks())));
        }
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

fn shortened(signature: &str, most: usize) -> String {
    if signature.chars().count() <= most {
        return signature.into();
    }
    let start: String = signature.chars().take(most - 2).collect();
    format!("{start}..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_signatures_are_cut() {
        assert_eq!(shortened("GETPID()", 20), "GETPID()");
        assert_eq!(shortened(&"x".repeat(100), 20).len(), 20);
    }

    #[test]
    fn no_calls_make_a_table_with_a_header() {
        assert_eq!(calls(&[], 80).len(), 1);
    }
}

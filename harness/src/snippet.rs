//! The lines of source around a place.
//!
//! Purpose: a report that names `file:line` shows what is there, when the source
//! is at hand: that of the package whose test runs, or Mayfly's own. Neighbours:
//! `report` and [`crate::budget!`] print these, the command line its faults.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// Lines shown before and behind the one that is meant.
const AROUND: u32 = 1;
/// Longest line that is shown whole.
const COLUMNS_MAX: usize = 96;

/// `  --> file:line` and the lines there, each with a line end; without the
/// lines when the file is not found.
pub fn at(file: &str, line: u32) -> String {
    let mut text = format!("  --> {file}:{line}\n");
    let Some(source) = source(file) else {
        return text;
    };
    let first = line.saturating_sub(AROUND).max(1);
    let last = line.saturating_add(AROUND);
    let width = last.to_string().len();
    for (number, words) in (1..).zip(source.lines()) {
        if !(first..=last).contains(&number) {
            continue;
        }
        let mark = if number == line { '>' } else { ' ' };
        let words: String = words.chars().take(COLUMNS_MAX).collect();
        let shown = format!("  {mark} {number:>width$} | {words}");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", shown.trim_end());
    }
    text
}

/// The text of a source file. Names come from guests too: only such are looked
/// for as lead down from a folder of sources, and end as sources do.
fn source(file: &str) -> Option<String> {
    let path = Path::new(file);
    let mut parts = path.components();
    let is_source = path.extension().is_some_and(|it| it == "rs" || it == "s");
    if !is_source || !parts.all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    roots()
        .into_iter()
        .find_map(|root| std::fs::read_to_string(root.join(path)).ok())
}

/// Where sources are: the package whose test runs, the folders above it, and
/// this library's own workspace.
fn roots() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let above = here.ancestors().take(4).map(Path::to_owned);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    above.chain([own]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_between_its_neighbours() {
        let text = at("harness/src/snippet.rs", 2);
        let expected = "  --> harness/src/snippet.rs:2
    1 | //! The lines of source around a place.
  > 2 | //!
    3 | //! Purpose: a report that names `file:line` shows what is there, when the source
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_no_source_of_ours_is_not_read() {
        for file in ["/etc/hosts.rs", "../x.rs", "Cargo.toml", "no/such.rs", ""] {
            assert_eq!(at(file, 1).lines().count(), 1, "{file}");
        }
    }

    #[test]
    fn a_line_that_is_not_there_is_none() {
        assert_eq!(
            at("harness/src/snippet.rs", u32::MAX - 1).lines().count(),
            1
        );
    }
}

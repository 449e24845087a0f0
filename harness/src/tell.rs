//! Words on standard error that nobody may depend on.
//!
//! Purpose: a line that cannot be written (its reader has gone, its disk is
//! full) must not end who writes it. Neighbours: `cli/say.rs` has the words of
//! the tool.

use std::fmt;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A line that begins with who says it.
pub(crate) fn warn(words: fmt::Arguments<'_>) {
    // Nobody is left to be told.
    let _ = writeln!(io::stderr().lock(), "mayfly: {words}");
}

/// A line beside the words of the test that runs, which Rust's test harness
/// keeps with them. Only the macro reaches that, and it panics when it fails.
pub(crate) fn beside_test(words: fmt::Arguments<'_>) {
    // As above.
    let _ = catch_unwind(AssertUnwindSafe(|| eprintln!("{words}")));
}

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

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs::File;
    use std::process::Command;

    use super::*;

    /// Set where this test runs itself.
    const CHILD: &str = "MAYFLY_TELLS";

    #[test]
    fn words_that_cannot_be_written_end_nobody() {
        if env::var_os(CHILD).is_some() {
            warn(format_args!("words"));
            beside_test(format_args!("words"));
            return;
        }
        let full = File::options().write(true).open("/dev/full").unwrap();
        let name = "tell::tests::words_that_cannot_be_written_end_nobody";
        let again = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .stderr(full)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&again.stdout);
        assert!(
            again.status.success() && told.contains("1 passed"),
            "{told}"
        );
    }
}

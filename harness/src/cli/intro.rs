//! `mayfly` alone: what it is, and what to try first.
//!
//! Purpose: one screen for somebody who has just built the tool; `--help` has
//! everything. Neighbours: `layout` fits it into the terminal.

use super::exit::Exit;
use super::layout;
use super::say::{QUIET, STRONG, Say, styled};

const WHAT: &str = "Mayfly boots a real kernel in a microVM, runs programs on it, and shows \
    what they did: every system call, its result, and what it cost.";

const FIRST: [(&str, &str); 6] = [
    ("mayfly demo", "see it work"),
    ("mayfly doctor", "what this host can do"),
    ("mayfly run patchwork-hello", "run a program"),
    (
        "mayfly trace patchwork-hello",
        "its system calls, one a line",
    ),
    ("mayfly call patchwork GETPID", "a single system call"),
    ("mayfly shell", "a prompt in the guest"),
];

const REST: &str = "mayfly --help lists all commands, mayfly COMMAND --help their options. \
    Tests are ordinary Rust tests, #[mayfly::test]: README.md begins with one.";

/// Shows it.
pub(crate) fn run(say: &mut Say) -> anyhow::Result<Exit> {
    for line in layout::wrapped(WHAT, layout::width()) {
        say.line(&styled(STRONG, line))?;
    }
    say.line("")?;
    for (command, what) in FIRST {
        let line = format!("  {command:<30}{what}");
        if line.len() <= layout::width() {
            say.line(&format!("  {command:<30}{}", styled(QUIET, what)))?;
        } else {
            say.line(&format!("  {command}"))?;
            say.line(&styled(QUIET, format!("      {what}")))?;
        }
    }
    say.line("")?;
    for line in layout::wrapped(REST, layout::width()) {
        say.line(&line)?;
    }
    Ok(Exit::Success)
}

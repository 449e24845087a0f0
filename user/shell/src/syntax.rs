//! What a line of the shell is made of.
//!
//! Neighbours: `parse` makes these of text, `expand` makes plain words of them.

use alloc::string::String;
use alloc::vec::Vec;

/// A line: pipelines, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// In their order.
    pub items: Vec<Item>,
}

/// A pipeline, and when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What came before must have ended so for this one to run.
    pub when: When,
    /// Nobody waits for it.
    pub background: bool,
    /// What reads what the one before it writes.
    pub pipeline: Vec<Command>,
    /// Bytes of the line that it stands in.
    pub text: (usize, usize),
}

/// What must have happened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Anything.
    Always,
    /// It went well.
    Success,
    /// It failed.
    Failure,
}

/// A command with its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its name, and its arguments.
    pub words: Vec<Word>,
    /// Where its streams lead.
    pub redirections: Vec<Redirection>,
}

/// A stream that leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirection {
    /// Its descriptor.
    pub stream: u64,
    /// Where it leads.
    pub to: Destination,
}

/// Where a stream leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Reads a file.
    From(Word),
    /// Writes a file anew.
    Into(Word),
    /// Writes behind what a file holds.
    Behind(Word),
    /// Where another one leads.
    As(u64),
}

/// A word in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// One after the other.
    pub pieces: Vec<Piece>,
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is; quoted text is not a pattern.
    Text {
        /// The text.
        text: String,
        /// It was quoted.
        quoted: bool,
    },
    /// The value of a variable; quoted it stays one word.
    Variable {
        /// Its name; `?` is the last status, `$` the shell's number.
        name: String,
        /// It was quoted.
        quoted: bool,
    },
}

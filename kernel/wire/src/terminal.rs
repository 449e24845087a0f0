//! What the guest's shell and the host tell each other on the terminal.
//!
//! Purpose: the shell runs in ring 3 and has nothing but its terminal, so these
//! travel among its bytes, as operating system commands (OSC) that no terminal
//! knows: at exactly the place where they belong. The host takes them out. Any
//! program may send them: a host must bear all of them at any time. Neighbours:
//! `user/shell` and `harness/src/terminal`.

use core::fmt;

/// Bytes before a message, and the one behind it.
pub const BEGIN: &str = "\x1b]7077;";
/// The byte behind a message.
pub const END: char = '\x07';
/// Longest line that the shell takes, in bytes: whole in one message, so that
/// the host's history has it whole.
pub const LINE_MAX: usize = 16 << 10;
/// Longest message, without [`BEGIN`] and [`END`].
pub const LONGEST: usize = LINE_MAX + 8;

/// What stands for a line's end within an entry: in [`Message::Run`], and in the
/// file of earlier entries, which has one a line.
pub const LINE_END: char = '\x0b';

/// What the shell tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A line is being edited from now on; what waits to be shown may come
    /// now, as the screen has room for it here.
    Prompt,
    /// The line was entered: for the history. It runs next. Of several lines,
    /// each but the last has [`LINE_END`] behind it.
    Run(&'a str),
    /// What comes is the shell's drawing of its line,
    Drawing,
    /// and here that ends: other bytes are what programs show.
    Drawn,
    /// The calls of that process are to be shown as they are made. Answered.
    Trace(u64),
    /// It has ended: answered when all its calls have been shown.
    Traced(u64),
    /// How many kernel instructions were counted so far? Answered.
    Count,
}

impl Message<'_> {
    /// Whether the host answers, with a line of its own in the same form.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Trace(_) | Self::Traced(_) | Self::Count)
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BEGIN)?;
        match self {
            Self::Prompt => f.write_str("prompt;")?,
            Self::Run(line) => {
                f.write_str("run;")?;
                let mut room = LINE_MAX;
                for character in line.trim_end_matches('\n').chars() {
                    let character = match character {
                        '\n' | LINE_END => LINE_END,
                        character if character.is_control() => ' ',
                        character => character,
                    };
                    room = match room.checked_sub(character.len_utf8()) {
                        Some(left) => left,
                        None => break,
                    };
                    write!(f, "{character}")?;
                }
            }
            Self::Drawing => f.write_str("drawing;")?,
            Self::Drawn => f.write_str("drawn;")?,
            Self::Trace(process) => write!(f, "trace;{process}")?,
            Self::Traced(process) => write!(f, "traced;{process}")?,
            Self::Count => f.write_str("count;")?,
        }
        write!(f, "{END}")
    }
}

/// Reads a message, what is around it taken off.
pub fn parse(text: &str) -> Option<Message<'_>> {
    let (verb, rest) = text.split_once(';')?;
    Some(match verb {
        "prompt" => Message::Prompt,
        "run" => Message::Run(rest),
        "drawing" => Message::Drawing,
        "drawn" => Message::Drawn,
        "trace" => Message::Trace(rest.parse().ok()?),
        "traced" => Message::Traced(rest.parse().ok()?),
        "count" => Message::Count,
        _ => return None,
    })
}

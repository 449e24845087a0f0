//! Commands as PatchworkOS's `ctl` files take them (specs/patchwork.md §12).
//!
//! Words between spaces; a quoted word may have spaces in it, and a backslash
//! takes the next character as it is; `&&` joins commands.

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::port::Port;
use crate::user;

/// Longest text.
const TEXT_MAX: usize = 256;

/// What is written to a `ctl` file, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Commands {
    words: Vec<Word>,
}

/// A word; the one that joins commands is not quoted.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Joins,
    Is(Vec<u8>),
}

impl Commands {
    /// Reads what a program writes.
    ///
    /// # Errors
    /// [`KernelError::TooMany`], and those of user memory.
    pub(crate) fn read<P: Port>(
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        address: u64,
        count: u64,
    ) -> Result<Self, KernelError> {
        let length = usize::try_from(count).ok().filter(|it| *it <= TEXT_MAX);
        let length = length.ok_or(KernelError::TooMany)?;
        let mut buffer = [0; TEXT_MAX];
        let text = &mut buffer[..length];
        user::read(
            &mut kernel.machine,
            &mut running.process.space,
            address,
            text,
        )?;
        Ok(Self::parse(text))
    }

    /// Takes text apart; it ends at a NUL.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut words = Vec::new();
        let mut text = text.iter().copied().take_while(|byte| *byte != 0);
        let (mut word, mut quoted, mut plain) = (None::<Vec<u8>>, false, true);
        loop {
            let byte = text.next();
            match byte {
                Some(b'\\') => {
                    plain = false;
                    word.get_or_insert_default().extend(text.next());
                }
                Some(b'"') => {
                    (quoted, plain) = (!quoted, false);
                    word.get_or_insert_default();
                }
                Some(byte) if quoted || !is_space(byte) => {
                    word.get_or_insert_default().push(byte);
                }
                _ => {
                    words.extend(word.take().map(|word| match &word[..] {
                        b"&&" if plain => Word::Joins,
                        _ => Word::Is(word),
                    }));
                    plain = true;
                }
            }
            if byte.is_none() {
                return Self { words };
            }
        }
    }

    /// Each command: its name, and the words after it.
    pub(crate) fn each(&self) -> impl Iterator<Item = Result<Command<'_>, KernelError>> {
        self.words.split(|word| *word == Word::Joins).map(|words| {
            let mut words = words.iter().filter_map(|word| match word {
                Word::Is(word) => Some(&word[..]),
                Word::Joins => None,
            });
            let name = words.next().ok_or(KernelError::BadCommand)?;
            Ok(Command {
                name,
                words: words.collect(),
            })
        })
    }
}

/// One command.
#[derive(Debug)]
pub(crate) struct Command<'a> {
    pub(crate) name: &'a [u8],
    /// The words after its name.
    pub(crate) words: Vec<&'a [u8]>,
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<Option<Vec<String>>> {
        let string = |word: &[u8]| String::from_utf8(word.to_vec()).unwrap();
        let commands = Commands::parse(text.as_bytes());
        let commands = commands.each().map(|command| {
            let command = command.ok()?;
            let words = command.words.iter().map(|word| string(word));
            Some(
                core::iter::once(string(command.name))
                    .chain(words)
                    .collect(),
            )
        });
        commands.collect()
    }

    #[test]
    fn text_falls_into_commands_and_words() {
        let words = |words: &[&str]| Some(words.iter().map(|it| (*it).into()).collect());
        for (text, commands) in [
            (
                "bind a && listen",
                vec![words(&["bind", "a"]), words(&["listen"])],
            ),
            ("  bind\t a\n", vec![words(&["bind", "a"])]),
            ("bind \"a b\"c", vec![words(&["bind", "a bc"])]),
            ("bind a\\ b\\\\ \"\"", vec![words(&["bind", "a b\\", ""])]),
            ("x \"&&\" \\&&", vec![words(&["x", "&&", "&&"])]),
            ("x&&y", vec![words(&["x&&y"])]),
            ("a\0b", vec![words(&["a"])]),
            ("\"open", vec![words(&["open"])]),
            ("a\\", vec![words(&["a"])]),
            ("", vec![None]),
            ("a && && b", vec![words(&["a"]), None, words(&["b"])]),
            ("a &&", vec![words(&["a"]), None]),
        ] {
            assert_eq!(parsed(text), commands, "{text:?}");
        }
    }
}

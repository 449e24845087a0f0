//! What a word can be completed to.
//!
//! Purpose: finds the word before the cursor and what kind of name it is; the
//! names come from whoever knows files ([`Names`]). Neighbours: `editor` asks.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use crate::parse::quoted;

/// Something a word can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The word, as it is typed.
    pub text: String,
    /// The name to show.
    pub name: String,
    /// What comes behind it when it is the only one.
    pub suffix: &'static str,
}

/// Where the word begins, and what it can become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Byte of the line.
    pub start: usize,
    /// All that begin as the word does, in their order.
    pub candidates: Vec<Candidate>,
}

/// Completes the line up to the cursor.
pub trait Complete {
    /// What the last word can become.
    fn complete(&mut self, before: &str) -> Completion;
}

/// Names that there are.
pub trait Names {
    /// Commands: built in, and programs.
    fn commands(&mut self) -> Vec<String>;
    /// What a directory holds: names, and whether they are directories'.
    fn files(&mut self, directory: &str) -> Vec<(String, bool)>;
    /// Variables of the environment.
    fn variables(&mut self) -> Vec<String>;
}

/// The last word of a line, and whether it names a command.
fn last_word(before: &str) -> (usize, bool) {
    let mut start = 0;
    let mut command = true;
    let (mut quote, mut escaped, mut in_word) = (None, false, false);
    for (at, character) in before.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match (quote, character) {
            (None | Some('"'), '\\') => {
                escaped = true;
                if !in_word {
                    (start, in_word) = (at, true);
                }
            }
            (Some(open), it) if it == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => {
                quote = Some(character);
                if !in_word {
                    (start, in_word) = (at, true);
                }
            }
            (None, ' ' | '\t' | '\n') => {
                if in_word {
                    // `time` and `trace` are followed by a command.
                    command = command && matches!(&before[start..at], "time" | "trace");
                }
                in_word = false;
            }
            (None, '|' | '&' | ';') => (command, in_word) = (true, false),
            (None, '<' | '>') => (command, in_word) = (false, false),
            (None, _) if !in_word => (start, in_word) = (at, true),
            (None, _) => {}
        }
    }
    match in_word {
        true => (start, command),
        false => (before.len(), command),
    }
}

/// Completes the last word of a line from names.
pub fn complete(before: &str, names: &mut dyn Names) -> Completion {
    let (start, command) = last_word(before);
    let word = unquoted(&before[start..]);
    let candidates = if let Some(name) = word.strip_prefix('$') {
        let all = names.variables().into_iter();
        let some = all.filter(|it| it.starts_with(name));
        some.map(|name| Candidate {
            text: ["$", &name].concat(),
            name,
            suffix: " ",
        })
        .collect()
    } else if command && !word.contains('/') {
        let all = names.commands().into_iter();
        let some = all.filter(|it| it.starts_with(&word));
        some.map(|name| Candidate {
            text: quoted(&name),
            name,
            suffix: " ",
        })
        .collect()
    } else {
        files(&word, names)
    };
    Completion { start, candidates }
}

fn files(word: &str, names: &mut dyn Names) -> Vec<Candidate> {
    let (directory, begun) = match word.rfind('/') {
        Some(at) => word.split_at(at + 1),
        None => ("", word),
    };
    let mut found = names.files(directory);
    found.retain(|(name, _)| {
        let hidden = name.starts_with('.') && !begun.starts_with('.');
        name.starts_with(begun) && !hidden
    });
    found.sort();
    let candidate = |(name, is_directory): (String, bool)| {
        let mut path = directory.to_owned();
        path.push_str(&name);
        let suffix = if is_directory { "/" } else { " " };
        let name = if is_directory { name + "/" } else { name };
        Candidate {
            text: quoted(&path),
            name,
            suffix,
        }
    };
    found.into_iter().map(candidate).collect()
}

/// A word that is not complete, without its quotes.
fn unquoted(word: &str) -> String {
    let (mut text, mut quote) = (String::new(), None);
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None | Some('"'), '\\') => text.extend(characters.next()),
            (Some(open), it) if it == open => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            _ => text.push(character),
        }
    }
    text
}

/// The longest text that all begin with.
pub fn common<'a>(mut all: impl Iterator<Item = &'a str>) -> String {
    let first = all.next().unwrap_or_default();
    let mut length = first.len();
    for other in all {
        let same = first.chars().zip(other.chars()).take_while(|(a, b)| a == b);
        length = length.min(same.map(|(it, _)| it.len_utf8()).sum());
    }
    first[..length].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Names for Fake {
        fn commands(&mut self) -> Vec<String> {
            ["cat", "cd", "echo", "patchwork-hello"]
                .map(String::from)
                .into()
        }
        fn files(&mut self, directory: &str) -> Vec<(String, bool)> {
            match directory {
                "" => [
                    ("tmp", true),
                    ("text", false),
                    (".hidden", false),
                    ("a b", false),
                ]
                .map(|(name, is)| (name.into(), is))
                .into(),
                "/bin/" => [("shell".into(), false)].into(),
                _ => Vec::new(),
            }
        }
        fn variables(&mut self) -> Vec<String> {
            ["HOME".into(), "PATH".into()].into()
        }
    }

    fn texts(before: &str) -> (usize, Vec<String>) {
        let Completion { start, candidates } = complete(before, &mut Fake);
        (
            start,
            candidates
                .into_iter()
                .map(|it| it.text + it.suffix)
                .collect(),
        )
    }

    #[test]
    fn words_are_completed_as_what_they_are() {
        for (before, start, expected) in [
            ("c", 0, &["cat ", "cd "][..]),
            ("ls && ec", 6, &["echo "]),
            ("time pat", 5, &["patchwork-hello "]),
            ("cat t", 4, &["text ", "tmp/"]),
            ("cat <te", 5, &["text "]),
            ("cat a", 4, &["'a b' "]),
            ("cat 'a ", 4, &["'a b' "]),
            ("cat .h", 4, &[".hidden "]),
            ("/bin/s", 0, &["/bin/shell "]),
            ("echo $HO", 5, &["$HOME "]),
            ("echo | ", 7, &["cat ", "cd ", "echo ", "patchwork-hello "]),
            ("nothing x", 8, &[]),
        ] {
            let expected: Vec<String> = expected.iter().map(|it| String::from(*it)).collect();
            assert_eq!(texts(before), (start, expected), "{before}");
        }
    }

    #[test]
    fn the_common_beginning_ends_between_characters() {
        assert_eq!(
            common(["gr\u{f6}\u{df}e", "gr\u{f6}ne"].into_iter()),
            "gr\u{f6}"
        );
        assert_eq!(common(["a", ""].into_iter()), "");
    }
}

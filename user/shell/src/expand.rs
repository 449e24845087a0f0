//! From the words of a command to plain ones.
//!
//! Purpose: variables are replaced, and what was not quoted of them falls into
//! words; `*` stands for any characters of a file's name. A pattern that no
//! file fits stays as it is. What becomes of a line may be only so much.
//! Neighbours: `parse` made the words.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::syntax::{Piece, Word};

/// What words are expanded from.
pub trait World {
    /// The value of a variable; `?` is the last status, `$` the shell's number.
    fn variable(&mut self, name: &str) -> Option<String>;
    /// Names of a directory; none if it cannot be listed.
    fn names(&mut self, directory: &str) -> Vec<String>;
}

/// A word while it is expanded: characters, and whether each may be a pattern's.
#[derive(Clone, Debug, Default)]
struct Field {
    text: Vec<(char, bool)>,
    /// It is a word even if it is empty.
    is_word: bool,
}

/// Most plain words of a pipeline.
pub const WORDS_MAX: usize = 10_000;
/// Most bytes that they have.
pub const BYTES_MAX: usize = 128 << 10;

/// Words have become more than [`WORDS_MAX`], or longer than [`BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("with variables and names in their places the line is too long")
    }
}

/// What plain words may still take.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    words: usize,
    bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            words: WORDS_MAX,
            bytes: BYTES_MAX,
        }
    }
}

impl Room {
    fn take(&mut self, words: usize, bytes: usize) -> Result<(), TooMuch> {
        self.words = self.words.checked_sub(words).ok_or(TooMuch)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(TooMuch)?;
        Ok(())
    }
}

/// Expands words, as far as there is room.
///
/// # Errors
/// [`TooMuch`].
pub fn expand(
    words: &[Word],
    world: &mut dyn World,
    room: &mut Room,
) -> Result<Vec<String>, TooMuch> {
    let mut plain = Vec::new();
    for word in words {
        for field in fields(word, world, room)? {
            plain.extend(files(&field, world, room)?);
        }
    }
    Ok(plain)
}

/// Variables replaced.
fn fields(word: &Word, world: &mut dyn World, room: &mut Room) -> Result<Vec<Field>, TooMuch> {
    let mut fields = Vec::new();
    let mut field = Field::default();
    for piece in &word.pieces {
        match piece {
            Piece::Text { text, quoted } => {
                room.take(0, text.len())?;
                field.is_word |= *quoted;
                field.text.extend(text.chars().map(|it| (it, !quoted)));
            }
            Piece::Variable { name, quoted } => {
                let value = world.variable(name).unwrap_or_default();
                room.take(0, value.len())?;
                field.is_word |= *quoted;
                for character in value.chars() {
                    if *quoted || !character.is_whitespace() {
                        field.text.push((character, !quoted));
                    } else if !field.text.is_empty() || field.is_word {
                        room.take(1, 0)?;
                        fields.push(core::mem::take(&mut field));
                    }
                }
            }
        }
    }
    if !field.text.is_empty() || field.is_word {
        room.take(1, 0)?;
        fields.push(field);
    }
    Ok(fields)
}

/// The files that a word names if it is a pattern, or itself.
fn files(field: &Field, world: &mut dyn World, room: &mut Room) -> Result<Vec<String>, TooMuch> {
    let itself: String = field.text.iter().map(|(it, _)| *it).collect();
    if !field.text.contains(&('*', true)) {
        return Ok([itself].into());
    }
    let mut found = [String::new()].into();
    let mut taken = *room;
    for (index, part) in field.text.split(|(it, _)| *it == '/').enumerate() {
        let found_before: Vec<String> = core::mem::take(&mut found);
        taken = *room;
        for before in found_before {
            let mut path = before.clone();
            if index > 0 {
                path.push('/');
            }
            if !part.contains(&('*', true)) {
                path.extend(part.iter().map(|(it, _)| *it));
                taken.take(1, path.len())?;
                found.push(path);
                continue;
            }
            let mut names = world.names(&path);
            names.retain(|name| {
                let hidden = name.starts_with('.') && part.first() != Some(&('.', true));
                !hidden && fits(part, name)
            });
            names.sort();
            for name in &names {
                taken.take(1, path.len() + name.len())?;
                found.push([&path[..], name].concat());
            }
        }
    }
    if found.is_empty() {
        return Ok([itself].into());
    }
    *room = taken;
    Ok(found)
}

/// A name fits a pattern.
fn fits(pattern: &[(char, bool)], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut in_name) = (0, 0);
    // Where to go on when a star is to take one more.
    let mut star = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(('*', true)) => {
                star = Some((at + 1, in_name));
                at += 1;
            }
            Some((it, _)) if *it == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match &mut star {
                Some((behind, taken)) => {
                    *taken += 1;
                    (at, in_name) = (*behind, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|it| *it == ('*', true))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;
    use crate::parse::{parse, quoted};

    struct Fake;

    impl World for Fake {
        fn variable(&mut self, name: &str) -> Option<String> {
            Some(match name {
                "A" => "one".into(),
                "TWO" => " a  b ".into(),
                "STAR" => "*".into(),
                "?" => "0".into(),
                "LONG" => "x".repeat(BYTES_MAX / 2 + 1),
                "MANY" => "x ".repeat(WORDS_MAX / 2 + 1),
                _ => return None,
            })
        }
        fn names(&mut self, directory: &str) -> Vec<String> {
            if directory.starts_with("many/") {
                return (0..WORDS_MAX / 2 + 1).map(|it| it.to_string()).collect();
            }
            let names: &[&str] = match directory {
                "" => &["text", "tmp", ".hidden", "list"],
                "tmp/" => &["x", "y"],
                "/bin/" => &["cat", "shell"],
                _ => &[],
            };
            names.iter().map(|it| String::from(*it)).collect()
        }
    }

    fn words(line: &str) -> Vec<String> {
        let line = parse(line).unwrap();
        let words = &line.items[0].pipeline[0].words;
        expand(words, &mut Fake, &mut Room::default()).unwrap()
    }

    #[test]
    fn what_is_too_much_is_not_expanded() {
        for (line, fits) in [
            ("$LONG", true),
            ("$LONG $LONG", false),
            ("\"$LONG$LONG\"", false),
            ("$MANY", true),
            ("$MANY $MANY", false),
            ("*/* */* */*", true),
            ("$A*/*/*/*/*/*/*/*", true),
            ("many/*", true),
            ("many/* many/*", false),
            ("many/*/*", false),
        ] {
            let parsed = parse(line).unwrap();
            let words = &parsed.items[0].pipeline[0].words;
            let plain = expand(words, &mut Fake, &mut Room::default());
            assert_eq!(plain.is_ok(), fits, "{line}");
            let bytes = plain
                .unwrap_or_default()
                .iter()
                .map(String::len)
                .sum::<usize>();
            assert!(bytes <= BYTES_MAX, "{line}");
        }
    }

    #[test]
    fn variables_fall_into_words_unless_they_are_quoted() {
        assert_eq!(
            words("x $A \"$A\" '$A' \\$A ${A}b $?"),
            ["x", "one", "one", "$A", "$A", "oneb", "0"]
        );
        assert_eq!(
            words("x $TWO c$TWO \"$TWO\""),
            ["x", "a", "b", "c", "a", "b", " a  b "]
        );
        assert_eq!(words("x $NONE \"$NONE\" ''"), ["x", "", ""]);
        assert_eq!(words("x $ $% a$"), ["x", "$", "$%", "a$"]);
    }

    #[test]
    fn stars_stand_for_names() {
        assert_eq!(words("x *"), ["x", "list", "text", "tmp"]);
        assert_eq!(words("x t*"), ["x", "text", "tmp"]);
        assert_eq!(words("x *t .h*"), ["x", "list", "text", ".hidden"]);
        assert_eq!(
            words("x tmp/* /bin/*e*"),
            ["x", "tmp/x", "tmp/y", "/bin/shell"]
        );
        assert_eq!(words("x '*' \"*\" \\* no*"), ["x", "*", "*", "*", "no*"]);
        assert_eq!(words("x $STAR"), ["x", "list", "text", "tmp"]);
    }

    proptest! {
        #[test]
        fn a_quoted_word_is_itself(text in ".{0,20}") {
            let text = text.replace('\n', " ");
            let line = ["x ", &quoted(&text)].concat();
            prop_assert_eq!(words(&line), ["x", &text]);
        }

        #[test]
        fn a_pattern_fits_as_a_model_says(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            fn model(pattern: &str, name: &str) -> bool {
                match pattern.strip_prefix('*') {
                    Some(rest) => (0..=name.len()).any(|at| model(rest, &name[at..])),
                    None => match (pattern.chars().next(), name.chars().next()) {
                        (None, None) => true,
                        (Some(a), Some(b)) => a == b && model(&pattern[1..], &name[1..]),
                        _ => false,
                    },
                }
            }
            let characters: Vec<_> = pattern.chars().map(|it| (it, true)).collect();
            prop_assert_eq!(fits(&characters, &name), model(&pattern, &name));
        }
    }
}

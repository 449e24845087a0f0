//! From the text of a line to what is to be run.
//!
//! Purpose: words, quotes, pipes, redirections, and what runs after what. A
//! mistake says what is wrong and where. Words keep what of them was quoted, as
//! only the rest is expanded (`expand`).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::syntax::{Command, Destination, Item, Line, Piece, Redirection, When, Word};

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong.
    pub what: &'static str,
    /// Byte of the line.
    pub at: usize,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

/// Reads a line.
///
/// # Errors
/// [`Mistake`].
pub fn parse(text: &str) -> Result<Line, Mistake> {
    Parser { text, at: 0 }.line()
}

/// A word that is read as `text`, quoted if it needs to be.
pub fn quoted(text: &str) -> String {
    let plain = |it: char| it.is_alphanumeric() || "-_./:+,@%^=~[]{}!".contains(it);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    let mut word = String::from("'");
    for character in text.chars() {
        match character {
            '\'' => word.push_str("'\\''"),
            other => word.push(other),
        }
    }
    word.push('\'');
    word
}

/// Behind what other shells know and this one does not.
const NO_COMMAND: &str = "a command in the place of a word is not supported: use a file, or '...'";
const NO_GROUP: &str = "parentheses are not supported: quote them, as in '('";
const NO_VARIABLE: &str = "there is no such variable: quote it, as in '$!'";
const NO_STREAM: &str = "streams are 0, 1 and 2, as in 0< 1> 2>";

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn takes(&mut self, words: &str) -> bool {
        let takes = self.text[self.at..].starts_with(words);
        self.at += if takes { words.len() } else { 0 };
        takes
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|it| it == ' ' || it == '\t') {
            self.next();
        }
        if self.peek() == Some('#') {
            while self.peek().is_some_and(|it| it != '\n') {
                self.next();
            }
        }
    }

    fn line(mut self) -> Result<Line, Mistake> {
        let mut line = Line::default();
        let mut when = When::Always;
        let mut owed = None;
        loop {
            self.blanks();
            let start = self.at;
            let pipeline = self.pipeline()?;
            let end = self.at;
            if pipeline.is_empty() {
                match (self.peek(), owed) {
                    (None, None) => return Ok(line),
                    (_, Some(at)) => return Err(mistake("nothing to run behind this", at)),
                    (Some('\n'), None) => {
                        self.next();
                        continue;
                    }
                    (Some(_), None) => return Err(mistake("nothing to run before this", self.at)),
                }
            }
            let at = self.at;
            let mut background = false;
            (when, owed) = {
                let this = when;
                let next = if self.takes("&&") {
                    (When::Success, Some(at))
                } else if self.takes("||") {
                    (When::Failure, Some(at))
                } else {
                    background = self.takes("&");
                    if !background {
                        let _separated = self.takes(";") || self.takes("\n");
                    }
                    (When::Always, None)
                };
                line.items.push(Item {
                    when: this,
                    background,
                    pipeline,
                    text: (start, trimmed(self.text, start, end)),
                });
                next
            };
        }
    }

    fn pipeline(&mut self) -> Result<Vec<Command>, Mistake> {
        let mut pipeline = Vec::new();
        let mut piped = None;
        loop {
            let command = self.command()?;
            match (command, piped) {
                (Some(command), _) => pipeline.push(command),
                (None, Some(at)) => return Err(mistake("nothing to run behind this", at)),
                (None, None) => return Ok(pipeline),
            }
            let at = self.at;
            if self.text[at..].starts_with("||") || !self.takes("|") {
                return Ok(pipeline);
            }
            piped = Some(at);
        }
    }

    fn command(&mut self) -> Result<Option<Command>, Mistake> {
        let mut command = Command::default();
        self.blanks();
        let start = self.at;
        loop {
            self.blanks();
            match self.peek() {
                None | Some('|' | '&' | ';' | '\n') => break,
                Some('<' | '>') => {
                    let redirection = self.redirection()?;
                    command.redirections.push(redirection);
                }
                Some('0'..='9') if self.text[self.digits()..].starts_with(['<', '>']) => {
                    let redirection = self.redirection()?;
                    command.redirections.push(redirection);
                }
                Some(_) => command.words.push(self.word()?),
            }
        }
        if command.words.is_empty() && !command.redirections.is_empty() {
            return Err(mistake("a redirection without a command", start));
        }
        Ok((!command.words.is_empty()).then_some(command))
    }

    /// Where digits end that begin here.
    fn digits(&self) -> usize {
        let digits = self.text[self.at..].bytes();
        self.at + digits.take_while(u8::is_ascii_digit).count()
    }

    fn redirection(&mut self) -> Result<Redirection, Mistake> {
        let at = self.at;
        let named = &self.text[at..self.digits()];
        self.at += named.len();
        let reads = self.takes("<");
        let stream = match (named, reads) {
            ("" | "0", true) => 0,
            ("" | "1", false) => 1,
            ("2", false) => 2,
            _ => return Err(mistake(NO_STREAM, at)),
        };
        let behind = !reads && self.takes(">>");
        if !reads && !behind {
            self.takes(">");
            if self.takes("&") {
                return match self.next() {
                    Some('1') => Ok(Redirection {
                        stream,
                        to: Destination::As(1),
                    }),
                    Some('2') => Ok(Redirection {
                        stream,
                        to: Destination::As(2),
                    }),
                    _ => Err(mistake("expected 1 or 2 behind &", at)),
                };
            }
        }
        self.blanks();
        if matches!(self.peek(), None | Some('|' | '&' | ';' | '<' | '>' | '\n')) {
            return Err(mistake("expected the name of a file behind this", at));
        }
        let word = self.word()?;
        let to = match (reads, behind) {
            (true, _) => Destination::From(word),
            (_, true) => Destination::Behind(word),
            _ => Destination::Into(word),
        };
        Ok(Redirection { stream, to })
    }

    fn word(&mut self) -> Result<Word, Mistake> {
        let mut word = Word::default();
        loop {
            let at = self.at;
            match self.peek() {
                None | Some(' ' | '\t' | '\n' | '|' | '&' | ';' | '<' | '>') => return Ok(word),
                Some('\'') => {
                    self.next();
                    let rest = &self.text[self.at..];
                    let length = rest.find('\'');
                    let length = length.ok_or(mistake("this quote is not closed", at))?;
                    push(&mut word, &rest[..length], true);
                    self.at += length + 1;
                }
                Some('"') => {
                    self.next();
                    self.double_quoted(&mut word, at)?;
                }
                Some('\\') => {
                    self.next();
                    match self.next() {
                        Some(character) => {
                            push(&mut word, character.encode_utf8(&mut [0; 4]), true)
                        }
                        None => return Err(mistake("nothing behind this backslash", at)),
                    }
                }
                Some('$') => self.variable(&mut word, false)?,
                Some('`') => return Err(mistake(NO_COMMAND, at)),
                Some('(' | ')') => return Err(mistake(NO_GROUP, at)),
                Some(character) => {
                    self.next();
                    push(&mut word, character.encode_utf8(&mut [0; 4]), false);
                }
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Word, at: usize) -> Result<(), Mistake> {
        push(word, "", true);
        loop {
            match self.peek() {
                None => return Err(mistake("this quote is not closed", at)),
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('$') => self.variable(word, true)?,
                Some('`') => return Err(mistake(NO_COMMAND, self.at)),
                Some('\\') => {
                    self.next();
                    match self.peek() {
                        Some(it @ ('"' | '\\' | '$' | '`')) => {
                            self.next();
                            push(word, it.encode_utf8(&mut [0; 4]), true);
                        }
                        _ => push(word, "\\", true),
                    }
                }
                Some(character) => {
                    self.next();
                    push(word, character.encode_utf8(&mut [0; 4]), true);
                }
            }
        }
    }

    fn variable(&mut self, word: &mut Word, quoted: bool) -> Result<(), Mistake> {
        let at = self.at;
        self.next();
        let braced = self.takes("{");
        let rest = &self.text[self.at..];
        let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let name = match rest.chars().next() {
            Some('?' | '$') => &rest[..1],
            Some('(') => return Err(mistake(NO_COMMAND, at)),
            Some('!' | '@' | '*' | '#' | '-') => return Err(mistake(NO_VARIABLE, at)),
            _ => &rest[..rest.find(|it| !is_name(it)).unwrap_or(rest.len())],
        };
        self.at += name.len();
        if braced && (name.is_empty() || !self.takes("}")) {
            return Err(mistake("expected ${NAME}", at));
        }
        match name {
            "" => push(word, "$", quoted),
            name => word.pieces.push(Piece::Variable {
                name: name.into(),
                quoted,
            }),
        }
        Ok(())
    }
}

fn mistake(what: &'static str, at: usize) -> Mistake {
    Mistake { what, at }
}

fn trimmed(text: &str, start: usize, end: usize) -> usize {
    start + text[start..end].trim_end().len()
}

/// Adds text to a word; pieces of a kind are one.
fn push(word: &mut Word, more: &str, is_quoted: bool) {
    if let Some(Piece::Text { text, quoted }) = word.pieces.last_mut()
        && *quoted == is_quoted
    {
        return text.push_str(more);
    }
    word.pieces.push(Piece::Text {
        text: more.into(),
        quoted: is_quoted,
    });
}

#[cfg(test)]
mod tests;

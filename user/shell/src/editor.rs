//! The line editor: keys in, a line and bytes for the screen out.
//!
//! Purpose: what people's fingers expect of a command line. It owns the text,
//! the cursor, its way through the history, a search, and pasted text; what can
//! be completed, somebody else knows ([`Complete`]). It does no input or output
//! itself, so that it is tested on a host, against a screen. Neighbours: `keys`
//! below, `screen` draws, `main.rs` above.

use alloc::string::String;
use alloc::vec::Vec;

use mayfly_wire::terminal::LINE_MAX;

use crate::complete::{Complete, Completion, common};
use crate::history::History;
use crate::keys::Key;
use crate::screen::Screen;

/// What came of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The line goes on.
    Editing,
    /// It was entered.
    Line(String),
    /// It was given up.
    Cancelled,
    /// There are no more lines.
    End,
}

/// What is said about a line that would be longer than [`LINE_MAX`].
const TOO_LONG: &str = "shell: the line is longer than 16,384 bytes, and was not run\r\n  \
    try: `mayfly shell < FILE` runs a file line by line\r\n";
// The number in those words, and in those for scripts (`program/mod.rs`).
const _: () = assert!(LINE_MAX == 16_384);

/// Makes a terminal ring.
const BELL: u8 = 0x07;

/// A search through the history.
#[derive(Clone, Debug, Default)]
struct Search {
    text: String,
    /// Steps back of what was found.
    found: Option<usize>,
}

/// The editor.
#[derive(Debug, Default)]
pub struct Editor {
    line: String,
    /// Byte at which the cursor stands.
    cursor: usize,
    /// Steps back in the history, and the line that was being edited.
    back: usize,
    kept: String,
    /// What was last cut.
    cut: String,
    search: Option<Search>,
    pasting: bool,
    /// Something that was to be in the line had no room: it is not run.
    is_cut: bool,
    /// The screen does not show the line as it is now.
    is_stale: bool,
    /// The last key was a tab that led no further.
    listed: bool,
    screen: Screen,
}

impl Editor {
    /// Begins a new line behind a prompt; bytes for the screen go to `out`.
    pub fn begin(&mut self, prompt: &str, columns: usize, out: &mut Vec<u8>) {
        let (cut, screen) = (core::mem::take(&mut self.cut), Screen::new(prompt, columns));
        *self = Self {
            cut,
            screen,
            is_stale: true,
            ..Self::default()
        };
        self.draw(out);
    }

    /// The line so far.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Takes the prompt and the line off a screen that has so many columns now;
    /// the cursor stands where they began.
    pub fn hide(&mut self, columns: usize, out: &mut Vec<u8>) {
        self.screen.hide(columns, out);
    }

    /// Draws what was hidden, on a screen of so many columns.
    pub fn show(&mut self, prompt: &str, columns: usize, out: &mut Vec<u8>) {
        self.screen.set(prompt, columns);
        self.is_stale = true;
        self.draw(out);
    }

    /// Takes a key. Nothing is drawn before [`Self::draw`], or the line's end:
    /// of many keys that came together the screen shows what came of them.
    pub fn key(
        &mut self,
        key: Key,
        history: &History,
        complete: &mut dyn Complete,
        out: &mut Vec<u8>,
    ) -> Outcome {
        if key != Key::Tab {
            self.listed = false;
        }
        if self.search.is_some() {
            match self.searching(&key, history) {
                true => {
                    self.is_stale = true;
                    return Outcome::Editing;
                }
                // What was found is the line now, which the key is for.
                false => self.end_search(history),
            }
            self.is_stale = true;
        }
        let outcome = self.act(key, history, complete, out);
        match &outcome {
            Outcome::Editing => self.is_stale = true,
            Outcome::Line(_) => self.leave("", out),
            Outcome::Cancelled => self.leave("^C", out),
            Outcome::End => self.leave("exit", out),
        }
        outcome
    }

    fn act(
        &mut self,
        key: Key,
        history: &History,
        complete: &mut dyn Complete,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match key {
            Key::Paste(on) => self.pasting = on,
            // Pasted text runs when it was seen.
            Key::Enter if self.pasting => self.insert("\n"),
            Key::Tab if self.pasting => self.insert("\t"),
            Key::Enter if self.is_cut => self.refuse(out),
            Key::Enter => {
                self.draw(out);
                self.cursor = 0;
                return Outcome::Line(core::mem::take(&mut self.line));
            }
            Key::Control('C') => return Outcome::Cancelled,
            Key::Control('D') if self.line.is_empty() => return Outcome::End,
            Key::Tab => self.complete(complete, out),
            Key::Control('R') => self.search = Some(Search::default()),
            Key::Control('L') => self.screen.clear(out),
            Key::Up | Key::Control('P') => self.recall(self.back + 1, history),
            Key::Down | Key::Control('N') => self.recall(self.back.wrapping_sub(1), history),
            key => {
                let was_cut = self.is_cut;
                self.edit(key);
                if self.is_cut && !was_cut {
                    out.push(BELL);
                }
            }
        }
        // A line that was emptied has lost nothing.
        self.is_cut &= !self.line.is_empty();
        Outcome::Editing
    }

    /// Keys that change the line or move in it.
    fn edit(&mut self, key: Key) {
        match key {
            Key::Character(character) => self.insert(character.encode_utf8(&mut [0; 4])),
            Key::Left | Key::Control('B') => self.cursor = self.before(),
            Key::Right | Key::Control('F') => self.cursor = self.after(),
            Key::Home | Key::Control('A') => self.cursor = 0,
            Key::End | Key::Control('E') => self.cursor = self.line.len(),
            Key::WordLeft => self.cursor = self.word_before(is_word),
            Key::WordRight => self.cursor = self.word_after(),
            Key::Backspace => drop(self.remove(self.before(), self.cursor)),
            Key::Delete | Key::Control('D') => drop(self.remove(self.cursor, self.after())),
            Key::Control('U') => self.take(0, self.cursor),
            Key::Control('K') => self.take(self.cursor, self.line.len()),
            Key::Control('W') => self.take(self.word_before(|it| it != ' '), self.cursor),
            Key::EraseWordLeft => self.take(self.word_before(is_word), self.cursor),
            Key::EraseWordRight => self.take(self.cursor, self.word_after()),
            Key::Control('Y') => {
                let cut = core::mem::take(&mut self.cut);
                self.insert(&cut);
                self.cut = cut;
            }
            Key::Control('T') => self.swap(),
            _ => {}
        }
    }

    fn insert(&mut self, text: &str) {
        if self.line.len() + text.len() <= LINE_MAX {
            self.line.insert_str(self.cursor, text);
            self.cursor += text.len();
        } else {
            self.is_cut = true;
        }
    }

    /// Gives up a line that is not whole, and says so.
    fn refuse(&mut self, out: &mut Vec<u8>) {
        self.leave("", out);
        self.line.clear();
        self.cursor = 0;
        out.push(BELL);
        out.extend(TOO_LONG.as_bytes());
    }

    fn remove(&mut self, from: usize, to: usize) -> String {
        let removed = self.line.drain(from..to).collect();
        self.cursor = from;
        removed
    }

    /// Removes what can be put back.
    fn take(&mut self, from: usize, to: usize) {
        if from < to {
            self.cut = self.remove(from, to);
        }
    }

    /// Swaps the characters around the cursor.
    fn swap(&mut self) {
        if self.cursor == self.line.len() {
            self.cursor = self.before();
        }
        let (from, to) = (self.before(), self.after());
        if from < self.cursor && self.cursor < to {
            let first = self.remove(from, self.cursor);
            self.cursor = to - first.len();
            self.insert(&first);
        }
    }

    fn before(&self) -> usize {
        let mut before = self.line[..self.cursor].char_indices();
        // A mark goes with the character that it is drawn over.
        let stop = before.rfind(|(_, it)| crate::layout::width(*it) > 0);
        stop.map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        let mut after = self.line[self.cursor..].char_indices().skip(1);
        let stop = after.find(|(_, it)| crate::layout::width(*it) > 0);
        stop.map_or(self.line.len(), |(at, _)| self.cursor + at)
    }

    fn word_before(&self, is_part: fn(char) -> bool) -> usize {
        let before = &self.line[..self.cursor];
        let words = before.trim_end_matches(|it| !is_part(it));
        words.trim_end_matches(is_part).len()
    }

    fn word_after(&self) -> usize {
        let after = &self.line[self.cursor..];
        let words = after.trim_start_matches(|it| !is_word(it));
        self.line.len() - words.trim_start_matches(is_word).len()
    }

    /// Goes to the line so many steps back; 0 is the one that was edited.
    fn recall(&mut self, back: usize, history: &History) {
        let line = match back {
            // What was cut is not to come back as if it were whole.
            _ if self.is_cut => return,
            0 => self.kept.clone(),
            usize::MAX => return,
            back => match history.back(back) {
                Some(line) => line.into(),
                None => return,
            },
        };
        if self.back == 0 {
            self.kept = core::mem::take(&mut self.line);
        }
        (self.back, self.line) = (back, line);
        self.cursor = self.line.len();
    }

    /// A key during a search; false if it ends it and is for the line.
    fn searching(&mut self, key: &Key, history: &History) -> bool {
        let Some(search) = &mut self.search else {
            return false;
        };
        match key {
            Key::Control('R') => {
                let from = search.found.unwrap_or(0);
                search.found = history.find(&search.text, from).or(search.found);
            }
            Key::Character(character) => {
                search.text.push(*character);
                let from = search.found.map_or(0, |found| found - 1);
                search.found = history.find(&search.text, from);
            }
            Key::Backspace => {
                search.text.pop();
                search.found = history
                    .find(&search.text, 0)
                    .filter(|_| !search.text.is_empty());
            }
            Key::Control('G' | 'C') | Key::Escape => self.search = None,
            _ => return false,
        }
        if let Some(Search { text, found }) = &self.search {
            let line = found.and_then(|found| history.back(found)).unwrap_or("");
            self.screen
                .search(text, line, found.is_none() && !text.is_empty());
        } else {
            self.screen.end_search();
        }
        true
    }

    fn end_search(&mut self, history: &History) {
        self.screen.end_search();
        let found = self.search.take().and_then(|search| search.found);
        if let Some(found) = found {
            self.recall(found, history);
        }
    }

    fn complete(&mut self, complete: &mut dyn Complete, out: &mut Vec<u8>) {
        let before = String::from(&self.line[..self.cursor]);
        let Completion { start, candidates } = complete.complete(&before);
        let word = before.get(start..).unwrap_or_default();
        match &candidates[..] {
            [] => out.push(BELL),
            [only] => {
                let mut text = only.text.clone();
                text.push_str(only.suffix);
                self.replace(start, &text);
            }
            several => {
                let longest = common(several.iter().map(|it| &it.text[..]));
                if longest.len() > word.len() {
                    self.replace(start, &longest);
                } else if self.listed {
                    let names = several.iter().map(|it| &it.name[..]).collect::<Vec<_>>();
                    self.draw(out);
                    self.screen.list(&names, out);
                } else {
                    out.push(BELL);
                }
                self.listed = true;
            }
        }
    }

    fn replace(&mut self, start: usize, text: &str) {
        drop(self.remove(start.min(self.cursor), self.cursor));
        self.insert(text);
    }

    /// Draws the line as it is now, if the screen shows another.
    pub fn draw(&mut self, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.is_stale) {
            self.screen.draw(&self.line, self.cursor, out);
        }
    }

    /// The line is over: the cursor goes below it.
    fn leave(&mut self, words: &str, out: &mut Vec<u8>) {
        self.draw(out);
        self.screen.leave(words, out);
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests;

//! The editor against the screen of a terminal, and against a model.

use std::format;
use std::num::NonZero;
use std::vec;

use proptest::collection::vec as list;
use proptest::prelude::*;

use super::*;
use crate::complete::Candidate;
use crate::keys::Decoder;
use crate::layout::{Layout, text_width};

/// Words that can be completed.
struct Words;

impl Complete for Words {
    fn complete(&mut self, before: &str) -> Completion {
        let start = before.rfind(' ').map_or(0, |at| at + 1);
        let all = ["hello", "help", "history"].into_iter();
        let some = all.filter(|it| it.starts_with(&before[start..]));
        let candidates = some.map(|it| Candidate {
            text: it.into(),
            name: it.into(),
            suffix: " ",
        });
        Completion {
            start,
            candidates: candidates.collect(),
        }
    }
}

fn size(size: u16) -> NonZero<u16> {
    NonZero::new(size).expect("a screen has rows and columns")
}

/// An editor on a screen.
struct Bench {
    editor: Editor,
    history: History,
    decoder: Decoder,
    screen: vt100::Parser,
    outcome: Outcome,
}

impl Bench {
    fn new(columns: u16, history: &str) -> Self {
        let mut bench = Self {
            editor: Editor::default(),
            history: History::of(history),
            decoder: Decoder::default(),
            screen: vt100::Parser::new(size(12), size(columns), 0),
            outcome: Outcome::Editing,
        };
        let mut out = Vec::new();
        bench.editor.begin("> ", columns.into(), &mut out);
        bench.screen.process(&out);
        bench
    }

    fn types(&mut self, bytes: &[u8]) -> &mut Self {
        for byte in bytes {
            let mut out = Vec::new();
            if let Some(key) = self.decoder.push(*byte) {
                self.outcome = self.editor.key(key, &self.history, &mut Words, &mut out);
                self.editor.draw(&mut out);
            }
            self.screen.process(&out);
        }
        self
    }

    fn shown(&self) -> String {
        self.screen.screen().contents()
    }

    fn cursor(&self) -> (u16, u16) {
        self.screen.screen().cursor_position()
    }
}

fn line_of(keys: &[u8]) -> String {
    let mut bench = Bench::new(40, "first\nsecond\n");
    match &bench.types(keys).types(b"\r").outcome {
        Outcome::Line(line) => line.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fingers_find_what_they_expect() {
    for (keys, line) in [
        (&b"abc\x1b[D\x1b[DX"[..], "aXbc"),
        (b"abc\x01X\x05Y", "XabcY"),
        (b"abc\x1b[HX\x1b[FY", "XabcY"),
        (b"one two\x1b[1;5DX", "one Xtwo"),
        (b"one two\x1bb\x1bbX\x1bfY", "XoneY two"),
        (b"one two\x17three", "one three"),
        (b"one two\x1b\x7fX", "one X"),
        (b"one two\x15X", "X"),
        (b"one two\x1bb\x0bX", "one X"),
        (b"one two\x1bb\x0b\x01\x19", "twoone "),
        (b"one two\x01\x1bdX", "X two"),
        (b"abc\x02\x04", "ab"),
        (b"abc\x1b[D\x1b[3~\x7f", "a"),
        (b"ab\x14", "ba"),
        (b"\x1b[A", "second"),
        (b"\x1b[A\x1b[A\x1b[A", "first"),
        (b"kept\x10\x0e", "kept"),
        (b"\x1b[A!\x1b[A\x1b[B", "second"),
        (b"\x12fir", "first"),
        (b"\x12s\x12", "first"),
        (b"\x12sec\x05!", "second!"),
        (b"x\x12fir\x07y", "xy"),
        (b"hist\t", "history "),
        (b"h\te\tl", "hell"),
        (b"\x1b[200~a\rb\tc\x1b[201~", "a\nb\tc"),
        (
            "gr\u{fc}\u{df}\x7f\u{4e2d}\x1b[D\x7f!".as_bytes(),
            "gr!\u{4e2d}",
        ),
        ("e\u{301}x\x1b[D\x7fy".as_bytes(), "yx"),
    ] {
        assert_eq!(line_of(keys), line, "{keys:?}");
    }
}

#[test]
fn lines_end_are_given_up_and_run_out() {
    let mut bench = Bench::new(20, "");
    assert_eq!(bench.types(b"\x04").outcome, Outcome::End);
    let mut bench = Bench::new(20, "");
    assert_eq!(bench.types(b"abc\x03").outcome, Outcome::Cancelled);
    assert_eq!((bench.shown(), bench.cursor()), ("> abc^C".into(), (1, 0)));
}

#[test]
fn the_screen_shows_the_line_and_the_cursor() {
    let mut bench = Bench::new(10, "");
    bench.types(b"abcdefghij");
    assert_eq!(bench.shown(), "> abcdefgh\nij");
    assert_eq!(bench.cursor(), (1, 2));
    bench.types(b"\x01X");
    assert_eq!(bench.shown(), "> Xabcdefg\nhij");
    assert_eq!(bench.cursor(), (0, 3));
    bench.types(b"\x05\x15");
    assert_eq!((bench.shown(), bench.cursor()), ("> ".into(), (0, 2)));
    bench.types(b"abcdefgh");
    assert_eq!(
        (bench.shown(), bench.cursor()),
        ("> abcdefgh".into(), (1, 0))
    );
}

#[test]
fn names_are_listed_below_at_the_second_tab() {
    let mut bench = Bench::new(20, "");
    bench.types(b"he\t\t");
    assert_eq!(bench.shown(), "> hel\nhello  help\n> hel");
    assert_eq!(bench.cursor(), (2, 5));
}

#[test]
fn a_search_is_shown_and_its_failure_too() {
    let mut bench = Bench::new(40, "make one\nmake two\n");
    bench.types(b"\x12ma");
    assert_eq!(bench.shown(), "(search) ma: make two");
    bench.types(b"xx");
    assert_eq!(bench.shown(), "(failed search) maxx: ");
    bench.types(b"\x7f\x7f\x12");
    assert_eq!(bench.shown(), "(search) ma: make one");
    bench.types(b"\x12\r");
    assert_eq!(bench.outcome, Outcome::Line("make one".into()));
}

#[test]
fn what_was_hidden_comes_back_elsewhere() {
    let mut bench = Bench::new(10, "");
    bench.types(b"abcdefghij\x1b[D");
    let mut out = Vec::new();
    bench.editor.hide(10, &mut out);
    out.extend(b"a log line\r\n");
    bench.editor.show("2> ", 10, &mut out);
    bench.screen.process(&out);
    assert_eq!(bench.shown(), "a log line\n2> abcdefg\nhij");
    assert_eq!(bench.cursor(), (2, 2));
}

#[test]
fn a_cleared_screen_begins_at_the_top() {
    let mut bench = Bench::new(20, "");
    bench.types(b"he\t\tl\x0c");
    assert_eq!((bench.shown(), bench.cursor()), ("> hell".into(), (0, 6)));
}

#[test]
fn keys_that_come_together_are_drawn_once() {
    let mut bench = Bench::new(80, "");
    bench.types(b"tailtext\x01");
    let mut out = Vec::new();
    for _ in 0..3680 {
        let key = Key::Character('x');
        bench.editor.key(key, &bench.history, &mut Words, &mut out);
    }
    assert_eq!(out, b"");
    bench.editor.draw(&mut out);
    assert!(out.len() < 4000, "{}", out.len());
    bench.editor.draw(&mut out);
    assert!(out.len() < 4000, "{}", out.len());
}

#[test]
fn a_line_that_would_be_too_long_is_not_entered() {
    let mut bench = Bench::new(80, "earlier\n");
    bench.types(&[b'x'; LINE_MAX]);
    assert!(matches!(bench.types(b"\r").outcome, Outcome::Line(_)));
    // In brackets and without, and whatever is tried then.
    for keys in [
        &b"y"[..],
        b"\x1b[200~yy\x1b[201~",
        b"y\x1b[A",
        b"y\x1b[A\x1b[B",
        b"y\x7f",
    ] {
        let mut bench = Bench::new(80, "earlier\n");
        bench.types(&[b'x'; LINE_MAX]).types(keys).types(b"\r");
        assert_eq!(bench.outcome, Outcome::Editing, "{keys:?}");
        assert_eq!(bench.editor.line(), "", "it is given up");
        bench.types(b"ok\r");
        assert_eq!(bench.outcome, Outcome::Line("ok".into()));
    }
    let mut out = Vec::new();
    let mut bench = Bench::new(80, "");
    bench.types(&[b'x'; LINE_MAX]);
    for key in [Key::Character('y'), Key::Character('y'), Key::Enter] {
        bench.editor.key(key, &bench.history, &mut Words, &mut out);
    }
    let shown = String::from_utf8(out).unwrap();
    assert!(shown.contains("shell: the line is longer than 16,384 bytes"));
    assert_eq!(
        shown.matches('\x07').count(),
        2,
        "once for the key, once said"
    );
}

/// The screen on a terminal that breaks rows anew when its window has so many
/// columns, and rows enough.
fn broken_anew(screen: &vt100::Screen, columns: u16) -> vt100::Parser {
    let mut anew = vt100::Parser::new(size(60), size(columns), 0);
    let (row, column) = screen.cursor_position();
    let texts = screen.contents();
    let last = texts.split('\n').count().max(usize::from(row) + 1);
    let rows = screen.rows(0, screen.size().1.get());
    for (at, text) in rows.enumerate().take(last) {
        if at > 0 {
            anew.process(b"\r\n");
        }
        let mut left = 0;
        for character in text.chars() {
            anew.process(character.encode_utf8(&mut [0; 4]).as_bytes());
            if (at, left) == (row.into(), column.into()) {
                // The cursor goes with the character that it stands on.
                anew.process(&[0x08].repeat(text_width(&format!("{character}"))));
                anew.process(b"\x1b7");
                anew.process(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            left += text_width(&format!("{character}"));
        }
        if (at, left) == (row.into(), column.into()) {
            anew.process(b"\x1b7");
        }
    }
    anew.process(b"\x1b8");
    anew
}

fn key() -> impl Strategy<Value = Key> {
    // Not a mark: this screen loses one behind a wide character.
    let character = "[a-d \u{e4}\u{4e2d}\u{1f600}]";
    prop_oneof![
        8 => character.prop_map(|text| Key::Character(text.chars().next().unwrap())),
        1 => Just(Key::Left), 1 => Just(Key::Right), 1 => Just(Key::Home), 1 => Just(Key::End),
        1 => Just(Key::WordLeft), 1 => Just(Key::WordRight), 1 => Just(Key::Backspace),
        1 => Just(Key::Delete), 1 => Just(Key::EraseWordLeft), 1 => Just(Key::Up), 1 => Just(Key::Down),
        1 => prop::sample::select(vec!['K', 'U', 'W', 'Y', 'T', 'R']).prop_map(Key::Control),
        1 => Just(Key::Tab),
    ]
}

proptest! {
    /// Whatever is typed, one key after the other or some at once, the screen
    /// is what drawing the line once would show.
    #[test]
    fn the_screen_is_always_that_of_the_line(
        keys in list((key(), any::<bool>()), 0..60), columns in 8..40u16,
    ) {
        let mut bench = Bench::new(columns, "aa bb\n\u{4e2d}\u{4e2d}\n");
        let mut out = Vec::new();
        for (key, more) in keys {
            bench.editor.key(key, &bench.history, &mut Words, &mut out);
            if more {
                continue;
            }
            bench.editor.draw(&mut out);
            bench.screen.process(&out);
            out.clear();
            let line = bench.editor.line();
            prop_assert!(line.is_char_boundary(bench.editor.cursor));
            if bench.editor.search.is_some() {
                continue;
            }
            let text = format!("> {line}");
            let rows = Layout::new(&text, 2 + bench.editor.cursor, columns.into());
            let (row, column) = bench.cursor();
            prop_assert_eq!(usize::from(column), rows.mark.1);
            let contents = bench.screen.screen().rows(0, columns).collect::<Vec<_>>();
            let first = usize::from(row).checked_sub(rows.mark.0);
            for (index, expected) in rows.text.split("\r\n").enumerate() {
                let Some(at) = first.map(|it| it + index) else { continue };
                let Some(shown) = contents.get(at) else { continue };
                prop_assert_eq!(shown.trim_end(), expected.trim_end());
            }
        }
    }

    /// However wide the window becomes, nothing is left of what was drawn before;
    /// where rows are broken anew, nothing else is erased either.
    #[test]
    fn a_window_of_another_width_has_the_line_once(
        text in "[a-d\u{4e2d}]{0,40}", left in prop_oneof![Just(0), 0..40usize], from in 8..40u16, to in 6..40u16,
    ) {
        for anew in [true, false] {
            let mut bench = Bench::new(from, "");
            bench.screen = vt100::Parser::new(size(60), size(from), 0);
            bench.screen.process(b"1\r\n2\r\n> ");
            bench.types(text.as_bytes()).types(&b"\x1b[D".repeat(left));
            match anew {
                true => bench.screen = broken_anew(bench.screen.screen(), to),
                false => bench.screen.screen_mut().set_size(size(60), size(to)),
            }
            let mut out = Vec::new();
            bench.editor.hide(to.into(), &mut out);
            bench.editor.show("> ", to.into(), &mut out);
            bench.screen.process(&out);
            let line = format!("> {text}");
            let rows = Layout::new(&line, 2 + bench.editor.cursor, to.into());
            let drawn = rows.text.replace("\r\n", "\n");
            let shown = bench.shown();
            let above = shown.strip_suffix(drawn.trim_end_matches('\n'));
            let above = above.ok_or_else(|| TestCaseError::fail(shown.clone()))?;
            prop_assert!("1\n2\n".starts_with(above) && (!anew || above == "1\n2\n"), "{}", shown);
            prop_assert_eq!(usize::from(bench.cursor().1), rows.mark.1);
        }
    }

    #[test]
    fn any_keys_are_survived(bytes: Vec<u8>, columns in 2..30u16) {
        let mut bench = Bench::new(columns, "one\ntwo");
        bench.types(&bytes);
        prop_assert!(text_width(bench.editor.line()) <= LINE_MAX);
    }
}

//! Lines, what they become, and what is wrong with others.

use std::format;
use std::string::ToString as _;

use proptest::prelude::*;

use super::*;

fn shown(line: &str) -> String {
    let line = parse(line).unwrap();
    let word = |word: &Word| -> String {
        word.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text {
                    text,
                    quoted: false,
                } => text.clone(),
                Piece::Text { text, quoted: true } => format!("<{text}>"),
                Piece::Variable { name, .. } => format!("${name}"),
            })
            .collect()
    };
    let redirection = |it: &Redirection| {
        let to = match &it.to {
            Destination::From(file) => ["<", &word(file)].concat(),
            Destination::Into(file) => [">", &word(file)].concat(),
            Destination::Behind(file) => [">>", &word(file)].concat(),
            Destination::As(stream) => format!("=&{stream}"),
        };
        format!("{}{to}", it.stream)
    };
    let command = |it: &Command| {
        let words = it.words.iter().map(word);
        let all = words.chain(it.redirections.iter().map(redirection));
        all.collect::<Vec<_>>().join(" ")
    };
    let item = |it: &Item| {
        let when = match it.when {
            When::Always => "",
            When::Success => "&&",
            When::Failure => "||",
        };
        let pipeline: Vec<String> = it.pipeline.iter().map(command).collect();
        let background = if it.background { "&" } else { "" };
        [when, &pipeline.join(" | "), background].concat()
    };
    line.items.iter().map(item).collect::<Vec<_>>().join("; ")
}

#[test]
fn lines_fall_into_commands() {
    for (line, expected) in [
        ("", ""),
        ("  # nothing", ""),
        ("ls -l /bin", "ls -l /bin"),
        ("a|b | c", "a | b | c"),
        ("a && b || c; d & e", "a; &&b; ||c; d&; e"),
        ("a\nb\n\n", "a; b"),
        ("a 'b c' \"d $e\" f\\ g", "a <b c> <d >$e f< >g"),
        ("a''b", "a<>b"),
        ("a >f <g >>h 2>i", "a 1>f 0<g 1>>h 2>i"),
        ("a 2>&1 >&2 2", "a 2 2=&1 1=&2"),
        ("a 1>f 0< g 1>>h 2>>i 1>&2", "a 1>f 0<g 1>>h 2>>i 1=&2"),
        ("a 1 >f a1>f '1'>f 1''>f", "a 1 a1 <1> 1<> 1>f 1>f 1>f 1>f"),
        (
            "a $$ ${$}b '$(c)' \\( \"\\`\" '`'",
            "a $$ $$b <$(c)> <(> <`> <`>",
        ),
        ("a2>b", "a2 1>b"),
        ("echo a # rest", "echo a"),
        ("echo a#b", "echo a#b"),
        ("time ls &&\tcd ..", "time ls; &&cd .."),
    ] {
        assert_eq!(shown(line), expected, "{line}");
    }
}

#[test]
fn mistakes_say_what_and_where() {
    for (line, what, at) in [
        ("echo 'a", "this quote is not closed", 5),
        ("echo \"a", "this quote is not closed", 5),
        ("| a", "nothing to run before this", 0),
        ("a | | b", "nothing to run behind this", 2),
        ("a &&", "nothing to run behind this", 2),
        ("a && ; b", "nothing to run behind this", 2),
        ("a >", "expected the name of a file behind this", 2),
        ("a > | b", "expected the name of a file behind this", 2),
        ("> a", "a redirection without a command", 0),
        ("a 2>&3", "expected 1 or 2 behind &", 2),
        ("a ${b", "expected ${NAME}", 2),
        ("a \\", "nothing behind this backslash", 2),
        ("a $(b)", NO_COMMAND, 2),
        ("a \"b$(c)\"", NO_COMMAND, 4),
        ("a `b`", NO_COMMAND, 2),
        ("a \"`b`\"", NO_COMMAND, 3),
        ("(a)", NO_GROUP, 0),
        ("a b)", NO_GROUP, 3),
        ("a $!", NO_VARIABLE, 2),
        ("a $@", NO_VARIABLE, 2),
        ("a 3>f", NO_STREAM, 2),
        ("a 12>&1", NO_STREAM, 2),
        ("a 1<f", NO_STREAM, 2),
        ("a 0>f", NO_STREAM, 2),
    ] {
        assert_eq!(parse(line), Err(Mistake { what, at }), "{line}");
    }
}

#[test]
fn a_pipeline_knows_its_text() {
    let text = "a b |c  & d";
    let line = parse(text).unwrap();
    let (start, end) = line.items[0].text;
    assert_eq!(&text[start..end], "a b |c");
}

proptest! {
    #[test]
    fn any_text_is_a_line_or_a_mistake_within_it(text in "[a-c \t\n'\"\\\\|&;<>$?{}()`!#0-3\u{e4}]{0,40}") {
        match parse(&text) {
            Err(mistake) => {
                prop_assert!(text.is_char_boundary(mistake.at));
                prop_assert!(!mistake.to_string().is_empty());
            }
            Ok(line) => for item in line.items {
                prop_assert!(!item.pipeline.is_empty());
                prop_assert!(item.pipeline.iter().all(|it| !it.words.is_empty()));
                prop_assert!(text.get(item.text.0..item.text.1).is_some());
            }
        }
    }
}

//! Messages on the terminal come out as they went in.

use mayfly_wire::terminal::{BEGIN, END, LINE_END, LONGEST, Message, parse};
use proptest::prelude::*;

fn inside(message: &Message<'_>) -> String {
    let text = message.to_string();
    let inside = text.strip_prefix(BEGIN).and_then(|it| it.strip_suffix(END));
    inside.expect("a message has a beginning and an end").into()
}

proptest! {
    #[test]
    fn messages_are_read_as_they_were_written(process: u64, line in "[^\u{0}-\u{1f}\u{7f}-\u{9f}]{0,80}") {
        for message in [
            Message::Prompt,
            Message::Run(&line),
            Message::Drawing,
            Message::Drawn,
            Message::Trace(process),
            Message::Traced(process),
            Message::Count,
        ] {
            let text = inside(&message);
            prop_assert_eq!(parse(&text), Some(message));
        }
    }

    #[test]
    fn whatever_a_line_holds_a_message_has_one_end_and_a_limit(line in "(?s).{0,3000}") {
        let text = inside(&Message::Run(&line));
        let controls = text.chars().filter(|it| it.is_control());
        prop_assert!(controls.eq(text.chars().filter(|it| *it == LINE_END)));
        prop_assert!(text.len() <= LONGEST);
    }

    #[test]
    fn an_entry_keeps_its_lines(lines in proptest::collection::vec("[a-z ]{1,9}", 1..5), more in "\n{0,2}") {
        let text = inside(&Message::Run(&(lines.join("\n") + &more)));
        let Some(Message::Run(entry)) = parse(&text) else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert!(entry.split(LINE_END).eq(lines.iter().map(String::as_str)));
    }

    #[test]
    fn anything_can_be_read(text in ".{0,40}") {
        let _read = parse(&text);
    }
}

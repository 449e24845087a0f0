//! The tables against lists that were transcribed from the specifications.
//!
//! Purpose: a row that is wrong, missing or too many shows here, and so does an
//! argument that is not where the convention says. Neighbours: `upstream/*.txt`
//! are the lists, written by reading the specifications, not the rows.

#![expect(clippy::unwrap_used, reason = "a test says what it got by panicking")]

use std::collections::BTreeSet;

use mayfly_abi::convention::{Place, Register};
use mayfly_abi::table::{Kind, Row};
use mayfly_abi::{Abi, patchwork, veridian, xeneva};

/// A line of a list.
struct Upstream {
    number: u64,
    /// Name and words; `None` is an unassigned number.
    call: Option<(&'static str, usize)>,
    flags: BTreeSet<&'static str>,
}

fn upstream(abi: Abi) -> Vec<Upstream> {
    let text = match abi {
        Abi::Xeneva => include_str!("upstream/xeneva.txt"),
        Abi::Patchwork => include_str!("upstream/patchwork.txt"),
        Abi::Veridian => include_str!("upstream/veridian.txt"),
    };
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(line).collect()
}

fn line(line: &'static str) -> Vec<Upstream> {
    let words: Vec<_> = line.split_whitespace().collect();
    if let [range, "unassigned"] = words[..] {
        let (first, last) = range.split_once('-').unwrap();
        return (first.parse().unwrap()..=last.parse().unwrap())
            .map(|number| Upstream {
                number,
                call: None,
                flags: BTreeSet::new(),
            })
            .collect();
    }
    vec![Upstream {
        number: words[0].parse().unwrap(),
        call: Some((words[1], words[2].parse().unwrap())),
        flags: words[3..].iter().copied().collect(),
    }]
}

/// What a call decodes to, when the word fetched n-th is n + 1, and where the
/// words were fetched from.
fn decode(abi: Abi, number: u64) -> (Option<String>, Vec<Place>) {
    let mut places = Vec::new();
    let fetch = |place| {
        places.push(place);
        Ok::<_, ()>(places.len() as u64)
    };
    let call = match abi {
        Abi::Xeneva => xeneva::Call::decode(number, fetch).map(|call| call.map(debug)),
        Abi::Patchwork => patchwork::Call::decode(number, fetch).map(|call| call.map(debug)),
        Abi::Veridian => veridian::Call::decode(number, fetch).map(|call| call.map(debug)),
    };
    (call.unwrap(), places)
}

fn debug(call: impl std::fmt::Debug) -> String {
    format!("{call:?}")
}

/// The numbers that a call's `Debug` shows as the values of its fields.
fn values(debug: &str) -> Vec<u64> {
    let values = debug.split(": ").skip(1).map(|value| {
        let digits = value.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap();
        digits[..end].parse().unwrap()
    });
    values.collect()
}

#[test]
fn lists_are_complete_and_in_order() {
    for abi in Abi::ALL {
        let list = upstream(abi);
        assert!(
            list.iter()
                .map(|entry| entry.number)
                .eq(0..list.len() as u64),
            "{abi:?}"
        );
        let rows = abi.rows().iter().map(|row| row.number);
        assert!(rows.is_sorted(), "{abi:?}");
    }
}

#[test]
fn every_row_is_upstream_and_the_other_way_round() {
    for abi in Abi::ALL {
        for Upstream {
            number,
            call,
            flags,
        } in upstream(abi)
        {
            let row = abi.row(number);
            let expected = call.filter(|_| !flags.contains("later"));
            assert_eq!(
                row.map(|row| row.name),
                expected.map(|(name, _)| name),
                "{number}"
            );
            let (Some(row), Some((name, words))) = (row, expected) else {
                continue;
            };
            let hidden = usize::from(flags.contains("result"));
            if flags.contains("variadic") {
                assert!(row.arguments.len() <= words, "{name}");
            } else {
                assert_eq!(row.arguments.len(), words + hidden, "{name}");
            }
        }
    }
}

#[test]
fn hidden_result_pointers_come_last() {
    for Upstream { number, flags, .. } in upstream(Abi::Veridian) {
        let Some(Row { arguments, .. }) = Abi::Veridian.row(number) else {
            continue;
        };
        let hidden = arguments
            .iter()
            .position(|argument| argument.name == "result");
        if flags.contains("result") {
            assert_eq!(hidden, Some(arguments.len() - 1));
            assert_eq!(arguments[arguments.len() - 1].kind, Kind::Store);
        } else {
            assert_eq!(hidden, None);
        }
    }
}

#[test]
fn a_length_follows_its_buffer() {
    for row in Abi::ALL.into_iter().flat_map(Abi::rows) {
        for pair in row.arguments.windows(2) {
            if matches!(pair[0].kind, Kind::Input | Kind::Output) {
                assert_eq!(pair[1].kind, Kind::Unsigned(64), "{row}");
            }
        }
        let last = row.arguments.last().map(|argument| argument.kind);
        assert!(!matches!(last, Some(Kind::Input | Kind::Output)), "{row}");
    }
}

#[test]
fn each_argument_comes_from_its_place() {
    use Register::*;
    let xeneva = [
        Place::Register(R13),
        Place::Register(R14),
        Place::Register(R15),
        Place::Register(Rdi),
        Place::Stack(40),
        Place::Stack(48),
    ];
    let others = [Rdi, Rsi, Rdx, R10, R8, R9].map(Place::Register);
    for abi in Abi::ALL {
        let places = if abi == Abi::Xeneva { xeneva } else { others };
        assert!((0..6).all(|index| abi.convention().place(index, 6) == places[index]));
        for row in abi.rows() {
            let count = row.arguments.len();
            let (call, fetched) = decode(abi, row.number);
            let values = values(&call.unwrap());
            assert!(values.into_iter().eq(1..=count as u64), "{row}");
            if count <= 6 {
                assert_eq!(fetched, places[..count], "{row}");
            }
        }
    }
}

#[test]
fn an_ipc_call_has_an_extension_block() {
    let (call, fetched) = decode(Abi::Veridian, veridian::nr::IPC_CALL);
    let call = call.unwrap();
    let block = "timeout: Duration(6), capability: Handle(7), \
                 channel_capability: Handle(8), result: Store(9)";
    assert!(call.contains(block), "{call}");
    use Register::*;
    let registers = [Rdi, Rsi, Rdx, R10, R8].map(Place::Register);
    let block = [0, 8, 16, 24].map(Place::Extension);
    assert_eq!(fetched, [&registers[..], &block[..]].concat());
}

#[test]
fn a_number_without_a_row_fetches_nothing() {
    for abi in Abi::ALL {
        let beyond = [256, 1 << 32, (1 << 32) + 1, 1 << 63, u64::MAX];
        let numbers = (0..256).filter(|&number| abi.row(number).is_none());
        for number in numbers.chain(beyond) {
            assert_eq!(decode(abi, number), (None, Vec::new()), "{abi:?} {number}");
        }
    }
}

#[test]
fn a_word_that_cannot_be_read_ends_decoding() {
    let mut fetched = 0;
    let call = veridian::Call::decode(veridian::nr::IPC_CALL, |place| {
        fetched += 1;
        match place {
            Place::Extension(8) => Err("unreadable"),
            _ => Ok(0),
        }
    });
    assert_eq!(call, Err("unreadable"));
    assert_eq!(fetched, 7);
}

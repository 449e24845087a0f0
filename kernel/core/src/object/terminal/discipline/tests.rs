//! The line discipline against a model that keeps characters in a list.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// One read of at most `most` bytes.
fn read(it: &mut Discipline, most: usize) -> Vec<u8> {
    let bytes = it.next(most).to_vec();
    it.consume(bytes.len());
    bytes
}

fn lines() -> Discipline {
    Discipline::default()
}

fn raw() -> Discipline {
    let mut discipline = Discipline::default();
    discipline.set_raw(true);
    discipline
}

#[test]
fn a_line_is_read_when_it_is_complete() {
    let mut it = lines();
    let typed = it.typed(b"hel");
    assert_eq!((&typed.echo[..], typed.readable), (&b"hel"[..], false));
    assert!(!it.is_readable());
    let typed = it.typed(b"lo\rmore");
    assert_eq!(
        (&typed.echo[..], typed.readable),
        (&b"lo\r\nmore"[..], true)
    );
    assert_eq!(read(&mut it, 3), b"hel");
    assert_eq!(read(&mut it, 100), b"lo\n");
    assert!(!it.is_readable());
}

#[test]
fn an_end_is_read_once_and_delivers_what_was_typed() {
    let mut it = lines();
    it.typed(b"ab\x04\x04");
    assert_eq!(read(&mut it, 100), b"ab");
    assert!(it.is_readable());
    assert_eq!(read(&mut it, 100), b"");
    assert!(!it.is_readable());
    it.typed(b"x\n");
    assert_eq!(read(&mut it, 100), b"x\n");
}

#[test]
fn the_key_that_interrupts_drops_what_was_typed() {
    let mut it = lines();
    let typed = it.typed(b"one\ntwo\x03");
    assert!(typed.interrupt && !typed.readable && typed.echo.ends_with(b"^C\r\n"));
    assert!(!it.is_readable());
    it.typed(b"x\n");
    assert_eq!(read(&mut it, 100), b"x\n");
}

#[test]
fn keys_edit_the_line() {
    for (typed, expected) in [
        (&b"abc\x7f\x08d\n"[..], &b"ad\n"[..]),
        (b"one two\x17three\n", b"one three\n"),
        (b"one two  \x17\n", b"one \n"),
        (b"gone\x15kept\n", b"kept\n"),
        (b"\x7f\x15\x17a\n", b"a\n"),
        (
            "gr\u{f6}\u{df}e\x7f\x7f\x7f\u{fc}n\n".as_bytes(),
            "gr\u{fc}n\n".as_bytes(),
        ),
    ] {
        let mut it = lines();
        it.typed(typed);
        assert_eq!(read(&mut it, 100), expected, "{typed:?}");
    }
}

#[test]
fn a_line_that_is_too_long_rings_and_can_still_be_ended() {
    let mut it = lines();
    it.typed(&[b'a'; LINE_MAX]);
    assert_eq!(it.typed(b"b").echo, [BELL]);
    it.typed(b"\n");
    assert_eq!(read(&mut it, KEPT_MAX).len(), LINE_MAX + 1);
}

#[test]
fn lines_that_nobody_reads_ring_in_the_end_and_are_all_there() {
    let mut it = lines();
    let mut typed = 0;
    while typed < KEPT_MAX && it.typed(b"\r").echo != [BELL] {
        typed += 1;
    }
    assert_eq!((typed, it.line.len()), (KEPT_MAX / 2, 0));
    for _ in 0..typed {
        assert_eq!(read(&mut it, 100), b"\n");
    }
    it.typed(b"x\r");
    assert_eq!(read(&mut it, 100), b"x\n");
}

#[test]
fn what_no_reader_got_is_still_there() {
    let mut it = lines();
    it.typed(b"one\rtwo\r");
    assert_eq!(
        (it.next(100).to_vec(), it.next(2).to_vec()),
        (b"one\n".to_vec(), b"on".to_vec())
    );
    assert_eq!(read(&mut it, 100), b"one\n");
    assert_eq!(read(&mut it, 100), b"two\n");
}

#[test]
fn raw_bytes_are_read_to_the_end_of_a_line() {
    let mut it = raw();
    it.typed(b"a\x03\x1b[A\rrest");
    assert_eq!(read(&mut it, 100), b"a\x03\x1b[A\r");
    assert_eq!(read(&mut it, 100), b"rest");
    assert!(!it.is_readable());
}

#[test]
fn what_was_typed_ahead_is_taken_as_the_new_mode_takes_it() {
    let mut it = raw();
    it.typed(b"x\x7fy\rtail");
    let typed = it.set_raw(false);
    assert_eq!(typed.echo, b"x\x08 \x08y\r\ntail");
    assert_eq!(read(&mut it, 100), b"y\n");
    it.set_raw(true);
    assert_eq!(read(&mut it, 100), b"tail");
    it.typed(b"\x03");
    assert!(it.set_raw(false).interrupt);
}

/// What a person types: characters, and keys that edit.
#[derive(Clone, Debug)]
enum Key {
    Character(char),
    Erase,
    Kill,
    Return,
    End,
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        8 => "[a-z \u{e4}\u{4e2d}\u{1f600}]".prop_map(|text| Key::Character(text.chars().next().unwrap())),
        3 => Just(Key::Erase),
        1 => Just(Key::Kill),
        2 => Just(Key::Return),
        1 => Just(Key::End),
    ]
}

fn bytes(key: &Key) -> Vec<u8> {
    match key {
        Key::Character(it) => it.to_string().into_bytes(),
        Key::Erase => vec![0x7f],
        Key::Kill => vec![0x15],
        Key::Return => vec![b'\r'],
        Key::End => vec![4],
    }
}

/// Column of the cursor after `echo`, from the left edge.
fn column(echo: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(echo);
    text.chars().fold(0, |at, it| match it {
        '\r' => 0,
        '\n' => at,
        '\x08' => at - 1,
        _ => at + columns(it.to_string().as_bytes()) as i64,
    })
}

proptest! {
    #[test]
    fn lines_are_those_of_a_list_of_characters(keys in vec(key(), 0..80), cut in 1..5usize) {
        let mut it = lines();
        let mut line = String::new();
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let (mut echo, mut typed) = (Vec::new(), Vec::new());
        for key in &keys {
            typed.extend(bytes(key));
            match key {
                Key::Character(character) => line.push(*character),
                Key::Erase => drop(line.pop()),
                Key::Kill => line.clear(),
                Key::Return => parts.push(core::mem::take(&mut line).into_bytes().into_iter().chain([b'\n']).collect()),
                Key::End => parts.push(core::mem::take(&mut line).into_bytes()),
            }
        }
        // However the bytes arrive.
        for part in typed.chunks(cut) {
            echo.extend(it.typed(part).echo);
        }
        let shown = line.chars().map(|it| columns(it.to_string().as_bytes()) as i64).sum::<i64>();
        if !keys.iter().any(|key| matches!(key, Key::End)) {
            prop_assert_eq!(column(&echo), shown, "the cursor stands behind the line");
        }
        for part in parts {
            prop_assert!(it.is_readable());
            prop_assert_eq!(read(&mut it, usize::MAX), part);
        }
        prop_assert!(!it.is_readable());
    }

    #[test]
    fn raw_bytes_come_out_as_they_went_in(
        typed in vec(any::<u8>(), 0..300), cut in 1..50usize, most in 1..50usize,
    ) {
        let mut it = raw();
        let mut all = Vec::new();
        for part in typed.chunks(cut) {
            it.typed(part);
            let part = read(&mut it, most);
            prop_assert!(part.iter().rev().skip(1).all(|byte| !b"\r\n".contains(byte)));
            all.extend(part);
        }
        while it.is_readable() {
            all.extend(read(&mut it, most));
        }
        prop_assert_eq!(all, typed);
    }

    #[test]
    fn nothing_makes_it_keep_more_than_it_may(
        typed in vec((any::<bool>(), vec(any::<u8>(), 0..2000)), 0..30),
    ) {
        let mut it = lines();
        for (raw, bytes) in typed {
            it.set_raw(raw);
            it.typed(&bytes);
            prop_assert!(it.kept() <= KEPT_MAX + 1);
            prop_assert!(it.parts.len() <= KEPT_MAX);
        }
    }
}

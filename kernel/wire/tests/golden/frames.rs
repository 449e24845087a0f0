//! Frames: every message survives the way, and any bytes are survived.

use mayfly_wire::BODY_MAX;
use mayfly_wire::frame::{FrameError, HEADER, decode, encode, split};
use mayfly_wire::message::{Event, Request};
use mayfly_wire::output::output_header;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::messages::{Values, events, requests};

fn values() -> impl Strategy<Value = Values> {
    let numbers = (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift);
    let texts = any::<(String, String)>();
    (numbers, any::<bool>(), texts, vec(any::<u8>(), 0..300)).prop_map(
        |(number, flag, (text, file), bytes)| Values {
            number,
            flag,
            text,
            file,
            bytes,
        },
    )
}

/// The frame of a message.
fn framed(message: &impl serde::Serialize) -> Vec<u8> {
    let mut buffer = vec![0; BODY_MAX + HEADER];
    let used = encode(message, &mut buffer).unwrap();
    buffer.truncate(used);
    buffer
}

proptest! {
    #[test]
    fn requests_survive_the_way(values in values()) {
        for request in requests(&values) {
            let frame = framed(&request);
            let (body, rest) = split(&frame).unwrap().unwrap();
            prop_assert_eq!(rest, &[]);
            prop_assert_eq!(decode::<Request>(body), Ok(request));
        }
    }

    #[test]
    fn events_survive_the_way(values in values()) {
        for event in events(&values) {
            let frame = framed(&event);
            let (body, rest) = split(&frame).unwrap().unwrap();
            prop_assert_eq!(rest, &[]);
            prop_assert_eq!(decode::<Event>(body), Ok(event));
        }
    }

    #[test]
    fn a_part_of_a_frame_is_no_frame_yet(values in values(), cut in any::<prop::sample::Index>()) {
        for event in events(&values) {
            let frame = framed(&event);
            prop_assert_eq!(split(&frame[..cut.index(frame.len())]), Ok(None));
        }
    }

    #[test]
    fn frames_are_split_wherever_the_bytes_are_cut(
        values in values(),
        cut in any::<prop::sample::Index>(),
    ) {
        let events = events(&values);
        let stream: Vec<u8> = events.iter().flat_map(framed).collect();
        let (first, second) = stream.split_at(cut.index(stream.len()));
        let (mut pending, mut found) = (Vec::new(), 0);
        for piece in [first, second] {
            pending.extend_from_slice(piece);
            let mut bytes = pending.as_slice();
            while let Some((body, rest)) = split(bytes).unwrap() {
                prop_assert_eq!(decode::<Event>(body), Ok(events[found]));
                (found, bytes) = (found + 1, rest);
            }
            pending = bytes.to_vec();
        }
        prop_assert_eq!(found, events.len());
        prop_assert!(pending.is_empty());
    }

    #[test]
    fn garbage_is_refused_or_is_a_message(body in vec(any::<u8>(), 0..200)) {
        // Whatever is read can be written; nothing panics.
        if let Ok(request) = decode::<Request>(&body) {
            framed(&request);
        }
        if let Ok(event) = decode::<Event>(&body) {
            framed(&event);
        }
        let _ = split(&body);
    }

    #[test]
    fn a_message_with_bytes_left_over_is_malformed(values in values(), extra in any::<u8>()) {
        for request in requests(&values) {
            let mut body = framed(&request).split_off(HEADER);
            body.push(extra);
            prop_assert_eq!(decode::<Request>(&body), Err(FrameError::Malformed));
        }
    }

    #[test]
    fn output_can_be_sent_from_where_it_lies(
        pid in any::<u64>(),
        shift in 0u32..64,
        stream in any::<u8>(),
        bytes in vec(any::<u8>(), 0..20_000),
    ) {
        let pid = pid >> shift;
        let mut frame = [0; 24];
        let used = output_header(&mut frame, pid, stream, bytes.len()).unwrap();
        let found = [&frame[..used], &bytes].concat();
        prop_assert_eq!(found, framed(&Event::Output { pid, stream, bytes: &bytes }));
    }
}

#[test]
fn a_length_beyond_the_limit_is_an_error_at_once() {
    let longest = u32::try_from(BODY_MAX).unwrap();
    assert_eq!(split(&longest.to_le_bytes()), Ok(None));
    for length in [longest + 1, 1 << 31, u32::MAX] {
        assert_eq!(
            split(&length.to_le_bytes()),
            Err(FrameError::TooLong(length))
        );
    }
}

#[test]
fn an_empty_body_is_malformed() {
    assert_eq!(split(&[0; HEADER]), Ok(Some((&[][..], &[][..]))));
    assert_eq!(decode::<Event>(&[]), Err(FrameError::Malformed));
}

#[test]
fn a_message_that_does_not_fit_is_refused() {
    let message = Event::Log { line: "too long" };
    let frame = framed(&message);
    for room in 0..frame.len() {
        let mut buffer = vec![0; room];
        assert_eq!(encode(&message, &mut buffer), Err(FrameError::NoRoom));
    }
}

#[test]
fn a_body_is_never_longer_than_the_limit() {
    let mut buffer = vec![0; 2 * BODY_MAX];
    // Kind, process, stream, and three bytes of length come before the bytes.
    let most = vec![1; BODY_MAX - 6];
    let fits = Event::Output {
        pid: 1,
        stream: 1,
        bytes: &most,
    };
    assert_eq!(encode(&fits, &mut buffer), Ok(HEADER + BODY_MAX));
    let more = vec![1; BODY_MAX - 5];
    let does_not = Event::Output {
        pid: 1,
        stream: 1,
        bytes: &more,
    };
    assert_eq!(encode(&does_not, &mut buffer), Err(FrameError::NoRoom));
}

#[test]
fn output_headers_have_the_same_limits() {
    let mut buffer = [0; 24];
    assert!(output_header(&mut buffer, 1, 1, BODY_MAX - 6).is_some());
    assert_eq!(output_header(&mut buffer, 1, 1, BODY_MAX - 5), None);
    assert_eq!(output_header(&mut buffer, 1, 1, usize::MAX), None);
    let used = output_header(&mut buffer, u64::MAX, 2, BODY_MAX - 15).unwrap();
    for room in 0..used {
        assert_eq!(
            output_header(&mut buffer[..room], u64::MAX, 2, BODY_MAX - 15),
            None
        );
    }
}

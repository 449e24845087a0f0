//! The bytes of one message of each kind.

use mayfly_wire::frame::encode;
use serde::Serialize;

use crate::messages::{Values, event_name, events, request_name, requests};

/// Values that show in the bytes which field is which: numbers are two bytes
/// each, `c0 40` and on, as seven bits go to a byte.
fn values() -> Values {
    Values {
        number: 0x2040,
        flag: true,
        text: "text".into(),
        file: "file".into(),
        bytes: vec![0xb1, 0x00, 0xb2],
    }
}

/// A frame in hexadecimal.
fn hex(message: &impl Serialize) -> String {
    let mut buffer = [0; 512];
    let used = encode(message, &mut buffer).unwrap();
    buffer[..used]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Compares lines "NAME HEX".
fn compare(found: Vec<(&str, String)>, golden: &str) {
    let found: Vec<_> = found
        .iter()
        .map(|(name, hex)| format!("{name} {hex}"))
        .collect();
    let golden: Vec<_> = golden
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(found, golden, "found:\n{}\n", found.join("\n"));
}

#[test]
fn requests_have_the_bytes_of_this_version() {
    let values = values();
    let found = requests(&values);
    let found = found
        .iter()
        .map(|request| (request_name(request), hex(request)));
    compare(found.collect(), include_str!("requests.txt"));
}

#[test]
fn events_have_the_bytes_of_this_version() {
    let values = values();
    let found = events(&values);
    let found = found.iter().map(|event| (event_name(event), hex(event)));
    compare(found.collect(), include_str!("events.txt"));
}

#[test]
fn the_frame_of_called_is_what_the_kernel_sends() {
    let mut buffer = [0; 16];
    let used = encode(&mayfly_wire::message::Event::Called, &mut buffer).unwrap();
    assert_eq!(buffer[..used], mayfly_wire::CALLED);
}

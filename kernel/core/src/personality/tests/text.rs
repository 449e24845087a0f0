//! SeTextOut: directives, quirks, values, and pointers that are none.

use mayfly_abi::{Abi, xeneva};

use super::one;
use crate::fake::Step;
use crate::fake::bench::Bench;
use crate::fake::image::{DATA, DATA_SIZE};
use crate::object::process::ProcessKey;
use crate::port::Reason;

const FORMAT: u64 = DATA + 0x1000;
const STRING: u64 = DATA + 0x2000;
const END: u64 = DATA + DATA_SIZE;
const STACK_BOTTOM: u64 = 0x7000_0000_0000;
const STACK_TOP: u64 = 0x7000_0008_0000;
/// Longest text.
const TEXT_MAX: usize = 64 << 10;

/// Calls the service; the registers carry the first three values.
fn call(bench: &mut Bench, key: ProcessKey, format: u64, values: [u64; 3], rsp: u64) -> u64 {
    let step: Step = Box::new(move |_, frame| {
        (frame.r12, frame.r13) = (xeneva::nr::SeTextOut, format);
        [frame.r14, frame.r15, frame.rdi] = values;
        frame.rsp = rsp;
        Reason::Syscall
    });
    bench.script(key, [step]);
    bench.registers(key).rax
}

/// Prints with five values: what came out, and the result.
fn print(format: &str, values: [u64; 5]) -> (String, u64) {
    let (mut bench, key) = one(Abi::Xeneva);
    bench.poke(key, FORMAT, format.as_bytes());
    bench.poke(key, STRING, b"string\0");
    let rsp = STACK_TOP - 0x100;
    for (offset, value) in [(40, values[3]), (48, values[4])] {
        bench.poke(key, rsp + offset, &value.to_le_bytes());
    }
    let registers = *values.first_chunk().unwrap();
    let result = call(&mut bench, key, FORMAT, registers, rsp);
    let text = bench.output(1, 1);
    (String::from_utf8(text).unwrap(), result)
}

/// Prints with one value.
fn printed(format: &str, value: u64) -> String {
    let (text, result) = print(format, [value, 0, 0, 0, 0]);
    assert_eq!(result, 0, "{format}");
    text
}

#[test]
fn text_comes_out_as_it_is() {
    assert_eq!(printed("hello, world\n", 0), "hello, world\n");
    assert_eq!(printed("", 0), "");
}

#[test]
fn directives_convert_their_value() {
    for (format, value, text) in [
        ("%d", 0, "0"),
        ("%d", 1234, "1234"),
        // Decimal is unsigned.
        ("%d", u64::MAX, "18446744073709551615"),
        ("%x", 0xdead_beef, "deadbeef"),
        ("%x", 0, "0"),
        ("%x", u64::MAX, "ffffffffffffffff"),
        ("%c", 0x41, "A"),
        // A character is one byte.
        ("%c", 0x1_0042, "B"),
        ("<%s>", STRING, "<string>"),
        ("<%s>", STRING + 6, "<>"),
    ] {
        assert_eq!(printed(format, value), text, "{format} {value:#x}");
    }
}

#[test]
fn a_float_has_two_decimals_that_are_cut_off() {
    for (value, text) in [
        (0.0, "0.00"),
        (3.25, "3.25"),
        (-2.5, "-2.50"),
        (0.999, "0.99"),
        (1000.05, "1000.04"),
        (1e15, "1000000000000000.00"),
        (f64::NAN, "0.00"),
    ] {
        assert_eq!(printed("%f", f64::to_bits(value)), text, "{value}");
    }
}

#[test]
fn a_float_beyond_integers_still_has_two_decimals() {
    for value in [f64::INFINITY, f64::MAX, 1e300, f64::NEG_INFINITY] {
        let text = printed("%f", value.to_bits());
        let (_, decimals) = text.split_once('.').unwrap();
        assert_eq!(decimals.len(), 2, "{text}");
    }
}

#[test]
fn quirks_of_the_original_are_kept() {
    for (format, text) in [
        ("100%%", "100."),
        ("%z", "%z"),
        ("%z%q", "%z%q"),
        ("% d", "% d"),
        ("end%", "end%"),
        ("%.5d", "7"),
        ("%.x", "7"),
        ("%.12", "%"),
    ] {
        assert_eq!(printed(format, 7), text, "{format}");
    }
}

#[test]
fn values_come_from_three_registers_and_two_stack_words() {
    let text = print("%d %d %d %d %d", [1, 2, 3, 4, 5]);
    assert_eq!(text, ("1 2 3 4 5".into(), 0));
}

#[test]
fn a_directive_after_the_fifth_value_is_echoed() {
    let text = print("%d%d%d%d%d %d %s %x%%%f", [1, 2, 3, 4, 5]);
    assert_eq!(text, ("12345 %d %s %x.%f".into(), 0));
}

#[test]
fn only_conversions_take_values() {
    let text = print("%%%z%d%%%d", [1, 2, 3, 4, 5]);
    assert_eq!(text, (".%z1.2".into(), 0));
}

#[test]
fn stack_words_are_read_only_when_a_directive_needs_them() {
    let (mut bench, key) = one(Abi::Xeneva);
    bench.poke(key, FORMAT, b"%d %d %d\0%d %d %d %d!");
    for rsp in [
        STACK_TOP,
        STACK_TOP - 40,
        0,
        u64::MAX - 44,
        0xffff_8000_0000_0000,
    ] {
        bench.kernel.host.outputs.clear();
        assert_eq!(call(&mut bench, key, FORMAT, [1, 2, 3], rsp), 0);
        assert_eq!(bench.output(1, 1), b"1 2 3");
        bench.kernel.host.outputs.clear();
        assert_eq!(call(&mut bench, key, FORMAT + 9, [1, 2, 3], rsp), u64::MAX);
        assert_eq!(bench.output(1, 1), b"1 2 3 ", "{rsp:#x}");
    }
}

#[test]
fn a_format_that_cannot_be_read_prints_nothing() {
    let (mut bench, key) = one(Abi::Xeneva);
    for format in [0, 8, END, 0x7fff_ffff_f000, 0xffff_8000_0000_0000, u64::MAX] {
        assert_eq!(
            call(&mut bench, key, format, [0; 3], STACK_TOP),
            u64::MAX,
            "{format:#x}"
        );
    }
    assert!(bench.kernel.host.outputs.is_empty());
}

#[test]
fn text_that_runs_out_of_memory_comes_out_as_far_as_it_goes() {
    let (mut bench, key) = one(Abi::Xeneva);
    bench.poke(key, END - 4, b"text");
    assert_eq!(call(&mut bench, key, END - 4, [0; 3], STACK_TOP), u64::MAX);
    assert_eq!(bench.output(1, 1), b"text");
}

#[test]
fn a_string_that_cannot_be_read_ends_the_text() {
    for pointer in [0, END, 0xffff_8000_0000_0000] {
        let (text, result) = print("before %s after", [pointer, 0, 0, 0, 0]);
        assert_eq!((&text[..], result), ("before ", u64::MAX), "{pointer:#x}");
    }
}

#[test]
fn long_text_comes_in_pieces() {
    let long = "0123456789".repeat(30);
    let (mut bench, key) = one(Abi::Xeneva);
    bench.poke(key, FORMAT, long.as_bytes());
    assert_eq!(call(&mut bench, key, FORMAT, [0; 3], STACK_TOP), 0);
    assert_eq!(bench.output(1, 1), long.as_bytes());
    let outputs = &bench.kernel.host.outputs;
    assert_eq!(outputs.len(), 3);
    assert!(outputs.iter().all(|(_, _, bytes)| !bytes.is_empty()));
}

#[test]
fn text_without_an_end_is_cut_off() {
    let (mut bench, key) = one(Abi::Xeneva);
    bench.poke(key, STACK_BOTTOM, &vec![b'x'; TEXT_MAX + 100]);
    assert_eq!(
        call(&mut bench, key, STACK_BOTTOM, [0; 3], STACK_TOP),
        u64::MAX
    );
    assert_eq!(bench.output(1, 1).len(), TEXT_MAX);
    // The longest text that has an end.
    bench.kernel.host.outputs.clear();
    bench.poke(key, STACK_BOTTOM + TEXT_MAX as u64 - 1, b"\0");
    assert_eq!(call(&mut bench, key, STACK_BOTTOM, [0; 3], STACK_TOP), 0);
    assert_eq!(bench.output(1, 1).len(), TEXT_MAX - 1);
}

#[test]
fn text_may_be_of_bytes_that_are_no_letters() {
    let (mut bench, key) = one(Abi::Xeneva);
    bench.poke(key, FORMAT, b"\xff\x80\x01%c\0");
    assert_eq!(call(&mut bench, key, FORMAT, [0, 0, 0], STACK_TOP), 0);
    assert_eq!(bench.output(1, 1), b"\xff\x80\x01\0");
}

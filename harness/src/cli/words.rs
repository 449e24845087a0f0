//! Arguments of `mayfly call`, as people write them.
//!
//! Purpose: numbers in any base, text, bytes and room for results become
//! [`Arg`]s. Neighbours: `call` prints the results.

use mayfly::prelude::{Arg, inout, input, out, text};

/// Reads one argument.
pub(crate) fn parse(word: &str) -> Result<Arg, String> {
    if let Some(path) = word.strip_prefix('@') {
        return Ok(text(path));
    }
    let Some((kind, value)) = word.split_once(':') else {
        return number(word).map(Arg::Value);
    };
    match kind {
        "text" => Ok(text(value)),
        "in" => bytes(value).map(input),
        "inout" => bytes(value).map(inout),
        "out" => number(value)
            .ok()
            .and_then(|length| usize::try_from(length).ok())
            .map(out)
            .ok_or_else(|| format!("out:{value}: expected a number of bytes, such as out:16")),
        other => Err(format!("{other}: is none of text: in: inout: out:")),
    }
}

/// Reads a number: decimal, hexadecimal (0x), octal (0o), binary (0b), negative.
pub(crate) fn number(word: &str) -> Result<u64, String> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let radixes = [("0x", 16), ("0o", 8), ("0b", 2)];
    let (radix, digits) = radixes
        .iter()
        .find_map(|(prefix, radix)| Some((*radix, digits.strip_prefix(prefix)?)))
        .unwrap_or((10, digits));
    let digits = digits.replace('_', "");
    let value = u64::from_str_radix(&digits, radix);
    match value {
        Ok(value) if negative => Ok(value.wrapping_neg()),
        Ok(value) => Ok(value),
        Err(_) => Err(format!(
            "{word:?} is no argument: expected a number, text:.., in:.., inout:.. or out:.."
        )),
    }
}

fn bytes(digits: &str) -> Result<Vec<u8>, String> {
    let error = || format!("{digits:?}: expected pairs of hexadecimal digits, such as 68690a");
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err(error());
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| error()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        for (word, argument) in [
            ("42", Arg::Value(42)),
            ("-1", Arg::Value(u64::MAX)),
            ("0x1_000", Arg::Value(4096)),
            ("text:a b", text("a b")),
            ("@/tmp", text("/tmp")),
            ("in:6869", input(*b"hi")),
            ("out:16", out(16)),
        ] {
            assert_eq!(parse(word), Ok(argument), "{word}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for word in [
            "", "x", "in:6", "in:zz", "in:é", "out:many", "path:x", "0x", "--1",
        ] {
            assert!(parse(word).is_err(), "{word}");
        }
    }
}

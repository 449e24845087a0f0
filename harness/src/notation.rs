//! How words of a system call are spelled.
//!
//! Purpose: one place for the notation of arguments and results in traces,
//! reports and tables: text quoted, flags and addresses in hexadecimal, ids and
//! numbers in decimal, times with a unit. Neighbours: `transcript`, `report`.

use mayfly_abi::table::{Argument, Kind, Outcome, Row};
pub use mayfly_bench::report::grouped;
use mayfly_wire::trace::DETAIL_MAX;

/// `NAME(arguments)` of a call with the given words; `detail` is what its first
/// pointer to text or data pointed at.
pub(crate) fn call(row: &Row, words: &[u64], detail: &[u8]) -> String {
    let mut detail = Some(detail).filter(|detail| !detail.is_empty());
    let mut arguments = Vec::new();
    for (index, argument) in row.arguments.iter().enumerate() {
        let Some(word) = words.get(index) else {
            arguments.push("..".into());
            break;
        };
        let pointed = matches!(argument.kind, Kind::Text | Kind::Input | Kind::Load)
            .then(|| detail.take())
            .flatten();
        arguments.push(match pointed {
            Some(bytes) => quoted(bytes, is_cut(row, index, words, bytes)),
            None => word_of(argument, *word),
        });
    }
    format!("{}({})", row.name, arguments.join(", "))
}

/// A call of a number without a row: all its words.
pub(crate) fn unknown_call(number: u64, words: &[u64]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:#x}")).collect();
    format!("call {number}({})", words.join(", "))
}

/// The result of a call: `2`, `0x400000`, `-1 ENOENT`, `?`.
pub(crate) fn result(
    kind: Outcome,
    ended: bool,
    value: u64,
    result: Result<u64, &'static str>,
) -> String {
    if ended {
        return "?".into();
    }
    match (result, kind) {
        (Err(name), Outcome::Address) if value == 0 => format!("NULL {name}"),
        (Err(name), _) if value == u64::MAX => format!("-1 {name}"),
        (Err(name), _) => name.into(),
        (Ok(value), Outcome::Address) => address(value),
        (Ok(value), Outcome::Handle) => handle(value),
        (Ok(value), _) => number(value),
    }
}

/// What a call cost: `1,234 ticks, 526 instr = 263 + 263 by process`.
pub fn cost(ticks: u64, instructions: Option<u64>, parts: &[u64]) -> String {
    let mut text = format!("{} ticks", grouped(ticks));
    if let Some(count) = instructions {
        text += &format!(", {} instr", grouped(count));
    }
    if parts.len() > 1 {
        let parts: Vec<String> = parts.iter().map(|it| grouped(*it)).collect();
        text += &format!(" = {} by process", parts.join(" + "));
    }
    text
}

/// A word without a known meaning: decimal while that is short, -1 as such.
pub fn word(value: u64) -> String {
    number(value)
}

/// Bytes in hexadecimal, without spaces.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line of a dump: offset, bytes, text.
pub fn dump(offset: usize, bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.chunks(8).map(hexadecimal).collect();
    let text: String = bytes
        .iter()
        .map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        })
        .collect();
    format!("{offset:04x}  {:<33}  {text}", words.join(" "))
}

/// Bytes as a string literal, `".."` behind it when they are not all.
pub(crate) fn quoted(bytes: &[u8], cut: bool) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.escape_debug().to_string(),
        Err(_) => bytes.escape_ascii().to_string(),
    };
    let more = if cut { ".." } else { "" };
    format!("\"{text}\"{more}")
}

fn word_of(argument: &Argument, word: u64) -> String {
    match argument.kind {
        Kind::Signed(bits) => signed(word, bits).to_string(),
        Kind::Unsigned(bits) => number(word & mask(bits)),
        Kind::Flags => format!("{word:#x}"),
        Kind::Handle => handle(word),
        Kind::Duration => duration(argument.name, word),
        Kind::Address | Kind::Text | Kind::Input | Kind::Output | Kind::Load | Kind::Store => {
            address(word)
        }
    }
}

/// Whether `bytes` are only the beginning of what the argument points at.
fn is_cut(row: &Row, index: usize, words: &[u64], bytes: &[u8]) -> bool {
    let is_data = row
        .arguments
        .get(index)
        .is_some_and(|a| a.kind == Kind::Input);
    match words.get(index + 1) {
        Some(length) if is_data => *length > bytes.len() as u64,
        _ => bytes.len() >= DETAIL_MAX,
    }
}

fn signed(word: u64, bits: u32) -> i64 {
    let unused = 64 - bits.clamp(1, 64);
    (word << unused).cast_signed() >> unused
}

fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits.clamp(1, 64))
}

fn number(value: u64) -> String {
    match value {
        u64::MAX => "-1".into(),
        0x1_0000_0000.. => format!("{value:#x}"),
        _ => value.to_string(),
    }
}

fn handle(value: u64) -> String {
    number(value)
}

fn address(value: u64) -> String {
    match value {
        0 => "NULL".into(),
        _ => format!("{value:#x}"),
    }
}

fn duration(name: &str, word: u64) -> String {
    let unit = if name == "milliseconds" { "ms" } else { "ns" };
    match word {
        u64::MAX => "forever".into(),
        _ => format!("{} {unit}", grouped(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mayfly_abi::{patchwork, veridian};

    fn row(rows: &'static [Row], name: &str) -> &'static Row {
        rows.iter().find(|row| row.name == name).unwrap()
    }

    #[test]
    fn arguments_are_spelled_by_their_kind() {
        let mmap = row(patchwork::Call::ROWS, "MMAP");
        assert_eq!(
            call(mmap, &[3, 0, 4096, 3], &[]),
            "MMAP(3, NULL, 4096, 0x3)"
        );
        let exit = row(patchwork::Call::ROWS, "PROCESS_EXIT");
        assert_eq!(call(exit, &[0xffff_ffff], &[]), "PROCESS_EXIT(-1)");
        let sleep = row(patchwork::Call::ROWS, "NANOSLEEP");
        assert_eq!(call(sleep, &[1_000_000], &[]), "NANOSLEEP(1,000,000 ns)");
        assert_eq!(call(sleep, &[u64::MAX], &[]), "NANOSLEEP(forever)");
    }

    #[test]
    fn words_that_the_record_lacks_are_not_invented() {
        let ipc_call = row(veridian::Call::ROWS, "IPC_CALL");
        assert!(call(ipc_call, &[0; 6], &[]).ends_with(", ..)"));
    }

    #[test]
    fn data_that_was_cut_says_so() {
        let write = row(patchwork::Call::ROWS, "WRITE");
        assert_eq!(
            call(write, &[1, 8, 100], b"abc\n"),
            r#"WRITE(1, "abc\n".., 100)"#
        );
    }

    #[test]
    fn results_are_spelled_by_their_kind() {
        assert_eq!(
            result(Outcome::Address, false, 0, Err("EINVAL")),
            "NULL EINVAL"
        );
        assert_eq!(
            result(Outcome::Address, false, 0x40_0000, Ok(0x40_0000)),
            "0x400000"
        );
        assert_eq!(
            result(
                Outcome::Handle,
                false,
                1 << 63 | 9,
                Err("InvalidCapability")
            ),
            "InvalidCapability"
        );
        assert_eq!(result(Outcome::Never, true, 0, Ok(0)), "?");
    }

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}

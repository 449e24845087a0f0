//! The JSON messages, one object a line.
//!
//! Purpose: the contract of `--message-format json` (version 1): readers ignore
//! reasons and fields that they do not know. Neighbours: `say` adds `reason`
//! and `v`; the commands choose what to print.

use mayfly::notation;
use mayfly::probe::CallResult;
use mayfly::transcript::Call;
use mayfly::{Abi, Error, Output, Vm, fingerprint};
use serde_json::{Value, json};

/// A machine is up.
pub(crate) fn ready(vm: &Vm) -> Value {
    json!({
        "backend": vm.backend().name(),
        "from": if vm.is_from_snapshot() { "snapshot" } else { "cold" },
        "boot_us": microseconds(vm.boot_time()),
        "boot_kernel_instr": vm.boot_kernel_instr(),
        "testbed": fingerprint::testbed(vm),
    })
}

/// A program made a system call.
pub(crate) fn call(call: &Call) -> Value {
    let row = call.row();
    let names = row.map_or(&[][..], |row| row.arguments);
    let words = call.arguments();
    let arguments: Vec<Value> = match row {
        Some(_) => names
            .iter()
            .zip(words)
            .map(|(argument, word)| json!({"name": argument.name, "value": word}))
            .collect(),
        None => words.iter().map(|word| json!({"value": word})).collect(),
    };
    let mut value = json!({
        "pid": call.pid(),
        "tid": call.tid(),
        "abi": call.abi().map(Abi::name),
        "nr": call.number(),
        "name": call.name(),
        "args": arguments,
        "result": call.value(),
        "error": call.result.err(),
        "ticks": call.ticks(),
        "kernel_instr": call.kernel_instr,
        "parts": call.kernel_instr.map(|_| call.parts.clone()),
    });
    if !call.detail().is_empty() {
        value["text"] = String::from_utf8_lossy(call.detail()).into();
    }
    value
}

/// A probe made a system call.
pub(crate) fn probe_call(pid: u64, abi: Abi, number: u64, result: &CallResult) -> Value {
    let name = abi.row(number).map(|row| row.name);
    let buffers: Vec<String> = result
        .buffers
        .iter()
        .map(|bytes| hexadecimal(bytes))
        .collect();
    json!({
        "pid": pid,
        "tid": 0,
        "abi": abi.name(),
        "nr": number,
        "name": name.map_or_else(|| format!("call {number}"), Into::into),
        "result": result.value,
        "error": result.result.err(),
        "ticks": result.ticks,
        "kernel_instr": result.kernel_instr,
        "parts": result.spent.as_ref().map(|spent| spent.parts.iter().map(|it| it.instructions).collect::<Vec<_>>()),
        "buffers": buffers,
    })
}

/// What programs write, which comes in pieces, as text, in which a character is
/// whole.
#[derive(Default)]
pub(crate) struct Written {
    /// Beginning of a character at the end of standard output, and of standard
    /// error.
    begun: [Vec<u8>; 2],
}

impl Written {
    /// A program wrote something; `None` if that is no whole character yet.
    pub(crate) fn piece(&mut self, stream: u8, bytes: &[u8]) -> Option<Value> {
        let begun = &mut self.begun[usize::from(stream == 2)];
        let mut all = std::mem::take(begun);
        all.extend(bytes);
        *begun = all.split_off(all.len() - begun_at_end(&all));
        output(stream, &all)
    }

    /// Nothing comes behind what began.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = Value> {
        let begun = std::mem::take(&mut self.begun);
        let rest = [1, 2].into_iter().zip(begun);
        rest.filter_map(|(stream, bytes)| output(stream, &bytes))
    }
}

/// Bytes at the end that begin a character.
fn begun_at_end(bytes: &[u8]) -> usize {
    let begins = |count: &usize| {
        let end = bytes.len().checked_sub(*count).map(|at| &bytes[at..]);
        let error = end.and_then(|end| std::str::from_utf8(end).err());
        error.is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=3).find(begins).unwrap_or(0)
}

/// Bytes that are no text are in `bytes`, too, in hexadecimal.
fn output(stream: u8, bytes: &[u8]) -> Option<Value> {
    if bytes.is_empty() {
        return None;
    }
    let stream = if stream == 2 { "stderr" } else { "stdout" };
    let text = String::from_utf8_lossy(bytes);
    let mut value = json!({"stream": stream, "text": text});
    if text.as_bytes() != bytes {
        value["bytes"] = hexadecimal(bytes).into();
    }
    Some(value)
}

/// A process came of a program.
pub(crate) fn child(child: &mayfly::Child) -> Value {
    json!({
        "pid": child.pid,
        "parent": child.parent,
        "program": child.program,
        "abi": child.abi.map(Abi::name),
        "status": child.status.map(|status| status.code()),
    })
}

/// A program died, of which another one may have come.
pub(crate) fn died(died: &mayfly::Died) -> Value {
    json!({
        "pid": died.pid,
        "program": died.program,
        "status": died.status.code(),
        "cause": died.status.cause().name(),
        "message": died.status.to_string(),
    })
}

/// A program ended.
pub(crate) fn exited(output: &Output) -> Value {
    json!({
        "pid": output.pid(),
        "status": output.status.code(),
        "cause": output.cause.name(),
        "message": output.status.to_string(),
        "calls": output.call_count(),
        "run_us": microseconds(output.duration),
    })
}

/// The kernel panicked; `None` for any other error.
pub(crate) fn panic(error: &Error) -> Option<Value> {
    let panicked = error.death()?.panicked()?;
    let backtrace: Vec<String> = panicked.backtrace.iter().map(ToString::to_string).collect();
    Some(json!({
        "message": panicked.message,
        "location": panicked.location,
        "backtrace": backtrace,
        "call": panicked.call,
    }))
}

/// The command failed.
pub(crate) fn error(error: &anyhow::Error) -> Value {
    let ours = error.downcast_ref::<Error>();
    let phase = ours.and_then(Error::death).map(|death| death.phase.name());
    let unusable = error.downcast_ref::<super::program::Unusable>();
    let costs = error.downcast_ref::<mayfly_bench::Error>();
    let kind = match (ours, unusable, costs) {
        (Some(ours), ..) => ours.kind(),
        (_, Some(_), _) => "program",
        (.., Some(costs)) => costs.kind(),
        (None, None, None) => "broken",
    };
    json!({"kind": kind, "message": super::say::words(error), "phase": phase})
}

/// A row of the coverage table.
pub(crate) fn coverage(abi: Abi, number: u64, name: &str, served: bool, tests: usize) -> Value {
    json!({"abi": abi.name(), "nr": number, "name": name, "served": served, "tests": tests})
}

fn microseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Bytes in hexadecimal, without spaces.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    notation::hexadecimal(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of these pieces: stream, text, and bytes that are none.
    fn told(pieces: &[(u8, &[u8])]) -> Vec<(String, String, Option<String>)> {
        let mut written = Written::default();
        let mut values: Vec<Value> = pieces
            .iter()
            .filter_map(|(stream, bytes)| written.piece(*stream, bytes))
            .collect();
        values.extend(written.rest());
        assert_eq!(written.rest().count(), 0);
        let word = |value: &Value, name| value[name].as_str().map(String::from);
        let told = values.iter().map(|value| {
            let [stream, text] = ["stream", "text"].map(|name| word(value, name).unwrap());
            (stream, text, word(value, "bytes"))
        });
        told.collect()
    }

    fn text(stream: &str, text: &str) -> (String, String, Option<String>) {
        (stream.into(), text.into(), None)
    }

    #[test]
    fn a_character_in_pieces_is_one() {
        for character in ["é", "€", "𝄞"] {
            let whole = format!("a{character}b");
            for cut in 1..whole.len() {
                let (first, second) = whole.as_bytes().split_at(cut);
                let told = told(&[(1, first), (2, b"!"), (1, second)]);
                let of = |stream: &str| -> String {
                    let all = told.iter().filter(|it| it.0 == stream && it.2.is_none());
                    all.map(|it| it.1.as_str()).collect()
                };
                assert_eq!((of("stdout"), of("stderr")), (whole.clone(), "!".into()));
            }
        }
    }

    #[test]
    fn what_began_and_has_no_end_is_told_at_the_end() {
        let told = told(&[(2, b"x\xe2"), (1, b""), (2, b"\x82")]);
        let rest = ("stderr".into(), "\u{fffd}".into(), Some("e282".into()));
        assert_eq!(told, [text("stderr", "x"), rest]);
    }

    #[test]
    fn bytes_that_are_no_text_are_told_as_they_are() {
        let told = told(&[(1, b"a\xffb"), (1, b"c")]);
        let first = ("stdout".into(), "a\u{fffd}b".into(), Some("61ff62".into()));
        assert_eq!(told, [first, text("stdout", "c")]);
    }
}

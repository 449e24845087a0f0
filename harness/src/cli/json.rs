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

/// A program wrote something.
pub(crate) fn output(stream: u8, bytes: &[u8]) -> Value {
    let stream = if stream == 2 { "stderr" } else { "stdout" };
    json!({"stream": stream, "text": String::from_utf8_lossy(bytes)})
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
    let kind = match (ours, unusable) {
        (Some(ours), _) => ours.kind(),
        (None, Some(_)) => "program",
        (None, None) => "broken",
    };
    json!({"kind": kind, "message": format!("{error:#}"), "phase": phase})
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

//! The golden traces of PatchworkOS: every call of `echo hi`, and its result.
//!
//! Purpose: `mayfly trace` of the calls that a real binary makes from its
//! first to its last (`specs/patchwork.md` §14), once with the standard
//! streams and once with none. Neighbours: `user/patchwork/echo.rs` makes them.

use std::process::Command;

/// What `mayfly trace` prints on standard output and standard error, without
/// what differs between runs: ids, times, and where the program has its buffer.
fn trace(arguments: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args([
            "trace",
            "--color",
            "never",
            "--quiet",
            "patchwork-echo",
            "--",
        ])
        .args(arguments)
        .output()
        .expect("the tool is built");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let lines = String::from_utf8_lossy(&output.stdout);
    (lines.lines().map(timeless).collect(), errors)
}

fn timeless(line: &str) -> String {
    let call = line
        .split_once(" patchwork ")
        .map_or(line, |(_, call)| call);
    let call = call.split_once("  <").map_or(call, |(call, _)| call);
    let call = match call.split_once(" = ") {
        Some(("UPTIME()", _)) => "UPTIME() = NOW",
        _ => call,
    };
    match call.split_once("0x") {
        Some((before, address)) => {
            let rest = address.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            format!("{before}BUFFER{rest}\n")
        }
        None => format!("{call}\n"),
    }
}

#[test]
fn echo_makes_the_calls_of_a_real_binary() {
    let (calls, written) = trace(&["hi"]);
    assert_eq!(calls, include_str!("../golden/patchwork/echo.txt"));
    assert_eq!(written, "hi");
    // As many as were counted of the real one: 43, of which 28 are GETTID.
    assert_eq!(calls.matches("GETTID() = 0\n").count(), 28);
    assert_eq!(calls.lines().filter(|line| line.contains('(')).count(), 43);
}

#[test]
fn echo_opens_what_it_finds_closed() {
    let (calls, written) = trace(&["--closed", "hi"]);
    assert_eq!(calls, include_str!("../golden/patchwork/echo-closed.txt"));
    assert_eq!(written, "");
}

//! The tool `mayfly`, run as a user runs it.
//!
//! Purpose: exit codes, streams, messages and JSON of every command. Neighbours:
//! the command line's own unit tests are beside its code in `src/cli`.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the tool and waits for it.
fn mayfly(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(arguments)
        .output()
        .expect("the tool is built")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON lines on standard output; each is an object of version 1.
fn lines(output: &Output) -> Vec<Value> {
    let text = stdout(output);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line["v"] == 1 && line["reason"].is_string()),
        "{text}"
    );
    lines
}

fn with_reason<'a>(lines: &'a [Value], reason: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .filter(|line| line["reason"] == reason)
        .collect()
}

#[test]
fn help_names_every_command() {
    let output = mayfly(&["--help"]);
    assert_eq!(code(&output), 0);
    for command in [
        "demo",
        "run",
        "call",
        "trace",
        "shell",
        "bench",
        "coverage",
        "doctor",
        "completions",
        "man",
    ] {
        assert!(
            stdout(&output).contains(&format!("\n  {command} ")),
            "{command}"
        );
        assert_eq!(code(&mayfly(&[command, "--help"])), 0, "{command}");
    }
}

#[test]
fn wrong_use_is_2() {
    for arguments in [&["fly"][..], &["run"], &["run", "x", "--timeout", "soon"]] {
        let output = mayfly(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stdout(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_programs_output_is_the_tools() {
    let output = mayfly(&["run", "patchwork-args", "--", "one", "-two"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output), "patchwork-args\none\n-two\n");
    assert!(stderr(&output).is_empty(), "{}", stderr(&output));
}

#[test]
fn a_programs_status_is_the_tools_within_bounds() {
    for (status, expected) in [("0", 0), ("1", 1), ("123", 123), ("124", 1), ("-1", 1)] {
        let output = mayfly(&["run", "veridian-exit", "--", status]);
        assert_eq!(
            code(&output),
            expected,
            "status {status}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_fault_is_139_and_told() {
    let output = mayfly(&["run", "patchwork-fault", "--", "read", "0x1000"]);
    assert_eq!(code(&output), 139);
    assert_eq!(stdout(&output), "about to fault\n");
    assert!(
        stderr(&output).contains("page fault: read of 0x1000"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_kernels_words_are_for_who_asks_twice() {
    for arguments in [
        &["run", "patchwork-notes"][..],
        &["trace", "patchwork-notes"],
    ] {
        for (verbose, told) in [("-v", false), ("-vv", true)] {
            let output = mayfly(&[&[verbose], arguments].concat());
            let words = stderr(&output).contains("kernel: note to process ");
            assert_eq!(words, told, "{verbose} {arguments:?}: {}", stderr(&output));
        }
    }
}

#[test]
fn a_timeout_is_124_and_says_where() {
    let output = mayfly(&["run", "patchwork-spin", "--timeout", "100ms"]);
    assert_eq!(code(&output), 124);
    assert!(stderr(&output).contains("ring 3"), "{}", stderr(&output));
}

#[test]
fn a_program_that_is_not_there_is_127() {
    let output = mayfly(&["run", "patchwork-helo"]);
    assert_eq!(code(&output), 127);
    assert!(
        stderr(&output).contains("try: patchwork-hello"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_file_that_cannot_run_is_126_and_says_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = mayfly::image::program("patchwork-hello")
        .expect("bundled")
        .bytes;
    let mut foreign = Vec::from(whole);
    foreign[18] = 0xb7;
    for (name, bytes, why) in [
        ("text", &b"#!/bin/sh\n"[..], "text file"),
        ("empty", b"", "empty"),
        ("cut", &whole[..0x1010], "truncated"),
        ("head", &whole[..20], "truncated"),
        ("foreign", &foreign, "ARM64"),
        ("mz", b"MZ\0\0", "PE file"),
    ] {
        let path = directory.path().join(name);
        fs::write(&path, bytes).expect("written");
        let output = mayfly(&["run", path.to_str().expect("UTF-8")]);
        assert_eq!(code(&output), 126, "{name}");
        assert!(stderr(&output).contains(why), "{name}: {}", stderr(&output));
    }
    let output = mayfly(&["run", directory.path().to_str().expect("UTF-8")]);
    assert_eq!(code(&output), 126);
    let output = mayfly(&["run", "/dev/zero"]);
    assert_eq!(code(&output), 126);
    let text = stderr(&output);
    assert!(
        text.contains("it has more than 256 MiB, or no end"),
        "{text}"
    );
}

#[test]
fn a_file_is_run_like_a_bundled_program() {
    let directory = tempfile::tempdir().expect("a directory");
    for program in ["patchwork-args", "xeneva-args", "veridian-args"] {
        let whole = mayfly::image::program(program).expect("bundled").bytes;
        let path = directory.path().join("mine");
        fs::write(&path, whole).expect("written");
        let output = mayfly(&["run", path.to_str().expect("UTF-8"), "--", "x"]);
        assert_eq!(code(&output), 0, "{program}: {}", stderr(&output));
        assert_eq!(stdout(&output), "mine\nx\n", "{program}");
    }
}

#[test]
fn a_trace_is_one_line_a_call() {
    let output = mayfly(&["trace", "patchwork-hello"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains(r#"patchwork WRITE(1, "Hello from PatchworkOS!\n", 24) = 24  <"#),
        "{text}"
    );
    assert!(text.contains("PROCESS_EXIT(0) = ?"), "{text}");
    assert!(stderr(&output).contains("Hello from PatchworkOS!"));
    assert!(!text.contains('\x1b'), "no colour outside a terminal");
}

#[test]
fn a_trace_as_json_is_complete() {
    let output = mayfly(&["trace", "--json", "veridian-hello"]);
    let lines = lines(&output);
    assert_eq!(with_reason(&lines, "ready").len(), 1);
    let calls = with_reason(&lines, "call");
    assert_eq!(calls.first().expect("a call")["name"], "WRITE");
    assert!(
        calls
            .iter()
            .any(|call| call["error"] == "InvalidCapability")
    );
    assert!(
        calls
            .iter()
            .all(|call| call["abi"] == "veridian" && call["ticks"].is_u64())
    );
    let exited = with_reason(&lines, "exited");
    assert_eq!(
        (exited.len(), &exited[0]["cause"]),
        (1, &Value::from("exited"))
    );
    assert_eq!(exited[0]["calls"], calls.len());
}

#[test]
fn json_output_is_lines_in_every_command() {
    for arguments in [
        &["run", "xeneva-hello"][..],
        &["call", "patchwork", "GETPID"],
        &["coverage"],
        &["demo"],
    ] {
        let mut all = vec!["--message-format", "json"];
        all.extend(arguments);
        let output = mayfly(&all);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
        assert!(!lines(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_error_as_json_has_a_kind() {
    let output = mayfly(&["--message-format", "json", "run", "no-such-program"]);
    assert_eq!(code(&output), 127);
    assert_eq!(with_reason(&lines(&output), "error")[0]["kind"], "program");
    let output = mayfly(&[
        "--message-format",
        "json",
        "run",
        "xeneva-spin",
        "--timeout",
        "300ms",
    ]);
    let lines = lines(&output);
    let error = with_reason(&lines, "error")[0];
    assert_eq!(
        (&error["kind"], &error["phase"]),
        (&"timeout".into(), &"running".into())
    );
}

#[test]
fn a_call_shows_result_and_buffers() {
    let output = mayfly(&["call", "veridian", "clock_get", "1", "out:16"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.starts_with("veridian CLOCK_GET = 0  <"), "{text}");
    assert!(text.contains("out 0"), "{text}");
}

#[test]
fn a_call_can_fail_and_that_is_a_result() {
    let output = mayfly(&["call", "patchwork", "WRITE", "99", "text:x", "1"]);
    assert_eq!(code(&output), 0);
    assert!(
        stdout(&output).starts_with("patchwork WRITE = EBADF"),
        "{}",
        stdout(&output)
    );
    let output = mayfly(&["call", "xeneva", "9999"]);
    assert!(
        stdout(&output).starts_with("xeneva call 9999 = FAILED"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_call_that_is_misspelt_or_short_is_wrong_use() {
    let output = mayfly(&["call", "patchwork", "GETPIDD"]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("GETPID is close"),
        "{}",
        stderr(&output)
    );
    let output = mayfly(&["call", "patchwork", "WRITE", "1"]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("takes 3 arguments"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_demo_shows_all_three_and_is_short() {
    let output = mayfly(&["demo"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    for words in [
        "XenevaOS",
        "PatchworkOS",
        "VeridianOS",
        "booted",
        "status 0",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.lines().count() <= 60, "{text}");
}

#[test]
fn the_doctor_says_what_is_there() {
    let output = mayfly(&["doctor"]);
    let text = stdout(&output);
    for subject in ["host", "kvm", "qemu", "target"] {
        assert!(text.contains(subject), "{subject}: {text}");
    }
    assert!(
        text.contains("microVMs run here") == (code(&output) == 0),
        "{text}"
    );
}

#[test]
fn completions_are_a_script() {
    for shell in ["bash", "zsh", "fish"] {
        let output = mayfly(&["completions", shell]);
        assert!(
            code(&output) == 0 && stdout(&output).contains("mayfly"),
            "{shell}"
        );
    }
}

#[test]
fn a_back_end_that_is_none_is_wrong_use() {
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["run", "xeneva-hello"])
        .env("MAYFLY_BACKEND", "xen")
        .output()
        .expect("the tool is built");
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("MAYFLY_BACKEND=kvm"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_qemu_that_is_not_installed_names_the_package() {
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["run", "xeneva-hello", "--backend", "qemu"])
        .env("PATH", "")
        .output()
        .expect("the tool is built");
    assert_eq!(code(&output), 125);
    assert!(
        stderr(&output).contains("qemu-system-x86"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_qemu_that_refuses_is_quoted() {
    let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .args(["run", "--backend", "qemu", "patchwork-hello"])
        .env("MAYFLY_QEMU_ACCEL", "steam")
        .output()
        .expect("the tool is built");
    assert_eq!(code(&output), 125);
    let told = stderr(&output);
    assert!(told.starts_with("error: cannot start QEMU"), "{told}");
    assert!(told.contains("invalid accelerator steam"), "{told}");
}

//! Standard input of the tool, passed on to a program.
//!
//! Purpose: whatever the tool's own input is (a pipe, a file, a terminal,
//! nothing), the program gets it to the end, and the tool ends when the program
//! does. Neighbours: `cli.rs` has the rest of the command line,
//! `patchwork/input.rs` the same through the library.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The tool, told to run the program that reads in some way.
fn mayfly(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    command.args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

const COPY: [&str; 5] = ["run", "--stdin", "patchwork-input", "--", "copy"];

/// Runs the tool with an input.
fn run(arguments: &[&str], input: impl Into<Stdio>) -> Output {
    let mut command = mayfly(arguments);
    command.stdin(input).output().expect("the tool is built")
}

/// Starts the tool with a pipe as its input.
fn piped(arguments: &[&str]) -> (Child, ChildStdin) {
    let mut command = mayfly(arguments);
    let child = command.stdin(Stdio::piped()).spawn();
    let mut child = child.expect("the tool is built");
    let stdin = child.stdin.take().expect("a pipe");
    (child, stdin)
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("no signal");
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_pipe_is_passed_on_to_its_end() {
    let (child, mut stdin) = piped(&COPY);
    stdin.write_all(b"one\ntwo").expect("it is read");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(told(&output), (0, "one\ntwo".into(), String::new()));
}

#[test]
fn characters_stay_whole_as_json() {
    let whole = "aé€𝄞".repeat(20_000);
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(whole.as_bytes()).expect("it is written");
    file.rewind().expect("it is a file");
    let arguments = [&["--message-format", "json"], &COPY[..]].concat();
    let (code, stdout, _) = told(&run(&arguments, file));
    assert_eq!(code, 0);
    let lines = stdout.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line
    });
    let pieces = lines.filter(|line| line["reason"] == "output");
    let text: String = pieces
        .map(|piece| {
            assert_eq!(piece.get("bytes"), None);
            String::from(piece["text"].as_str().expect("text"))
        })
        .collect();
    // Not compared as a whole: what differs could not be read.
    assert_eq!(text.len(), whole.len());
    assert!(text == whole);
}

#[test]
fn an_answer_comes_before_the_next_question() {
    let (mut child, mut stdin) = piped(&COPY);
    let mut stdout = child.stdout.take().expect("a pipe");
    for question in [&b"x"[..], b"and", b"more"] {
        stdin.write_all(question).expect("it is read");
        let mut answer = vec![0; question.len()];
        stdout.read_exact(&mut answer).expect("it answers");
        assert_eq!(answer, question);
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_file_is_passed_on_byte_for_byte() {
    let mut file = tempfile::tempfile().expect("a file");
    let bytes: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    file.write_all(&bytes).expect("written");
    std::io::Seek::rewind(&mut file).expect("a file has a position");
    let output = run(&COPY, file);
    assert!(output.stdout == bytes, "{:?}", output.stdout.len());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_empty_input_is_an_end() {
    let output = run(&COPY, Stdio::null());
    assert_eq!(told(&output), (0, String::new(), String::new()));
    // None at all: the shell closes it.
    let tool = env!("CARGO_BIN_EXE_mayfly");
    let line = format!("exec '{tool}' {} <&-", COPY.join(" "));
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", &line]).output().expect("a shell");
    assert_eq!(told(&output), (0, String::new(), String::new()));
}

#[test]
fn a_terminal_is_passed_on_line_by_line() {
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let mut command = mayfly(&COPY);
    let child = command.stdin(Stdio::from(terminal.slave)).spawn();
    let child = child.expect("the tool is built");
    // A line, and what a terminal takes for the end.
    File::from(terminal.master.try_clone().expect("a descriptor"))
        .write_all(b"typed\n\x04")
        .expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(told(&output), (0, "typed\n".into(), String::new()));
}

#[test]
fn the_tool_ends_with_its_program_whatever_its_input_does() {
    // The pipe stays open, and empty.
    let (child, stdin) = piped(&["run", "--stdin", "patchwork-hello"]);
    let output = child.wait_with_output().expect("it ends");
    assert!(told(&output).1.starts_with("Hello from PatchworkOS!"));
    drop(stdin);
    // And this never ends.
    let zero = File::open("/dev/zero").expect("a device");
    let output = run(&["run", "--stdin", "patchwork-hello"], zero);
    assert_eq!(told(&output).0, 0);
}

#[test]
fn an_input_that_cannot_be_read_is_125() {
    let directory = File::open("/").expect("a directory");
    let (code, stdout, stderr) = told(&run(&COPY, directory));
    assert_eq!((code, stdout), (125, String::new()));
    assert!(stderr.contains("standard input"), "{stderr}");
}

#[test]
fn without_the_option_the_input_is_left_alone() {
    let mut pipe = std::io::pipe().expect("a pipe");
    pipe.1.write_all(b"left").expect("there is room");
    let ours = OwnedFd::from(pipe.0.try_clone().expect("a descriptor"));
    let output = run(&["run", "patchwork-input", "--", "copy"], ours);
    assert_eq!(told(&output), (0, String::new(), String::new()));
    drop(pipe.1);
    let mut left = String::new();
    pipe.0.read_to_string(&mut left).expect("a pipe");
    assert_eq!(left, "left");
}

#[test]
fn counting_runs_twice_on_the_same_input() {
    let arguments = ["run", "--stdin", "--meter", "patchwork-input", "--", "copy"];
    let (child, mut stdin) = piped(&arguments);
    stdin.write_all(b"twice").expect("it is read");
    drop(stdin);
    let (code, stdout, stderr) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, stdout), (0, "twice".into()));
    assert!(stderr.contains("READ"), "{stderr}");
}

#[test]
fn a_trace_shows_what_was_read() {
    let arguments = ["trace", "--stdin", "patchwork-input", "--", "copy"];
    let (child, mut stdin) = piped(&arguments);
    stdin.write_all(b"word").expect("it is read");
    drop(stdin);
    let (code, stdout, stderr) = told(&child.wait_with_output().expect("it ends"));
    assert_eq!((code, stderr), (0, "word".into()));
    assert!(stdout.contains("READ(0, "), "{stdout}");
}

#[test]
fn a_signal_ends_it_at_once() {
    let (mut child, mut stdin) = piped(&COPY);
    let mut stdout = child.stdout.take().expect("a pipe");
    stdin.write_all(b"x").expect("it is read");
    stdout.read_exact(&mut [0]).expect("it runs");
    let id = i32::try_from(child.id()).expect("a process id");
    // Not SIGINT: whoever starts tests in the background ignores that one.
    kill(Pid::from_raw(id), Signal::SIGTERM).expect("it is there");
    let status = child.wait().expect("it ends");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15)
    );
}

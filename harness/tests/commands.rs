//! Every command of the tool, used badly.
//!
//! Purpose: closed streams, readers that go, words that mean nothing: a command
//! ends with a code of the list in `--help`, and says what is wrong in words for
//! people. Neighbours: `cli` uses the commands as they are meant to be.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Output, Stdio};

/// Every command, short.
const COMMANDS: [&[&str]; 16] = [
    &[],
    &["--help"],
    &["--version"],
    &["demo"],
    &["run", "patchwork-hello"],
    &["run", "--stdin", "patchwork-input", "--", "copy"],
    &["run", "--meter", "xeneva-hello"],
    &["trace", "veridian-hello"],
    &["call", "patchwork", "GETPID"],
    &["coverage", "veridian"],
    &["bench", "--list"],
    &["completions", "zsh"],
    &["man"],
    &["doctor"],
    &["shell"],
    &["shell", "-c", "patchwork-hello"],
];

/// What only programmers should see.
const INTERNAL: [&str; 9] = [
    "panicked at",
    "RUST_BACKTRACE",
    "Error {",
    "Some(",
    "None,",
    "Os {",
    "Err(",
    "kind: ",
    "src/cli",
];

fn mayfly(shell: &str, arguments: &[&str]) -> Output {
    // The shell closes descriptors; the tool is `$0`, its arguments `$@`.
    Command::new("sh")
        .args(["-c", shell, env!("CARGO_BIN_EXE_mayfly")])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("sh is there")
}

/// What it says is for people.
fn is_readable(output: &Output, case: &str) {
    let told = [&output.stdout[..], &output.stderr[..]].concat();
    let told = String::from_utf8_lossy(&told);
    for internal in INTERNAL {
        assert!(!told.contains(internal), "{case}: {internal} in\n{told}");
    }
}

#[test]
fn commands_do_without_standard_streams() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"] {
        for arguments in COMMANDS {
            let case = format!("mayfly {} {closed}", arguments.join(" "));
            let output = mayfly(&format!("\"$0\" \"$@\" {closed}"), arguments);
            assert_eq!(output.status.code(), Some(0), "{case}");
            is_readable(&output, &case);
        }
    }
}

#[test]
fn commands_do_without_a_reader() {
    for reader in ["| head -1", "2>&1 | head -1", "2>&1 | true"] {
        for arguments in COMMANDS {
            let case = format!("mayfly {} {reader}", arguments.join(" "));
            let shell = format!("(\"$0\" \"$@\"; echo $? >&3) 3>&2 {reader}");
            let output = mayfly(&shell, arguments);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(told.lines().last(), Some("0"), "{case}: {told}");
            is_readable(&output, &case);
        }
    }
}

#[test]
fn who_writes_for_ever_ends_with_the_reader() {
    for arguments in [
        &["shell", "-c", "cat /dev/zero"][..],
        &[
            "run",
            "--timeout",
            "1m",
            "patchwork-tools",
            "--",
            "cat",
            "/dev/zero",
        ],
    ] {
        let shell = "(\"$0\" \"$@\"; echo $? >&3) 3>&2 | head -c 1";
        let output = mayfly(
            &format!("timeout 20 sh -c '{shell}' \"$0\" \"$@\""),
            arguments,
        );
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told, "0\n", "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_told() {
    for arguments in [
        &["call", "patchwork", "GETPID"][..],
        &["run", "patchwork-hello"],
        &["shell", "-c", "cat /dev/zero"],
        &["man"],
    ] {
        let full = File::options().write(true).open("/dev/full");
        let full = full.expect("Linux has it");
        assert!(full.as_raw_fd() > 2);
        let output = Command::new(env!("CARGO_BIN_EXE_mayfly"))
            .args(arguments)
            .stdout(full)
            .output()
            .expect("the tool is built");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(125), "{arguments:?}: {told}");
        assert!(told.contains("No space left"), "{arguments:?}: {told}");
        is_readable(&output, &format!("{arguments:?}"));
    }
}

#[test]
fn bad_words_are_answered_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("UTF-8");
    let odd = format!("{folder}/\u{1f980} \n");
    std::fs::write(&odd, [0; 4096]).expect("written");
    let words: &[&str] = &[
        "",
        "-",
        "--",
        "---",
        "\u{1f980}",
        "0x",
        "-1",
        "a=b",
        "/",
        folder,
        &odd,
        "../..",
        "'",
        "%s",
        "99999999999999999999",
        "out:99999999999",
        "in:z",
        "text:",
        "/dev/null",
        "/proc/self/mem",
    ];
    let commands: &[&[&str]] = &[
        &[],
        &["demo"],
        &["demo", "--memory"],
        &["run"],
        &["run", "patchwork-exit", "--"],
        &["run", "--abi"],
        &["run", "patchwork-hello", "--file"],
        &["run", "patchwork-hello", "--timeout"],
        &["run", "patchwork-hello", "--memory"],
        &["run", "patchwork-hello", "--cpus"],
        &["run", "patchwork-hello", "--backend"],
        &["trace"],
        &["trace", "--folded"],
        &["call"],
        &["call", "xeneva"],
        &["call", "patchwork", "WRITE", "1", "text:x"],
        &["call", "veridian", "CLOCK_GET", "1"],
        &["coverage"],
        &["bench", "--against"],
        &["bench", "--list", "--format"],
        &["completions"],
        &["--color"],
        &["--message-format"],
    ];
    for command in commands {
        for word in words {
            let arguments = [command, &[*word][..]].concat();
            let output = mayfly("\"$0\" \"$@\"", &arguments);
            let case = format!("{arguments:?}");
            is_readable(&output, &case);
            let code = output.status.code().expect("no signal");
            let known = matches!(code, 0..=2 | 111 | 124..=127 | 137 | 139);
            assert!(known, "{case}: code {code}");
            let is_programs = command.contains(&"patchwork-exit");
            if !is_programs && matches!(code, 2 | 124..=127) {
                let told = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(told.contains("error: "), "{case}: {told}");
            }
        }
    }
}

#[test]
fn what_cannot_be_done_names_the_file_or_the_option() {
    for (shell, arguments, words) in [
        (
            "MAYFLY_KERNEL=/no/kernel \"$0\" \"$@\"",
            &["run", "xeneva-hello"][..],
            "/no/kernel: ",
        ),
        (
            "\"$0\" \"$@\"",
            &["run", "--backend", "kvm", "--cpus", "2", "xeneva-hello"],
            "--cpus 1",
        ),
        (
            "\"$0\" \"$@\"",
            &["shell", "-c", "true", "--meter"],
            "run lines with --meter: it is for `time` at a prompt, and -c and scripts have none",
        ),
        (
            "\"$0\" \"$@\"",
            &["shell", "-c", "true", "--serial"],
            "run lines with --serial: it is the line of a terminal, and -c and scripts have none",
        ),
    ] {
        let output = mayfly(shell, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(words), "{told}");
        is_readable(&output, words);
    }
}

#[test]
fn a_mistake_is_told_with_what_to_do() {
    for (arguments, code, words) in [
        (
            &["run", "patchwork-args", "one"][..],
            2,
            "  try: mayfly run patchwork-args -- one\n",
        ),
        (
            &["trace", "--json", "patchwork-args", "one", "a b"],
            2,
            "  try: mayfly trace --json patchwork-args -- one 'a b'\n",
        ),
        (
            &["man", "--out", "/proc/x"],
            125,
            "  try: --out with a folder of yours\n",
        ),
        (
            &["shell", "--log", "/nonexist/x", "-c", "true"],
            125,
            "error: cannot write /nonexist/x\n  why: No such file or directory (os error 2)\n  try: --log with",
        ),
        (
            &["shell", "--log", "/dev/full", "-c", "echo one"],
            125,
            "error: the log /dev/full is not complete\n  why: No space left",
        ),
        (&["run", ""], 127, "error: cannot run \"\": "),
        (&["run", "a b"], 127, "error: cannot run \"a b\": "),
        (
            &["run", "nope"],
            127,
            "  try: the path of an ELF or PE file",
        ),
        (
            &[
                "run",
                "patchwork-hello",
                "--backend",
                "kvm",
                "--memory",
                "900G",
            ],
            125,
            "guest memory of 900G: must be whole 4 KiB pages, 4M to 3G\n",
        ),
    ] {
        let output = mayfly("\"$0\" \"$@\"", arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
        is_readable(&output, words);
    }
}

#[test]
fn an_interface_that_is_misspelt_has_a_near_one() {
    for (arguments, near) in [
        (&["call", "patchwrok", "GETPID"][..], Some("patchwork")),
        (&["coverage", "xenva"], Some("xeneva")),
        (&["coverage", "linux"], None),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
        let output = command.args(arguments).output().expect("the tool is built");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let meant = near.map(|near| said.contains(&format!("did you mean {near}?")));
        let asked = said.contains("did you mean");
        assert_eq!(meant.unwrap_or(asked), near.is_some(), "{said}");
        assert!(
            said.contains("known: xeneva, patchwork, veridian"),
            "{said}"
        );
    }
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    // Where its error goes, what the environment and the option say; colours.
    for (terminal, no_color, when, coloured) in [
        (false, false, None, false),
        (false, false, Some("always"), true),
        (true, false, None, true),
        (true, true, None, false),
        (true, false, Some("never"), false),
        // The option is nearer.
        (true, true, Some("always"), true),
    ] {
        let said = misses(terminal, no_color, when);
        assert!(said.contains("cannot run nope"), "{said}");
        let found = said.contains('\x1b');
        assert_eq!(found, coloured, "{terminal} {no_color} {when:?}: {said}");
    }
}

/// What the tool says of a program that it does not have, to a terminal or a pipe.
fn misses(terminal: bool, no_color: bool, when: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly"));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm").args(["run", "nope"]);
    command.args(when.iter().flat_map(|when| ["--color", when]));
    if no_color {
        command.env("NO_COLOR", "1");
    }
    if !terminal {
        let output = command.output().expect("the tool is built");
        return String::from_utf8_lossy(&output.stderr).into_owned();
    }
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let child = command.stderr(pty.slave).stdout(Stdio::null()).spawn();
    child.expect("the tool is built").wait().expect("it ends");
    // The command keeps the other end open.
    drop(command);
    let mut said = Vec::new();
    // The end of a terminal is an error; what came before it is there.
    let _ = File::from(pty.master).read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

//! Scripts: the shell without a terminal.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs the shell with arguments and an input.
pub(crate) fn mayfly(arguments: &[&str], script: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mayfly"))
        .arg("shell")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool is built");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(script.as_bytes()).expect("it is read");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// Runs a script: its status, and what it says on either stream.
pub(crate) fn run(script: &str) -> (i32, String, String) {
    let output = mayfly(&[], script);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("no signal");
    (code, text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn says(script: &str, words: &str) {
    let (status, out, err) = run(script);
    assert_eq!((status, &out[..], &err[..]), (0, words, ""), "{script}");
}

#[test]
fn lines_run_one_by_one_and_the_last_status_is_the_commands() {
    assert_eq!(
        run("echo one\npatchwork-exit 5\n"),
        (5, "one\n".into(), String::new())
    );
    assert_eq!(run("patchwork-exit 5\necho two").0, 0);
    assert_eq!(
        run("exit 9\necho never\n"),
        (9, String::new(), String::new())
    );
    assert_eq!(run("").0, 0);
}

#[test]
fn pipes_redirections_and_conditions_do_what_they_do_elsewhere() {
    says("echo a b | cat | cat\n", "a b\n");
    says(
        "echo one > /tmp/f; echo two >> /tmp/f; cat < /tmp/f\n",
        "one\ntwo\n",
    );
    says(
        "patchwork-hello > /tmp/g; patchwork-tools grep argv < /tmp/g > /tmp/f; cat /tmp/f | cat\n",
        "\u{1b}[31margv\u{1b}[0m[0] = /bin/patchwork-hello\n",
    );
    says("patchwork-exit 1 && echo no || echo yes\n", "yes\n");
    says("patchwork-exit 0 && echo yes || echo no\n", "yes\n");
    says("patchwork-exit 4; echo $?; echo $?\n", "4\n0\n");
    says(
        "nothing 2> /tmp/f; patchwork-tools grep nothing < /tmp/f > /dev/null; echo $?\n",
        "0\n",
    );
    says("veridian-hello | cat > /tmp/f; echo done\n", "done\n");
}

#[test]
fn words_are_expanded() {
    says(
        "env A='x y'; echo $A \"$A\" '$A' ${A}z\n",
        "x y x y $A x yz\n",
    );
    says(
        "cd /dev/perf; echo *; echo '*'; pwd\n",
        "caps cpu mem *\n"
            .replace(" *\n", "\n*\n/dev/perf\n")
            .as_str(),
    );
    says("echo /dev/z*  no*  \\*\n", "/dev/zero no* *\n");
    says("env A=1; env A; env\n", "1\nA=1\n");
    says("# a comment\n\n  echo a # b\n", "a\n");
}

#[test]
fn names_of_files_are_listed_before_what_is_in_directories() {
    says("cd /dev/perf; ls cpu mem; ls m*\n", "cpu\nmem\nmem\n");
    says(
        "echo abc > /tmp/f; ls /dev/perf /tmp/f /tmp; ls -l /tmp/f /tmp\n",
        "/tmp/f\n\n/dev/perf:\ncaps\ncpu\nmem\n\n/tmp:\nf\n         4  /tmp/f\n\n/tmp:\n         4  f\n",
    );
}

#[test]
fn a_program_reads_what_the_script_goes_on_with() {
    let (status, out, err) = run("patchwork-input copy\nthis is\nits input\n");
    assert_eq!(
        (status, &out[..], &err[..]),
        (0, "this is\nits input\n", "")
    );
}

#[test]
fn what_is_wrong_is_said_with_a_way_out() {
    let (status, out, err) = run("patchwork-helo\n");
    assert_eq!((status, &out[..]), (127, ""));
    assert!(
        err.contains("patchwork-helo: no such command\n  try: did you mean patchwork-hello?"),
        "{err}"
    );
    let (status, _, err) = run("echo 'open\n");
    assert_eq!(status, 2);
    assert!(
        err.contains("this quote is not closed\n  echo 'open\n       ^"),
        "{err}"
    );
    let (status, _, err) = run("cat /nowhere\n");
    assert_eq!(
        (status, &err[..]),
        (1, "cat: /nowhere: no such file or directory\n  try: ls /\n")
    );
    let (status, _, err) = run("/bin\n");
    assert_eq!(status, 126);
    assert!(err.contains("try: cd /bin"), "{err}");
    let (status, _, err) = run("echo x > /nowhere/f\n");
    assert_eq!(
        (status, &err[..]),
        (
            1,
            "shell: cannot open /nowhere/f: no such file or directory\n  try: ls /\n"
        )
    );
}

#[test]
fn one_line_is_run_and_no_more() {
    let output = mayfly(&["-c", "cat && exit 3"], "the input\n");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"the input\n");
}

#[test]
fn commands_of_its_own_say_what_they_know() {
    let (status, out, _) = run("help; mem; ps; ls -l /dev; caps; mount /tmp /home; mount\n");
    assert_eq!(status, 0);
    for words in [
        "help ",
        "trace ",
        "free ",
        "KiB",
        "PID",
        "shell",
        "zero",
        "process kind id rights",
        "/tmp                 /home",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[test]
fn standard_error_goes_where_standard_output_does() {
    // In a pipeline, that is into the pipe; the order of redirections counts.
    let missing = "cat: /none: no such file or directory\n  try: ls /\n";
    for cat in ["cat /none", "shell -c 'cat /none'"] {
        says(&format!("{cat} 2>&1 | cat > /tmp/f; cat /tmp/f\n"), missing);
        says(
            &format!("{cat} 2>&1 > /tmp/g | cat > /tmp/f; cat /tmp/f\n"),
            missing,
        );
        let (_, out, err) = run(&format!("{cat} > /tmp/f 2>&1 | cat; cat /tmp/f\n"));
        assert_eq!((&out[..], &err[..]), (missing, ""), "{cat}");
    }
}

#[test]
fn a_part_of_a_pipeline_that_cannot_begin_leaves_the_others_to_end() {
    let (status, out, err) = run("echo a | cat > /none/f; echo $?; ps\n");
    assert_eq!(status, 0);
    assert!(out.starts_with("1\n"), "{out}");
    assert!(err.contains("cannot open /none/f"), "{err}");
    // The shell itself, and nobody else.
    assert_eq!(out.lines().count(), 3, "{out}");
    // What was started is a job like any other.
    let (_, out, _) = run("patchwork-spin | cat < /none/f &\njobs\n");
    assert_eq!(out, "[1] runs: patchwork-spin | cat < /none/f\n");
    let (_, out, _) =
        run("cat < /none/f | echo b; echo $?; nothing | echo c; echo d | nothing; echo $?\n");
    assert_eq!(out, "b\n0\nc\n127\n");
}

#[test]
fn commands_of_its_own_are_the_same_in_a_pipeline() {
    says("patchwork-exit 4; echo $? | cat\n", "4\n");
    says("env A='x  y'; echo \"$A\" '|' \\> | cat\n", "x  y | >\n");
    // Each word may be as long as a program's argument, and the line longer.
    let words = vec!["w".repeat(100); 8].join(" ");
    says(&format!("echo {words} | cat\n"), &format!("{words}\n"));
    says("exit 3 | cat; echo a | exit 5; echo $?\n", "5\n");
    for name in ["jobs", "history", "mount", "wait"] {
        let (status, out, err) = run(&format!("{name} | cat; cat < /dev/null | {name}\n"));
        assert_eq!((status, &out[..]), (1, ""), "{name}");
        let said = format!("{name}: another shell would not know");
        assert_eq!(err.matches(&said).count(), 2, "{err}");
    }
    let (status, _, err) = run("shell -b nothing\n");
    assert_eq!(status, 2);
    assert!(err.contains("nothing: no command of its own"), "{err}");
}

#[test]
fn a_mount_says_which_of_its_names_is_wrong() {
    let (status, _, err) = run("mount /tmp /none\n");
    assert_eq!(
        (status, &err[..]),
        (1, "mount: /none: no such file or directory\n  try: ls /\n")
    );
    let (status, _, err) = run("mount /none /tmp\n");
    assert_eq!(
        (status, &err[..]),
        (1, "mount: /none: no such file or directory\n  try: ls /\n")
    );
}

#[test]
fn the_tools_read_and_write_pipes() {
    says("echo hi | patchwork-tools cat | cat\n", "hi\n");
    says("echo hi | patchwork-input copy\n", "hi\n");
    says(
        "echo hi | patchwork-tools grep hi\n",
        "\u{1b}[31mhi\u{1b}[0m\n",
    );
    // More than one piece, and more than a pipe holds.
    let (status, out, err) = run(
        "patchwork-tools cat /bin/patchwork-hello | patchwork-tools cat | patchwork-input sum\n\
         patchwork-input sum < /bin/patchwork-hello\n",
    );
    assert_eq!((status, &err[..]), (0, ""));
    let sums: Vec<&str> = out.lines().collect();
    assert_eq!(sums.len(), 2, "{out}");
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn a_tool_takes_so_many_operands_and_says_when_there_are_more() {
    let most = vec!["/dev/null"; 16].join(" ");
    says(&format!("patchwork-tools cat {most}\n"), "");
    let (status, out, _) = run(&format!("patchwork-tools cat {most} /none\n"));
    assert_eq!((status, &out[..]), (1, "cat: operands: too many\n"));
}

#[test]
fn who_dies_is_told_beside_what_the_script_says() {
    for (script, died) in [
        (
            "patchwork-fault read 0x10 || echo no\n",
            "patchwork-fault ended: page fault: read of 0x10",
        ),
        (
            "xeneva-fault ud | cat; echo no\n",
            "xeneva-fault ended: invalid instruction",
        ),
        (
            "echo bad > /tmp/bad; /tmp/bad; echo no\n",
            "/tmp/bad ended: its executable could not be loaded",
        ),
    ] {
        for one_line in [false, true] {
            let output = match one_line {
                true => mayfly(&["-c", script.trim_end()], ""),
                false => mayfly(&[], script),
            };
            let (out, err) = (
                String::from_utf8_lossy(&output.stdout).into_owned(),
                String::from_utf8_lossy(&output.stderr).into_owned(),
            );
            assert!(out.ends_with("no\n"), "{script}: {out}");
            let notes: Vec<&str> = err.lines().collect();
            let [note] = notes[..] else {
                panic!("{script}: one note, and not {err:?}");
            };
            assert!(note.starts_with("note: ") && note.contains(died), "{note}");
        }
    }
}

#[test]
fn who_dies_is_told_as_json() {
    let script = "patchwork-fault write 0x20; echo on\n";
    let output = mayfly(&["--message-format", "json", "-c", script], "");
    assert!(output.stderr.is_empty());
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = out
        .lines()
        .map(|line| serde_json::from_str(line).expect(line));
    let lines: Vec<serde_json::Value> = lines.collect();
    let died = lines.iter().find(|line| line["reason"] == "died");
    let died = died.expect("it is told");
    assert_eq!(
        (&died["program"], &died["cause"]),
        (&"/bin/patchwork-fault".into(), &"fault".into())
    );
    let message = died["message"].as_str().expect("words");
    assert!(message.starts_with("page fault: write to 0x20"), "{out}");
}

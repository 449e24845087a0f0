//! What the shell says when something is wrong, and that it says it.
//!
//! One form: what, why, and behind `try:` a way out. Nothing that is not
//! understood is taken for something else.

use crate::script::{mayfly, run};

/// A line, its status, and what is said on standard error.
#[track_caller]
fn refuses(line: &str, status: i32, words: &str) {
    let said = run(&format!("{line}\n"));
    assert_eq!(
        (said.0, &said.1[..], &said.2[..]),
        (status, "", words),
        "{line}"
    );
}

#[test]
fn a_digit_before_a_redirection_is_its_stream() {
    let (status, out, err) = run("echo a 1> /tmp/f; echo b 1>> /tmp/f; cat 0< /tmp/f\n\
         echo err 1>&2\n\
         cat /none 2> /tmp/g; cat /tmp/g\n\
         echo 12 a1> /tmp/f; cat /tmp/f\n");
    assert_eq!(status, 0);
    assert_eq!(
        out,
        "a\nb\ncat: /none: no such file or directory\n  try: ls /\n12 a1\n"
    );
    assert_eq!(err, "err\n");
}

#[test]
fn what_other_shells_have_is_refused_and_not_printed() {
    for (line, what) in [
        (
            "echo $(ls)",
            "a command in the place of a word is not supported",
        ),
        (
            "echo \"`ls`\"",
            "a command in the place of a word is not supported",
        ),
        ("(echo a)", "parentheses are not supported"),
        ("echo $!", "there is no such variable"),
        ("echo 3> f", "streams are 0, 1 and 2"),
    ] {
        let (status, out, err) = run(&format!("{line}\n"));
        assert_eq!((status, &out[..]), (2, ""), "{line}");
        assert!(err.contains(what), "{line}: {err}");
    }
    let (status, out, err) = run("echo $$ '$(a)' \\( '`'\n");
    assert_eq!((status, &err[..]), (0, ""));
    let id = out.strip_suffix(" $(a) ( `\n").expect("the words");
    assert!(id.parse::<u64>().is_ok(), "{out}");
}

#[test]
fn a_variable_is_set_by_env() {
    for line in ["A='b c'", "export A='b c'", "A='b c' ls"] {
        let name = line.split(' ').next().expect("a word").replace('\'', "");
        let name = if name == "A=b" { "A=b c" } else { "export" };
        refuses(
            line,
            127,
            &format!("shell: {name}: no such command\n  try: env 'A=b c'\n"),
        );
    }
    refuses("env B", 1, "env: B: it is not set\n  try: env B=VALUE\n");
    refuses(
        "env =x",
        2,
        "env: =x: a name has letters, digits and _\n  try: env NAME=VALUE\n",
    );
}

#[test]
fn what_cannot_be_written_is_said() {
    for name in ["echo x", "ls /dev", "help", "ps", "cat /dev/perf/cpu"] {
        let command = name.split(' ').next().expect("a word");
        refuses(
            &format!("{name} > /dev/perf/mem"),
            1,
            &format!("{command}: cannot write: this file cannot do that\n"),
        );
    }
}

#[test]
fn names_that_are_wrong_are_told_apart() {
    let cannot = "shell: cannot open";
    for (line, status, words) in [
        (
            "cd /nowhere",
            1,
            "cd: /nowhere: no such file or directory\n  try: ls /\n",
        ),
        (
            "cd /dev/zero",
            1,
            "cd: /dev/zero: it is no directory\n  try: ls /dev\n",
        ),
        (
            "cd -",
            1,
            "cd: -: no directory was left before\n  try: cd [DIRECTORY]\n",
        ),
        (
            "cd ~",
            1,
            "cd: ~: there are no home directories\n  try: cd /\n",
        ),
        ("cat ''", 1, "cat: '': the name is empty\n  try: ls\n"),
        (
            "cat no*",
            1,
            "cat: no*: no name fits this pattern\n  try: ls\n",
        ),
        (
            "cat /dev",
            1,
            "cat: /dev: it is a directory\n  try: ls /dev\n",
        ),
        (
            "rm /none",
            1,
            "rm: /none: no such file or directory\n  try: ls /\n",
        ),
        (
            "ls -a",
            2,
            "ls: -a: no such option\n  try: ls [-l] [PATH...]\n",
        ),
        (
            "cat -n",
            2,
            "cat: -n: no such option\n  try: cat [FILE...]\n",
        ),
        (
            "rm -rf /x",
            2,
            "rm: -rf: no such option\n  try: rm FILE...\n",
        ),
        (
            "kill -9 1",
            2,
            "kill: -9: no such option\n  try: kill PROCESS...\n",
        ),
        (
            "true",
            127,
            "shell: true: no such command\n  try: `help` lists what there is; Tab completes names\n",
        ),
        (
            "sl",
            127,
            "shell: sl: no such command\n  try: did you mean ls?\n",
        ),
    ] {
        refuses(line, status, words);
    }
    for (name, why) in [
        ("/", "it is a directory\n  try: ls /\n"),
        ("''", "the name is empty\n  try: ls\n"),
        ("no*", "no name fits this pattern\n  try: ls\n"),
        ("/none/f", "no such file or directory\n  try: ls /\n"),
    ] {
        refuses(
            &format!("echo x > {name}"),
            1,
            &format!("{cannot} {name}: {why}"),
        );
    }
}

#[test]
fn cd_goes_back() {
    let (status, out, err) = run("cd /dev; cd /tmp; cd -; pwd; cd -; pwd\n");
    assert_eq!((status, &err[..]), (0, ""));
    assert_eq!(out, "/dev\n/dev\n/tmp\n/tmp\n");
}

#[test]
fn what_is_too_long_is_refused_and_the_shell_goes_on() {
    let (status, out, err) = run(&format!(
        "env A={}\n{}echo on\n",
        "x".repeat(1000),
        "env A=$A$A$A$A\n".repeat(5)
    ));
    assert_eq!((status, &out[..]), (0, "on\n"), "{err}");
    let refused = "shell: with variables and names in their places the line is too long\n  try: ";
    assert_eq!(err.matches(refused).count(), 2, "{err}");
    let (status, out, err) = run(&format!("echo one\necho {}\necho on\n", "x".repeat(20_000)));
    assert_eq!((status, &out[..]), (2, "one\n"), "{err}");
    assert_eq!(
        err,
        "shell: line 2 is longer than 16,384 bytes: neither it nor what follows runs\n  \
         try: shorter lines\n"
    );
}

#[test]
fn what_the_shell_has_no_room_for_is_refused_and_it_goes_on() {
    // A value without an end.
    let (status, out, err) = run("env A=1; mount /dev/zero /proc/self/env/A\n\
         env A; echo $?\n\
         env; echo $?\n\
         echo $A; echo $?\n\
         env B=2; env B\n");
    assert_eq!((status, &out[..]), (0, "1\n1\n1\n2\n"), "{err}");
    assert_eq!(
        err,
        "env: A: it is more than the shell has room for\n  try: cat /proc/self/env/A\n\
         env: A: it is more than the shell has room for\n\
         shell: with variables and names in their places the line is too long\n  \
         try: in smaller parts\n"
    );
}

#[test]
fn no_line_that_is_short_enough_is_too_much() {
    // Of each part the line has as many as it may have bytes.
    for (before, part) in [
        ("exit 0;", "a;"),
        ("exit 0;", "a|"),
        ("exit 0; ", "a>b "),
        ("exit 0; ", "$A"),
        ("echo ", "a "),
        ("echo ", "'a'b"),
    ] {
        let line = format!("{before}{}b", part.repeat(16_000 / part.len()));
        let output = mayfly(&["-c", &line], "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &said[..]), (Some(0), ""), "{part}");
    }
}

#[test]
fn a_script_that_can_seek_is_read_in_pieces() {
    // What a line leaves is for the programs that it runs.
    let (status, out, err) = run(
        "echo 'echo one; patchwork-input copy' > /tmp/s; echo 'the rest' >> /tmp/s\n\
         shell < /tmp/s; cat /tmp/s | shell; echo done\n",
    );
    assert_eq!((status, &err[..]), (0, ""));
    assert_eq!(out, "one\nthe rest\none\nthe rest\ndone\n");
}

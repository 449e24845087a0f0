//! Programs: in the foreground, in the background, interrupted, watched.

use crate::pty::{Session, on_qemu};

#[mayfly::test]
fn programs_of_all_three_interfaces_run_by_name() {
    let mut session = Session::new();
    for (program, words) in [
        ("xeneva-hello", "Hello from XenevaOS!"),
        ("patchwork-hello", "Hello from PatchworkOS!"),
        ("veridian-hello", "Hello from VeridianOS!"),
    ] {
        let shown = session.run(program);
        assert!(shown.starts_with(words), "{program}: {shown}");
    }
}

#[mayfly::test]
fn ctrl_c_ends_the_foreground_job_and_what_came_of_it() {
    let mut session = Session::new();
    session.types("patchwork-pipeline /bin/patchwork-spin\r");
    session.row("guest> patchwork-pipeline /bin/patchwork-spin");
    // It counts whenever it comes: before the job is in the foreground, too.
    session.types("\x03");
    session.row("^C");
    session.prompt();
    assert_eq!(session.run("echo $?"), "130");
    let processes = session.run("ps");
    assert!(!processes.contains("spin"), "{processes}");
    assert_eq!(processes.lines().count(), 2, "{processes}");
}

#[mayfly::test]
fn a_program_reads_lines_that_can_be_edited_and_end() {
    let mut session = Session::new();
    session.types("patchwork-input copy\r");
    session.row("guest> patchwork-input copy");
    session.types("wrongx\x7f\x15gr\u{f6}\u{df}\x7f\u{df}er\r");
    session.until("the line twice", |rows, _| {
        rows.iter().filter(|row| *row == "gr\u{f6}\u{df}er").count() == 2
    });
    session.types("\x04");
    session.prompt();
    session.types("cat\r");
    session.row("guest> cat");
    session.types("again\r");
    session.until("the line twice", |rows, _| {
        rows.iter().filter(|row| *row == "again").count() == 2
    });
    session.types("\x03");
    session.row("^C");
    session.prompt();
    assert_eq!(session.run("echo $?"), "130");
}

#[mayfly::test]
fn jobs_run_unattended_and_their_end_is_told() {
    let mut session = Session::new();
    let shown = session.run("patchwork-spin &");
    let id: u32 = shown
        .strip_prefix("[1] ")
        .expect("a number")
        .parse()
        .expect("an id");
    let shown = session.run("jobs");
    assert_eq!(shown, "[1] runs: patchwork-spin");
    session.types(format!("kill {id}\r"));
    session.row("[1] ended, status 0: patchwork-spin");
    assert_eq!(session.run("jobs"), "");
    let shown = session.run("patchwork-exit 3 & wait; echo $?");
    assert!(shown.ends_with("\n3"), "{shown}");
}

#[mayfly::test]
fn a_death_is_told_above_the_prompt() {
    let mut session = Session::new();
    // Its own words would come on another line of QEMU's, before or after.
    session.types("patchwork-fault read 0x1000 > /dev/null &\r");
    session.types("echo typed meanwhile");
    session.until(
        "the death, and the line below it whole",
        |rows, (row, column)| {
            let death = rows
                .iter()
                .position(|it| it.contains("patchwork-fault ended: page fault: read of 0x1000"));
            let line = &rows[usize::from(row)];
            death.is_some_and(|at| at < usize::from(row))
                && line == "guest> echo typed meanwhile"
                && usize::from(column) == line.len()
        },
    );
    session.types("\r");
    session.row("typed meanwhile");
}

#[mayfly::test]
fn what_a_job_shows_stands_above_the_line_that_is_typed() {
    let mut session = Session::new();
    // It is silent until the line below has been typed.
    let job = "patchwork-input close 400 > /tmp/a; echo one; echo two; echo -n three; \
               patchwork-input close 800 > /tmp/a; echo ' four'";
    session.types(format!("shell -c \"{job}\" &\r"));
    session.types("echo typed\x1b[D");
    for last in ["three", " four"] {
        session.until("all above a line that is whole", |rows, (row, column)| {
            let at = usize::from(row);
            let above: Vec<&str> = rows[..at].iter().map(String::as_str).collect();
            let shown = ["one", "two", "three", " four"];
            let most = shown.iter().position(|it| *it == last).unwrap_or(0);
            above.ends_with(&shown[..=most]) && rows[at] == "guest> echo typed" && column == 16
        });
    }
    session.types("\r");
    session.row("typed");
}

#[mayfly::test]
fn trace_shows_calls_before_the_next_prompt() {
    let mut session = Session::new();
    let shown = session.run("trace veridian-hello one");
    assert!(shown.contains("veridian WRITE("), "{shown}");
    assert!(shown.contains("Hello from VeridianOS!"), "{shown}");
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.contains("veridian EXIT(0) = ?"), "{shown}");
    let shown = session.run("trace nothing");
    assert!(shown.contains("no such command"), "{shown}");
}

#[mayfly::test]
fn time_says_ticks_and_kernel_instructions_when_they_are_counted() {
    let mut session = Session::new();
    let shown = session.run("time patchwork-exit 3");
    assert!(shown.contains(" ticks  status 3"), "{shown}");
    if on_qemu() {
        return eprintln!("n/a: QEMU does not count instructions");
    }
    let mut session = Session::with(&["--meter"], 80, 24);
    let shown = session.run("time patchwork-exit");
    assert!(shown.contains(" kernel instructions  status 0"), "{shown}");
}

#[mayfly::test]
fn time_and_trace_ask_the_host_and_not_the_file() {
    let mut session = Session::with(&[], 80, 24);
    let shown = session.run("time patchwork-hello > /tmp/f");
    assert!(shown.contains(" ticks "), "{shown}");
    let shown = session.run("trace patchwork-hello > /tmp/g < /dev/null");
    assert!(shown.contains("patchwork PROCESS_EXIT(0) = ?"), "{shown}");
    for file in ["/tmp/f", "/tmp/g"] {
        let shown = session.run(&format!("cat {file}"));
        assert!(shown.starts_with("Hello from PatchworkOS!"), "{shown}");
    }
}

#[mayfly::test]
fn ctrl_c_ends_a_command_of_the_shells_own() {
    let mut session = Session::new();
    for line in [
        "cat /dev/zero > /dev/null",
        "time cat /dev/zero > /dev/null",
    ] {
        session.types(line).types("\r");
        session.row(&format!("guest> {line}"));
        session.types("\x03");
        session.until("the prompt after it", |rows, (row, _)| {
            let at = usize::from(row);
            rows[at] == "guest>" && rows[..at].iter().any(|it| it == "^C")
        });
        let shown = session.run("echo $?");
        assert_eq!(shown, "130", "{line}");
    }
    assert_eq!(session.run("ps").lines().count(), 2);
}

#[mayfly::test]
fn what_is_typed_and_not_read_holds_nothing_up() {
    let mut session = Session::new();
    // One that keys are for, and that reads none: they wait outside the machine.
    session.types("shell -c 'echo raw > /dev/tty/ctl; echo deaf; patchwork-spin'\r");
    session.row("deaf");
    session
        .types("nobody reads this\r".repeat(60_000))
        .types("\x1d");
    session.text("q quit");
    session.types("q");
    assert_eq!(session.status(), 0);
}

#[mayfly::test]
fn ctrl_c_gives_the_whole_line_up() {
    let mut session = Session::new();
    for line in [
        "patchwork-spin; echo rest",
        "patchwork-spin || echo rest; echo rest",
        "patchwork-spin | echo first; echo rest",
        "time patchwork-spin; echo rest",
        "patchwork-spin & wait; echo rest",
    ] {
        session.types("\x0c").types(line).types("\r");
        session.row(&format!("guest> {line}"));
        session.types("\x03");
        let rows = session.until("the prompt after it", |rows, (row, _)| {
            let at = usize::from(row);
            rows[at] == "guest>" && rows[..at].iter().any(|it| it.ends_with("^C"))
        });
        assert!(!rows.iter().any(|it| it == "rest"), "{line}: {rows:?}");
        assert_eq!(session.run("echo $?; jobs"), "130", "{line}");
    }
    assert_eq!(session.run("ps").lines().count(), 2);
}

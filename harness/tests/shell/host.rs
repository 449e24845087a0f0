//! The menu, machines, logs, and the terminal afterwards.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pty::{Session, on_qemu};

const MENU: &str = "\x1d";

#[mayfly::test]
fn the_menu_leaves_and_the_terminal_is_as_it_was() {
    let mut session = Session::new();
    assert!(!session.is_restored());
    session.types("half a line");
    session.row("guest> half a line");
    session.types(MENU);
    session.text("q quit");
    session.types("q");
    assert_eq!(session.status(), 0);
    session.until("the line, and nothing below it", |rows, (row, column)| {
        let before = usize::from(row)
            .checked_sub(1)
            .map(|row| rows[row].as_str());
        before == Some("guest> half a line") && rows[usize::from(row)].is_empty() && column == 0
    });
    assert!(session.is_restored());
    assert!(
        session.everything().contains("Ctrl-]"),
        "it is told at the beginning"
    );
}

/// The menu is gone, and `echo kept` below it is as it was typed; it runs.
fn runs_as_it_was(session: &mut Session) {
    session.until("the line as it was", |rows, (row, column)| {
        rows[usize::from(row)] == "guest> echo kept"
            && column == 16
            && !rows.iter().any(|it| it.contains("q quit"))
    });
    session.types("\r");
    session.row("kept");
}

#[mayfly::test]
fn the_menu_closes_without_a_trace_and_sends_its_own_key() {
    let mut session = Session::new();
    session.types("echo kept").types(MENU);
    session.text("q quit");
    session.types("\x1b");
    runs_as_it_was(&mut session);
    session.prompt();
    session.types("cat\r");
    session.row("guest> cat");
    session.types(MENU).types(MENU);
    session.row("^]");
    session.types("\x03");
    session.prompt();
}

#[mayfly::test]
fn a_key_that_the_menu_does_not_know_is_not_typed_and_leaves_it_open() {
    let mut session = Session::new();
    session.types("echo kept").types(MENU);
    session.text("q quit");
    for key in ["?", "\x1b[A", "\x1b[1;5C", "\x1bOP", "x"] {
        session.types(key);
        session.until("the menu, once", |rows, (row, _)| {
            let open = rows.iter().filter(|it| it.contains("q quit")).count() == 1;
            open && rows[usize::from(row)].contains("q quit")
        });
    }
    session.types("\x03");
    runs_as_it_was(&mut session);
    assert_eq!(session.everything().matches("\x07\r\x1b[2K").count(), 5);
}

#[mayfly::test]
fn the_shells_own_status_is_the_commands() {
    let mut session = Session::new();
    session.types("exit 7\r");
    assert_eq!(session.status(), 7);
    assert!(session.is_restored());
    let mut session = Session::new();
    session.run("patchwork-exit 3");
    session.types("\x04");
    assert_eq!(session.status(), 3);
}

#[mayfly::test]
fn a_fork_is_a_second_prompt_at_the_same_instant() {
    let mut session = Session::new();
    session.run("env PLACE=before");
    session.types(MENU).types("f");
    if on_qemu() {
        session.text("only the KVM back end can");
        session.row("  try: `mayfly shell --backend kvm`");
        session.prompt();
        return;
    }
    session.row("guest/2>");
    assert_eq!(session.run("env PLACE=second; echo $PLACE"), "second");
    session.types(MENU).types("n");
    session.row("guest>");
    assert_eq!(session.run("echo $PLACE"), "before");
    session.types(MENU).types("n");
    session.row("guest/2>");
    assert_eq!(session.run("echo $PLACE"), "second");
}

#[mayfly::test]
fn a_fork_counts_instructions_as_the_first_machine_does() {
    if on_qemu() {
        return eprintln!("n/a: QEMU's machines have no siblings, and count nothing");
    }
    let mut session = Session::with(&["--meter"], 80, 24);
    let counted = |session: &mut Session| {
        session
            .run("time patchwork-exit")
            .contains(" kernel instructions ")
    };
    assert!(counted(&mut session));
    session.types(MENU).types("f");
    session.row("guest/2>");
    assert!(counted(&mut session));
    session.types(MENU).types("n");
    session.row("guest>");
    assert!(counted(&mut session));
}

#[mayfly::test]
fn whoever_leaves_one_machine_is_in_another() {
    if on_qemu() {
        return eprintln!("n/a: QEMU's machines have no siblings");
    }
    let mut session = Session::new();
    session.run("env PLACE=first");
    session.types(MENU).types("f");
    session.row("guest/2>");
    session.types(MENU).types("f");
    session.row("guest/3>");
    session.types("exit 5\r");
    session.row("machine 3 ended: status 5");
    session.row("guest/2>");
    assert_eq!(session.run("echo $PLACE"), "first");
    session.run("patchwork-exit 6");
    session.types("\x04");
    session.row("machine 2 ended: status 6");
    session.prompt();
    assert_eq!(session.run("env PLACE=last; echo $PLACE"), "last");
    session.types(MENU).types("n");
    session.text("there is one machine only");
    session.types("exit 7\r");
    assert_eq!(session.status(), 7);
    assert!(session.is_restored());
}

#[mayfly::test]
fn a_snapshot_is_gone_back_to_more_than_once() {
    let mut session = Session::new();
    session.run("echo 1 > /tmp/file");
    session.types(MENU).types("s");
    if on_qemu() {
        session.text("only the KVM back end can");
        session.prompt();
        assert_eq!(session.run("cat /tmp/file"), "1");
        return;
    }
    session.text("snapshot taken");
    for _ in 0..2 {
        session.run("echo 2 > /tmp/file");
        assert_eq!(session.run("cat /tmp/file"), "2");
        session.types(MENU).types("b");
        session.text("back at the snapshot");
        session.prompt();
        assert_eq!(session.run("cat /tmp/file"), "1");
    }
}

#[mayfly::test]
fn a_signal_puts_the_terminal_back_and_is_the_status() {
    for (signal, status) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGINT, 130),
    ] {
        let mut session = Session::new();
        kill(pid(&session), signal).expect("it lives");
        assert_eq!(session.status(), status);
        assert!(session.is_restored(), "{signal}");
    }
}

#[mayfly::test]
fn a_kill_cannot_be_noticed_and_the_terminal_is_put_back_all_the_same() {
    let mut session = Session::new();
    let own = pid(&session);
    let beside = children(own);
    kill(own, Signal::SIGKILL).expect("it lives");
    session.status();
    // The one that stands by ends when it has done that.
    for pid in beside {
        while std::path::Path::new(&format!("/proc/{pid}/stat")).exists() && !is_zombie(pid) {
            std::thread::yield_now();
        }
    }
    assert!(session.is_restored());
}

#[mayfly::test]
fn the_death_of_the_machine_is_reported_on_a_terminal_in_order() {
    if !on_qemu() {
        return eprintln!("n/a: on KVM the machine is a part of the tool's process");
    }
    let mut session = Session::new();
    let qemu = children(pid(&session)).into_iter().find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it.starts_with("qemu"))
    });
    kill(Pid::from_raw(qemu.expect("a QEMU")), Signal::SIGKILL).expect("it lives");
    assert_eq!(session.status(), 125);
    assert!(session.is_restored());
    session.text("QEMU ended");
}

#[mayfly::test]
fn the_serial_line_does_as_well() {
    let mut session = Session::with(&["--serial"], 80, 24);
    assert_eq!(session.run("echo over COM1 | cat"), "over COM1");
    session.types("patchwork-spin\r");
    session.row("guest> patchwork-spin");
    session.types("\x03");
    session.row("^C");
    session.prompt();
}

#[mayfly::test]
fn the_log_has_lines_with_times_and_no_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let mut session = Session::with(&["--log", file.to_str().expect("UTF-8")], 80, 24);
    session.types("echo typx\x7fed\x01\x05");
    session.types("\r");
    session.row("typed");
    session.prompt();
    session.types("\x04");
    assert_eq!(session.status(), 0);
    let log = fs::read_to_string(&file).expect("it is there");
    let lines: Vec<&str> = log
        .lines()
        .map(|it| it.split_once("] ").expect("a time").1)
        .collect();
    assert!(
        lines
            .windows(2)
            .any(|it| it == ["guest> echo typed", "typed"]),
        "{log}"
    );
    assert!(!log.contains('\x1b'), "{log}");
    let kept = fs::read_to_string(session.path("history")).expect("it is there");
    assert_eq!(kept, "echo typed\n");
}

#[mayfly::test]
fn a_log_that_cannot_be_written_is_the_status() {
    let mut session = Session::with(&["--log", "/dev/full"], 80, 24);
    assert_eq!(session.run("echo one"), "one");
    session.types("exit 3\r");
    assert_eq!(session.status(), 125);
    assert!(session.is_restored());
    session.text("the log /dev/full is not complete");
    session.text("why: No space left on device");
}

#[mayfly::test]
fn what_is_said_above_the_prompt_and_beside_it_is_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let mut session = Session::with(&["--log", file.to_str().expect("UTF-8")], 80, 24);
    // The others first, so that a prompt stands by then.
    let others = "patchwork-exit; ".repeat(4);
    session.types(format!("shell -c '{others}patchwork-fault read 0x10' &\r"));
    session.text("about to fault");
    session.text("patchwork-fault ended: page fault");
    session.types("echo never \x15");
    session.prompt();
    session.types("\x04");
    session.status();
    let log = fs::read_to_string(&file).expect("it is there");
    assert!(log.contains("] about to fault\n"), "{log}");
    assert!(log.contains("patchwork-fault ended: page fault"), "{log}");
    assert!(
        !log.contains("never") && !log.contains("] guest> \n"),
        "{log}"
    );
}

#[mayfly::test]
fn lines_of_the_kernels_log_stand_above_the_prompt() {
    let mut session = Session::new();
    // They go on while the line below is typed.
    let notes = "echo ahoy > /proc/self/note; ".repeat(3);
    let job = format!("shell -c '{notes}' & ");
    session.types(job.repeat(3)).types("\r");
    session.types("echo typed meanwhile");
    session.until(
        "all of them, and the line below whole",
        |rows, (row, column)| {
            let at = usize::from(row);
            let (above, line) = (&rows[..at], &rows[at]);
            let told = |it: &&String| {
                it.starts_with("kernel: note to process ") && it.ends_with(": ahoy?")
            };
            above.iter().filter(told).count() == 9
                && line == "guest> echo typed meanwhile"
                && usize::from(column) == line.len()
        },
    );
    session.types("\r");
    session.row("typed meanwhile");
}

#[mayfly::test]
fn a_machine_that_takes_its_time_is_waited_for_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let held = folder.path().join("held");
    nix::unistd::mkfifo(&held, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let find = std::process::Command::new("sh")
        .args(["-c", "command -v qemu-system-x86_64"])
        .output();
    let qemu = String::from_utf8(find.expect("sh is there").stdout).expect("UTF-8");
    // A QEMU that does not begin until somebody lets it.
    let script = format!(
        "#!/bin/sh\nread word < '{}'\nexec {} \"$@\"\n",
        held.display(),
        qemu.trim()
    );
    let slow = folder.path().join("qemu-system-x86_64");
    fs::write(&slow, script).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&slow, mode).expect("ours");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", folder.path().display());
    let mut session = Session::not_yet(&["--backend", "qemu"], &[("PATH", &path)]);
    session.text("booting, 1 s");
    fs::write(&held, "go\n").expect("it is read");
    session.prompt();
    session.until("nothing of it", |rows, _| {
        !rows.iter().any(|row| row.contains("booting"))
    });
}

fn pid(session: &Session) -> Pid {
    let id = session.child.process_id().expect("it has one");
    Pid::from_raw(i32::try_from(id).expect("a process id"))
}

fn children(of: Pid) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{of}/task"))
        .into_iter()
        .flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter_map(|it| it.parse().ok())
        .collect()
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with('Z'))
}

#[mayfly::test]
fn a_program_cannot_write_what_was_never_typed_into_the_history() {
    let mut session = Session::new();
    session.types("cat > /tmp/forged\r");
    session.types("\x1b]7077;run;forged\x07shown\r");
    session.text("shown");
    session.types("\x04");
    session.prompt();
    assert_eq!(session.run("cat /tmp/forged"), "shown");
    session.run("echo typed");
    let lines = fs::read_to_string(session.path("history")).expect("a history");
    assert_eq!(lines, "cat > /tmp/forged\ncat /tmp/forged\necho typed\n");
}

//! Sessions that begin at a prompt that an earlier one has left on disk.
//!
//! Nobody may see that: whatever differs from session to session is this one's.
//! Neighbour: `tests/cache.rs` has what may be wrong with a folder of snapshots.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use mayfly::terminal::Line;
use mayfly::{Vm, VmOptions};
use tempfile::TempDir;

use crate::pty::{CACHE, Session};

const WORDS: &str = "machine copied at its prompt";

fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().expect("a folder"))
}

/// The snapshots of machines that have booted, and of those at a prompt.
fn kept(folder: &Path) -> [Vec<PathBuf>; 2] {
    let entries = fs::read_dir(folder.join(CACHE)).expect("a cache was made");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let snapshots = paths.filter(|path| path.extension().is_some_and(|it| it == "snapshot"));
    let (prompts, booted) = snapshots.partition(|path| {
        let bytes = fs::read(path).expect("it can be read");
        let line = b"\nprompt=\"shell\"\n";
        bytes.windows(line.len()).any(|part| part == line)
    });
    [booted, prompts]
}

#[mayfly::test]
fn the_second_session_begins_at_the_prompt_of_the_first() {
    let folder = folder();
    drop(Session::cached(&folder, 80, 24));
    let [booted, prompts] = kept(folder.path());
    assert_eq!((booted.len(), prompts.len()), (1, 1));
    // Nothing but the prompt is needed.
    fs::remove_file(&booted[0]).expect("it is there");
    let mut session = Session::cached(&folder, 80, 24);
    session.text(WORDS);
    assert_eq!(session.run("echo $$ $?"), "2 0");
    assert_eq!(kept(folder.path()), [vec![], prompts]);
}

#[mayfly::test]
fn a_damaged_prompt_is_made_anew() {
    let folder = folder();
    drop(Session::cached(&folder, 80, 24));
    let [_, prompts] = kept(folder.path());
    let mut bytes = fs::read(&prompts[0]).expect("it can be read");
    bytes[0x20_0000] ^= 1;
    fs::write(&prompts[0], bytes).expect("it can be written");
    let mut session = Session::cached(&folder, 80, 24);
    assert_eq!(session.run("echo well"), "well");
    assert!(session.everything().contains("is made anew"));
    let mut session = Session::cached(&folder, 80, 24);
    assert_eq!(session.run("echo well"), "well");
    assert!(!session.everything().contains("made anew"));
}

#[mayfly::test]
fn lines_of_the_session_before_are_there() {
    let folder = folder();
    let mut session = Session::cached(&folder, 80, 24);
    session.run("echo first");
    drop(session);
    let mut session = Session::cached(&folder, 80, 24);
    session.text(WORDS);
    session.types("\x1b[A");
    session.row("guest> echo first");
    session.types("\x15").types("echo second\r");
    session.row("second");
    drop(session);
    let mut session = Session::cached(&folder, 80, 24);
    session.types("\x12fir");
    session.text("fir: echo first");
    session.types("\x07\x1b[A");
    session.row("guest> echo second");
}

#[mayfly::test]
fn a_window_of_another_size_is_drawn_right() {
    let folder = folder();
    drop(Session::cached(&folder, 80, 24));
    for columns in [20, 10, 100] {
        let mut session = Session::cached(&folder, columns, 24);
        let line = "echo one two three four five";
        session.types(line);
        let whole = format!("guest> {line}");
        let wrapped: Vec<&[u8]> = whole.as_bytes().chunks(columns.into()).collect();
        session.until("the line in its rows", |rows, _| {
            let first = rows.iter().position(|row| row.starts_with("guest"));
            let rows = &rows[first.unwrap_or(0)..];
            let pairs = rows.iter().zip(&wrapped);
            let mut same = pairs.map(|(row, part)| row.as_bytes() == part.trim_ascii_end());
            same.len() == wrapped.len() && same.all(|it| it)
        });
    }
}

#[mayfly::test]
fn sessions_that_begin_together_know_nothing_of_each_other() {
    let folder = folder();
    thread::scope(|scope| {
        for word in ["one", "two", "three"] {
            let folder = &folder;
            scope.spawn(move || {
                let mut session = Session::cached(folder, 80, 24);
                session.run(&format!("echo {word} > /tmp/word"));
                assert_eq!(
                    session.run("cat /tmp/word; ls /tmp"),
                    format!("{word}\nword")
                );
            });
        }
    });
    let [booted, prompts] = kept(folder.path());
    assert_eq!((booted.len(), prompts.len()), (1, 1));
}

#[mayfly::test]
fn a_program_without_a_prompt_is_not_waited_for() -> mayfly::Result {
    // One that ends, and one that waits for keys.
    for program in ["patchwork-hello", "veridian-copy"] {
        let options = VmOptions {
            setup_timeout: Duration::from_secs(24 * 3600),
            ..VmOptions::default()
        };
        let (vm, mut terminal) = Vm::at_prompt(options, Line::Console, program)?;
        assert!(!vm.is_from_prompt());
        if program == "patchwork-hello" {
            while terminal.turn(Duration::from_secs(60))?.ended.is_none() {}
        } else {
            assert!(terminal.turn(Duration::from_millis(50))?.ended.is_none());
        }
    }
    Ok(())
}

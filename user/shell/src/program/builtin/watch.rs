//! Commands that watch others: what they cost, and what they call.

use alloc::format;
use alloc::string::String;

use mayfly_user::patchwork;
use mayfly_wire::terminal::Message;

use super::{find, usage};
use crate::program::job::Child;
use crate::program::out::complain;
use crate::program::run::{Failed, Streams, program};
use crate::program::shell::Shell;

pub(super) fn time(shell: &mut Shell, words: &[String]) -> i32 {
    let Some(name) = words.first() else {
        return usage("time", "time COMMAND...");
    };
    let counted = count(shell);
    let (ticks, now) = (ticks(), patchwork::uptime());
    let status = match find(name) {
        Some(builtin) => shell.run_builtin(builtin, words),
        None => match start(shell, words, false) {
            Ok(child) => shell.wait_for(&[child]),
            Err(Failed(status)) => return status,
        },
    };
    let (ticks, now) = (self::ticks() - ticks, patchwork::uptime() - now);
    let kernel = match (counted, count(shell)) {
        (Some(before), Some(after)) => format!("  {} kernel instructions", grouped(after - before)),
        _ => String::new(),
    };
    let (whole, part) = (now / 1_000_000, now / 1_000 % 1_000);
    complain(&[&format!(
        "{whole}.{part:03} ms  {} ticks{kernel}  status {status}",
        grouped(ticks)
    )]);
    status
}

/// Kernel instructions so far, if somebody counts them.
fn count(shell: &mut Shell) -> Option<u64> {
    shell.terminal.as_mut()?.ask(Message::Count)?.parse().ok()
}

pub(super) fn trace(shell: &mut Shell, words: &[String]) -> i32 {
    let Some(name) = words.first() else {
        return usage("trace", "trace COMMAND...");
    };
    if find(name).is_some() {
        complain(&[
            "trace: ",
            name,
            " is the shell's own command\n  try: trace PROGRAM",
        ]);
        return 2;
    }
    if shell.terminal.is_none() {
        complain(&["trace: only on a terminal\n  try: mayfly trace PROGRAM"]);
        return 2;
    }
    let child = match start(shell, words, true) {
        Ok(child) => child,
        Err(Failed(status)) => return status,
    };
    let id = child.id;
    let mut ask = |message| shell.terminal.as_mut().and_then(|it| it.ask(message));
    let traced = ask(Message::Trace(id)).as_deref() == Some("ok");
    if !traced {
        complain(&["trace: the host does not show calls"]);
    }
    if child.go().is_err() {
        complain(&["trace: cannot let ", name, " run"]);
    }
    let status = shell.wait_for(&[child]);
    if traced && let Some(terminal) = &mut shell.terminal {
        // Its last calls are shown before the next prompt.
        let _shown = terminal.ask(Message::Traced(id));
    }
    status
}

fn start(shell: &Shell, words: &[String], suspended: bool) -> Result<Child, Failed> {
    let path = program(&words[0])?;
    shell.start(path, words, suspended, &Streams::default())
}

fn ticks() -> u64 {
    // SAFETY: reads a counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = format!("{number}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

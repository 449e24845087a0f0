//! Commands that watch others: what they cost, and what they call.

use alloc::format;
use alloc::string::String;

use mayfly_abi::patchwork::Errno;
use mayfly_user::patchwork;
use mayfly_wire::terminal::Message;

use super::{find, usage};
use crate::program::job::{self, Child, INTERRUPTED};
use crate::program::out::complain;
use crate::program::run::{Failed, Streams, program};
use crate::program::shell::Shell;
use crate::program::system::Result;

pub(super) fn time(shell: &mut Shell, words: &[String]) -> i32 {
    let Some(name) = words.first() else {
        return usage("time", "time COMMAND...");
    };
    let counted = count(shell);
    if counted == Err(Errno::EINTR) {
        return INTERRUPTED;
    }
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
        (Ok(before), Ok(after)) => format!("  {} kernel instructions", grouped(after - before)),
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
fn count(shell: &mut Shell) -> Result<u64> {
    let answer = ask(shell, Message::Count)?;
    answer.parse().map_err(|_| Errno::ENOSYS)
}

/// Asks the host.
fn ask(shell: &mut Shell, message: Message<'_>) -> Result<String> {
    let terminal = shell.terminal.as_mut().ok_or(Errno::ENOSYS)?;
    let answer = terminal.ask(message);
    shell.interrupted |= answer == Err(Errno::EINTR);
    answer
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
    let answer = ask(shell, Message::Trace(id));
    if answer == Err(Errno::EINTR) && job::order(id, "kill").is_ok() {
        return INTERRUPTED;
    }
    let traced = answer.as_deref() == Ok("ok");
    if !traced {
        complain(&["trace: the host does not show calls"]);
    }
    if child.go().is_err() {
        complain(&["trace: cannot let ", name, " run"]);
    }
    let status = shell.wait_for(&[child]);
    if traced {
        // Its last calls are shown before the next prompt.
        let _shown = ask(shell, Message::Traced(id));
    }
    status
}

fn start(shell: &Shell, words: &[String], suspended: bool) -> core::result::Result<Child, Failed> {
    let path = program(words)?;
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

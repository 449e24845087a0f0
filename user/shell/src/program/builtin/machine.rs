//! Commands about the machine and its processes.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

use mayfly_abi::patchwork::Errno;

use super::usage;
use crate::program::explain::describe;
use crate::program::job;
use crate::program::out::{Out, complain};
use crate::program::run::is_name;
use crate::program::shell::Shell;
use crate::program::system;
use crate::program::world::ENVIRONMENT;

/// KiB of a page.
const PAGE_KIB: u64 = 4;
/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

pub(super) fn env(_: &mut Shell, words: &[String]) -> i32 {
    let mut out = Out::default();
    let mut status = 0;
    if words.is_empty() {
        let mut names = system::list(ENVIRONMENT).unwrap_or_default();
        names.sort();
        for (name, _) in names {
            match system::text_of(&format!("{ENVIRONMENT}/{name}")) {
                Ok(value) => drop(writeln!(out, "{name}={value}")),
                Err(errno) => {
                    complain(&["env: ", &name, ": ", describe(errno)]);
                    status = 1;
                }
            }
        }
        return status;
    }
    for word in words {
        let name = word.split('=').next().unwrap_or(word);
        if !is_name(name) {
            let why = ": a name has letters, digits and _\n  try: env NAME=VALUE";
            complain(&["env: ", word, why]);
            return 2;
        }
        let done = match word.split_once('=') {
            Some((name, value)) => {
                let file = format!("{ENVIRONMENT}/{name}:rwct");
                system::write_to(&file, value.as_bytes())
            }
            None => system::text_of(&format!("{ENVIRONMENT}/{word}")).map(|value| {
                let _ = writeln!(out, "{value}");
            }),
        };
        if let Err(errno) = done {
            match errno {
                Errno::ENOENT => {
                    complain(&[
                        "env: ",
                        word,
                        ": it is not set\n  try: env ",
                        word,
                        "=VALUE",
                    ]);
                }
                Errno::EFBIG => {
                    let advice = ["\n  try: cat ", ENVIRONMENT, "/", word].concat();
                    complain(&["env: ", word, ": ", describe(errno), &advice]);
                }
                errno => complain(&["env: ", word, ": ", describe(errno)]),
            }
            status = 1;
        }
    }
    status
}

pub(super) fn ps(_: &mut Shell, _: &[String]) -> i32 {
    let mut out = Out::default();
    let _ = writeln!(
        out,
        "{:>5} {:>8} {:>7} {:>10}  COMMAND",
        "PID", "MEMORY", "THREADS", "TIME"
    );
    let mut ids: Vec<u64> = match system::list("/proc") {
        Ok(names) => names
            .iter()
            .filter_map(|(name, _)| name.parse().ok())
            .collect(),
        Err(errno) => {
            complain(&["ps: ", describe(errno)]);
            return 1;
        }
    };
    ids.sort_unstable();
    for id in ids {
        // The kernel has no files, and others may have ended meanwhile.
        let Ok(line) = system::text_of(&format!("/proc/{id}/cmdline")) else {
            continue;
        };
        let usage = system::text_of(&format!("/proc/{id}/perf")).unwrap_or_default();
        let fact = |name: &str| {
            let of = |line: &str| line.strip_prefix(name)?.trim().parse::<u64>().ok();
            usage.lines().find_map(of).unwrap_or(0)
        };
        let time = fact("user_clocks") + fact("kernel_clocks");
        let _ = writeln!(
            out,
            "{id:>5} {:>4} KiB {:>7} {:>7} ms  {}",
            fact("user_pages") * PAGE_KIB,
            fact("thread_count"),
            time / MILLISECOND,
            line.trim_end_matches('\0').replace('\0', " "),
        );
    }
    0
}

pub(super) fn kill(_: &mut Shell, words: &[String]) -> i32 {
    let ids: Option<Vec<u64>> = words.iter().map(|word| word.parse().ok()).collect();
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
        return usage("kill", "kill PROCESS...   (`ps` shows their numbers)");
    };
    let mut status = 0;
    for id in ids {
        if let Err(errno) = job::order(id, "kill") {
            let why = match describe(errno) {
                "no such file or directory" => "no such process",
                why => why,
            };
            complain(&["kill: ", &id.to_string(), ": ", why]);
            status = 1;
        }
    }
    status
}

pub(super) fn jobs(shell: &mut Shell, _: &[String]) -> i32 {
    let mut out = Out::default();
    for job in &shell.jobs {
        let state = if job.has_ended() { "ended" } else { "runs" };
        let _ = writeln!(out, "[{}] {state}: {}", job.number, job.text);
    }
    0
}

pub(super) fn wait(shell: &mut Shell, _: &[String]) -> i32 {
    let mut status = 0;
    for job in core::mem::take(&mut shell.jobs) {
        match shell.interrupted {
            true => shell.jobs.push(job),
            false => status = shell.wait_for(&job.children),
        }
    }
    status
}

pub(super) fn mem(_: &mut Shell, _: &[String]) -> i32 {
    let text = match system::text_of("/dev/perf/mem") {
        Ok(text) => text,
        Err(errno) => {
            complain(&["mem: ", describe(errno)]);
            return 1;
        }
    };
    let mut out = Out::default();
    for line in text.lines() {
        let (name, pages) = line.split_once(' ').unwrap_or((line, "0"));
        let pages: u64 = pages.parse().unwrap_or(0);
        let name = name.trim_end_matches("_pages");
        let _ = writeln!(
            out,
            "{name:<6} {:>8} KiB {pages:>8} pages",
            pages * PAGE_KIB
        );
    }
    0
}

pub(super) fn caps(_: &mut Shell, _: &[String]) -> i32 {
    match system::text_of("/dev/perf/caps") {
        Ok(text) => {
            let _ = writeln!(Out::default(), "{text}");
            0
        }
        Err(errno) => {
            complain(&["caps: ", describe(errno)]);
            1
        }
    }
}

pub(super) fn history(shell: &mut Shell, _: &[String]) -> i32 {
    let mut out = Out::default();
    if let Some(terminal) = &mut shell.terminal {
        terminal.remember();
        for (number, line) in (1..).zip(terminal.history.lines()) {
            let _ = writeln!(out, "{number:>5}  {line}");
        }
    }
    0
}

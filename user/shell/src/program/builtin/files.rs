//! Commands about files.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use mayfly_abi::patchwork::Errno;
use mayfly_shell::screen::table;

use super::usage;
use crate::program::explain::{about, describe};
use crate::program::out::{self, Out, complain};
use crate::program::shell::Shell;
use crate::program::system::{self, CHUNK, File};

const INPUT: u64 = 0;
const OUTPUT: u64 = 1;

/// Says why a file was no good; the status for it.
fn failed(name: &str, file: &str, errno: Errno) -> i32 {
    complain(&[name, ": ", &about(file, errno)]);
    1
}

pub(super) fn ls(shell: &mut Shell, words: &[String]) -> i32 {
    let form = Form {
        is_long: words.iter().any(|it| it == "-l"),
        // In columns only where somebody looks.
        columns: match &shell.terminal {
            Some(terminal) if system::ready(OUTPUT, 2).is_ok() => Some(terminal.columns),
            _ => None,
        },
    };
    let mut paths: Vec<&str> = words
        .iter()
        .filter(|it| *it != "-l")
        .map(|it| &it[..])
        .collect();
    if paths.is_empty() {
        paths.push(".");
    }
    let is_file = |path: &&str| system::stat(path).is_ok_and(|stat| !stat.is_directory());
    let (files, directories): (Vec<&str>, Vec<&str>) = paths.iter().partition(|it| is_file(it));
    let mut out = Out::default();
    let mut status = 0;
    let files: Vec<_> = files.into_iter().map(|it| (it.into(), false)).collect();
    let mut is_first = files.is_empty();
    form.show("", files, &mut out);
    for path in directories {
        let names = match system::list(path) {
            Ok(names) => names,
            Err(errno) => {
                status = failed("ls", path, errno);
                continue;
            }
        };
        if paths.len() > 1 {
            let gap = if is_first { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{path}:");
        }
        is_first = false;
        form.show(path, names, &mut out);
    }
    status
}

/// How names are shown.
struct Form {
    /// With sizes, one a line.
    is_long: bool,
    /// In columns, on a terminal of so many.
    columns: Option<usize>,
}

impl Form {
    /// Shows names of a directory, or paths.
    fn show(&self, directory: &str, mut names: Vec<(String, bool)>, out: &mut Out) {
        names.sort();
        let shown = |(name, is_directory): &(String, bool)| match is_directory {
            true => format!("{name}/"),
            false => name.clone(),
        };
        let all: Vec<String> = names.iter().map(shown).collect();
        if self.is_long {
            for ((name, _), shown) in names.iter().zip(&all) {
                let stat = match directory {
                    "" => system::stat(name),
                    path => system::stat(&format!("{path}/{name}")),
                };
                let size = stat.map_or(0, |stat| stat.size());
                let _ = writeln!(out, "{size:>10}  {shown}");
            }
            return;
        }
        match self.columns {
            Some(columns) if !all.is_empty() => {
                let all: Vec<&str> = all.iter().map(|it| &it[..]).collect();
                let _ = out.write_str(&table(&all, columns).replace('\r', ""));
            }
            _ => {
                for name in &all {
                    let _ = writeln!(out, "{name}");
                }
            }
        }
    }
}

pub(super) fn cat(_: &mut Shell, words: &[String]) -> i32 {
    if words.is_empty() {
        return copy(INPUT).map_or_else(
            |errno| {
                complain(&["cat: standard input: ", describe(errno)]);
                1
            },
            |()| 0,
        );
    }
    let mut status = 0;
    for word in words {
        let done = File::open(word).and_then(|file| copy(file.fd()));
        status = done.map_or_else(|errno| failed("cat", word, errno), |()| status);
    }
    status
}

/// Copies a file to standard output, as long as somebody takes it.
fn copy(fd: u64) -> system::Result<()> {
    let mut chunk = [0; CHUNK];
    loop {
        match system::read(fd, &mut chunk)? {
            count if count > 0 && out::write(&chunk[..count]) => {}
            _ => return Ok(()),
        }
    }
}

pub(super) fn echo(_: &mut Shell, words: &[String]) -> i32 {
    let (words, end) = match words.split_first() {
        Some((first, rest)) if first == "-n" => (rest, ""),
        _ => (words, "\n"),
    };
    let mut out = Out::default();
    let _ = out.write_str(&words.join(" "));
    let _ = out.write_str(end);
    0
}

pub(super) fn rm(_: &mut Shell, words: &[String]) -> i32 {
    if words.is_empty() {
        return usage("rm", "rm FILE...   (rm DIRECTORY:directory)");
    }
    let mut status = 0;
    for word in words {
        if let Err(errno) = system::remove(word) {
            status = failed("rm", word, errno);
        }
    }
    status
}

pub(super) fn cd(shell: &mut Shell, words: &[String]) -> i32 {
    let back = shell.left.clone();
    let to = match words {
        [] => "/",
        [to] => match (&to[..], &back) {
            ("-", Some(back)) => back,
            ("-", None) => {
                complain(&["cd: -: no directory was left before\n  try: cd [DIRECTORY]"]);
                return 1;
            }
            ("~", _) => {
                complain(&["cd: ~: there are no home directories\n  try: cd /"]);
                return 1;
            }
            (to, _) => to,
        },
        _ => return usage("cd", "cd [DIRECTORY]"),
    };
    match system::change_directory(to) {
        Ok(()) => {
            shell.moved();
            if words == ["-"] {
                return pwd(shell, &[]);
            }
            0
        }
        Err(errno) => {
            // The call says the same of what there is not.
            let errno = system::stat(to).err().unwrap_or(errno);
            failed("cd", to, errno)
        }
    }
}

pub(super) fn pwd(shell: &mut Shell, _: &[String]) -> i32 {
    let _ = writeln!(Out::default(), "{}", shell.directory());
    0
}

pub(super) fn mount(shell: &mut Shell, words: &[String]) -> i32 {
    match words {
        [] => {
            let mut out = Out::default();
            let _ = writeln!(out, "{:<20} on", "what");
            for (source, target) in &shell.binds {
                let _ = writeln!(out, "{source:<20} {target}");
            }
            0
        }
        [source, target] => {
            let opened = File::open(&format!("{source}:directory"));
            let opened = match opened {
                Err(Errno::ENOTDIR) => File::open(source),
                opened => opened,
            };
            let file = match opened {
                Ok(file) => file,
                Err(errno) => return failed("mount", source, errno),
            };
            match system::bind(&file, target) {
                Ok(()) => {
                    shell.binds.push((source.clone(), target.clone()));
                    0
                }
                Err(errno) => failed("mount", target, errno),
            }
        }
        _ => usage("mount", "mount [SOURCE TARGET]"),
    }
}

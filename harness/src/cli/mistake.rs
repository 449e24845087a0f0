//! Mistakes on the command line that have a likely meaning.
//!
//! Purpose: what the parser refuses is refused in its words; where one change
//! would have made it right, that is said as well. Neighbours: [`super::Cli`]
//! declares what is right.

use std::borrow::Cow;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Error, Parser as _};

use super::Cli;

/// The error, with what was probably meant.
pub(crate) fn explained(error: Error, words: &[OsString]) -> Error {
    let Some((wrong, meant)) = meant(&error, words) else {
        return error;
    };
    let meant: Vec<Cow<'_, str>> = meant.iter().map(|word| quoted(word)).collect();
    let message = format!(
        "unexpected argument '{wrong}' found\n  try: {}",
        meant.join(" ")
    );
    let mut command = Cli::command();
    command.build();
    let of = |name: &&OsString| command.find_subcommand(name).is_some();
    let name = words.iter().find(of).cloned().unwrap_or_default();
    match command.find_subcommand_mut(name) {
        Some(command) => command.error(ErrorKind::UnknownArgument, message),
        None => error,
    }
}

/// The word that is too many, and the command line on which it is the program's.
fn meant(error: &Error, words: &[OsString]) -> Option<(String, Vec<OsString>)> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let ContextValue::String(wrong) = error.get(ContextKind::InvalidArg)? else {
        return None;
    };
    // For an option there are better guesses.
    if wrong.starts_with('-') {
        return None;
    }
    let same = words
        .iter()
        .enumerate()
        .filter(|(_, word)| *word == wrong.as_str());
    let with_separator = same.map(|(at, _)| {
        let mut words = words.to_vec();
        words[0] = "mayfly".into();
        words.insert(at, "--".into());
        words
    });
    let mut right = with_separator.filter(|words| Cli::try_parse_from(words).is_ok());
    Some((wrong.clone(), right.next()?))
}

/// A word as a shell takes it for one.
fn quoted(word: &OsString) -> Cow<'_, str> {
    let word = word.to_string_lossy();
    let plain = |it: char| it.is_alphanumeric() || "-_./=:,+@%".contains(it);
    match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &[&str]) -> String {
        let words: Vec<OsString> = line.iter().map(|word| word.into()).collect();
        let error = Cli::try_parse_from(&words).expect_err("it is wrong");
        explained(error, &words).to_string()
    }

    #[test]
    fn a_programs_arguments_need_a_separator() {
        for (line, right) in [
            (
                &["/bin/mayfly", "run", "a", "one", "-x"][..],
                Some("mayfly run a -- one -x"),
            ),
            (&["m", "run", "a", "one"], Some("mayfly run a -- one")),
            (
                &["m", "-v", "trace", "a", "a", "b c"],
                Some("mayfly -v trace a -- a 'b c'"),
            ),
            (&["m", "coverage", "veridian", "more"], None),
            (&["m", "run", "a", "--tracee"], None),
        ] {
            let told = told(line);
            let found = told.lines().find_map(|line| line.strip_prefix("  try: "));
            assert_eq!(found, right, "{told}");
            assert!(told.contains("Usage: "), "{told}");
        }
    }
}

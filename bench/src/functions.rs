//! Which functions instructions were in, and which of them grew.
//!
//! Purpose: the count of a benchmark by function, kept beside the baseline as
//! text, so that a change is told with the function, its file and its line.
//! Lines move with every edit and are not kept. Neighbours: `baseline`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::lab::Function;

/// Instructions by function: its name and its file.
pub type Profile = BTreeMap<(String, String), u64>;

/// A function whose share changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Instructions that it has more (or fewer, if negative).
    pub by: i64,
    /// The function; its line is that of now, 0 if it is gone.
    pub function: Function,
}

/// `  +12  name  file:line`.
impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = &self.function;
        write!(f, "{:>+6}  {}", self.by, it.name)?;
        match (it.file.as_str(), it.line) {
            ("", _) => Ok(()),
            (file, 0) => write!(f, "  {file} (gone)"),
            (file, line) => write!(f, "  {file}:{line}"),
        }
    }
}

const HEADER: &str = "\
# Kernel instructions by function, inlined ones told apart; blessing them writes this file.
";
/// What stands for the file of a function that has no line table.
const NO_FILE: &str = "-";

/// The profile of a benchmark.
pub fn profile(functions: &[(Function, u64)]) -> Profile {
    let mut profile = Profile::new();
    for (function, count) in functions {
        let key = (function.name.clone(), function.file.clone());
        *profile.entry(key).or_default() += count;
    }
    profile
}

/// Functions whose share changed, the largest change first.
pub fn growth(before: &Profile, after: &[(Function, u64)]) -> Vec<Growth> {
    let now = profile(after);
    let names = before.keys().chain(now.keys());
    let mut changed: BTreeMap<&(String, String), i64> = BTreeMap::new();
    for key in names {
        let count = |of: &Profile| i64::try_from(of.get(key).copied().unwrap_or(0)).unwrap_or(0);
        changed.insert(key, count(&now) - count(before));
    }
    let mut grew: Vec<Growth> = changed
        .into_iter()
        .filter(|(_, by)| *by != 0)
        .map(|((name, file), by)| {
            let known = after
                .iter()
                .find(|(it, _)| it.name == *name && it.file == *file);
            Growth {
                by,
                function: Function {
                    name: name.clone(),
                    file: file.clone(),
                    line: known.map_or(0, |(it, _)| it.line),
                },
            }
        })
        .collect();
    grew.sort_by_key(|it| std::cmp::Reverse(it.by.abs()));
    grew
}

/// Profiles as text.
pub fn write<'a>(profiles: impl Iterator<Item = (&'a String, &'a Profile)>) -> String {
    let mut text = HEADER.to_owned();
    for (name, profile) in profiles {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name}");
        let mut lines: Vec<_> = profile.iter().collect();
        lines.sort_by(|one, other| other.1.cmp(one.1).then_with(|| one.0.cmp(other.0)));
        for ((function, file), count) in lines {
            let file = if file.is_empty() { NO_FILE } else { file };
            let _ = writeln!(text, "  {count:>6}  {file}  {function}");
        }
    }
    text
}

/// Profiles of text.
///
/// # Errors
/// The line, from 1, and what is wrong with it.
pub fn read(text: &str, profiles: &mut BTreeMap<String, Profile>) -> Result<(), (usize, String)> {
    let mut name = None;
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(entry) = line.strip_prefix("  ") else {
            name = Some(line.to_owned());
            profiles.insert(line.into(), Profile::new());
            continue;
        };
        let parts = || -> Option<(u64, &str, &str)> {
            let (count, rest) = entry.trim_start().split_once("  ")?;
            let (file, function) = rest.split_once("  ")?;
            Some((count.parse().ok()?, file, function))
        };
        let profile = name.as_ref().and_then(|name| profiles.get_mut(name));
        let (Some((count, file, function)), Some(profile)) = (parts(), profile) else {
            let why = "a function's line is a count, a file and a name, behind a benchmark's";
            return Err((index + 1, why.into()));
        };
        let file = if file == NO_FILE { "" } else { file };
        profile.insert((function.into(), file.into()), count);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_gives_what_was_written() {
        let function = |name: &str, file: &str| (name.to_owned(), file.to_owned());
        let profile: Profile = [
            (function("<impl A for B<C>>::d", "kernel/x.rs"), 5),
            (function("user_enter", ""), 20),
        ]
        .into();
        let all: BTreeMap<String, Profile> = [("a/b".to_owned(), profile)].into();
        let text = write(all.iter());
        let mut again = BTreeMap::new();
        read(&text, &mut again).unwrap();
        assert_eq!(again, all);
        assert_eq!(read("  5  x", &mut again).unwrap_err().0, 1);
    }
}

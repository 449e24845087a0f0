//! The baseline as files of text.
//!
//! Purpose: a file for each interface, a benchmark a line, and in a folder
//! beside them the functions. They are read from a folder, or from wherever a
//! revision keeps them. Neighbour: `super` compares.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Baseline, Figures};
use crate::error::Error;
use crate::{functions, suite};

const HEADER: &str = "\
# Kernel instructions, a benchmark a line; `mayfly bench --bless` writes this file.
# body: without the stubs that calls enter and leave by, which depend on the host.
# by process: of who calls, then of the others.
";
/// Names the way by which calls enter the kernel, behind the header.
const ENTRY: &str = "# entry: ";
/// Folder of the functions, beside the figures.
const FUNCTIONS: &str = "functions";

impl Baseline {
    /// Reads the files in a folder.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Unreadable`], [`Error::Corrupt`].
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let missing = |source| Error::Missing {
            path: folder.into(),
            source,
        };
        let mut entries: Vec<_> = fs::read_dir(folder).map_err(missing)?.flatten().collect();
        // Without functions a change is found all the same, only not where.
        if let Ok(beside) = fs::read_dir(folder.join(FUNCTIONS)) {
            entries.extend(beside.flatten());
        }
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.path();
            if path.extension().is_some_and(|it| it == "txt") {
                match fs::read_to_string(&path) {
                    Ok(text) => files.push((path, text)),
                    Err(source) => return Err(Error::Unreadable { path, source }),
                }
            }
        }
        if files.is_empty() {
            return Err(missing(std::io::ErrorKind::NotFound.into()));
        }
        files.sort();
        Self::of_files(&files)
    }

    /// Reads files that are here already: what they are called, and their text.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn of_files(files: &[(PathBuf, String)]) -> Result<Self, Error> {
        let mut this = Self::default();
        for (path, text) in files {
            let corrupt = |(line, why)| Error::Corrupt {
                path: path.clone(),
                line,
                why,
            };
            let folder = path.parent().and_then(Path::file_name);
            if folder.is_some_and(|it| it == FUNCTIONS) {
                functions::read(text, &mut this.functions).map_err(corrupt)?;
                continue;
            }
            let known = this.figures.len();
            for (index, line) in text.lines().enumerate() {
                this.read(line).map_err(|why| corrupt((index + 1, why)))?;
            }
            // Without it, or with two, only bodies would be compared, silently.
            let mut entries = text.lines().filter_map(|line| line.strip_prefix(ENTRY));
            if this.figures.len() > known && entries.next() != Some(this.entry.as_str()) {
                let why = format!("there is no line of {ENTRY:?} and how calls entered the kernel");
                return Err(corrupt((1, why)));
            }
        }
        Ok(this)
    }

    fn read(&mut self, line: &str) -> Result<(), String> {
        if let Some(entry) = line.strip_prefix(ENTRY) {
            if !self.entry.is_empty() && self.entry != entry {
                let other = &self.entry;
                return Err(format!(
                    "calls entered by {entry} here, and by {other} elsewhere"
                ));
            }
            self.entry = entry.into();
        }
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let mut number = |what| -> Result<u64, String> {
            let word = words.next().ok_or(format!("{name}: {what} is missing"))?;
            word.parse()
                .map_err(|_| format!("{name}: {what} is {word:?}, which is no number"))
        };
        let (instructions, body) = (number("the count")?, number("the body")?);
        let parts = words.next().map_or(Ok(Vec::new()), |parts| {
            let parts = parts.split('+').map(str::parse);
            parts.collect::<Result<Vec<u64>, _>>()
        });
        let parts = parts.map_err(|_| format!("{name}: the parts are no numbers"))?;
        let figures = Figures {
            instructions,
            body,
            parts,
        };
        if self.figures.insert(name.into(), figures).is_some() {
            return Err(format!("{name} is there twice"));
        }
        Ok(())
    }

    /// Writes the files into a folder; those of interfaces that have no figures
    /// any more go.
    ///
    /// # Errors
    /// [`Error::Unwritten`].
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let interfaces: BTreeSet<&str> =
            self.figures.keys().map(|it| suite::interface(it)).collect();
        for path in ours(folder) {
            let interface = path.file_stem().unwrap_or_default();
            if !interfaces.iter().any(|it| *it == interface) {
                let functions = folder
                    .join(FUNCTIONS)
                    .join(path.file_name().unwrap_or_default());
                for path in [path, functions].iter().filter(|it| it.exists()) {
                    fs::remove_file(path).map_err(|source| Error::Unwritten {
                        path: path.clone(),
                        source,
                    })?;
                }
            }
        }
        for interface in interfaces {
            let own = |name: &String| suite::interface(name) == interface;
            let mut text = format!("{HEADER}{ENTRY}{}\n", self.entry);
            for (name, figures) in self.figures.iter().filter(|(name, _)| own(name)) {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{name:<36} {}", figures.line());
            }
            let functions = self.functions.iter().filter(|(name, _)| own(name));
            write(&folder.join(format!("{interface}.txt")), &text)?;
            write(
                &folder.join(FUNCTIONS).join(format!("{interface}.txt")),
                &functions::write(functions),
            )?;
        }
        Ok(())
    }
}

impl Figures {
    fn line(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(u64::to_string).collect();
        let line = format!(
            "{:>9} {:>9}  {}",
            self.instructions,
            self.body,
            parts.join("+")
        );
        line.trim_end().into()
    }
}

/// The files of a folder that were written as figures: they say so.
fn ours(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    let first = HEADER.lines().next().unwrap_or_default();
    paths.retain(|path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        path.extension().is_some_and(|it| it == "txt") && text.starts_with(first)
    });
    paths
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let unwritten = |source| Error::Unwritten {
        path: path.into(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritten)?;
    }
    fs::write(path, text).map_err(unwritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_says_where() {
        let mut baseline = Baseline::default();
        for (line, why) in [
            ("a/b", "a/b: the count is missing"),
            ("a/b 1", "a/b: the body is missing"),
            ("a/b 1 x", "a/b: the body is \"x\", which is no number"),
            ("a/b 1 1 1+x", "a/b: the parts are no numbers"),
        ] {
            assert_eq!(baseline.read(line).unwrap_err(), why);
        }
        baseline.read("a/b 1 1").unwrap();
        assert_eq!(baseline.read("a/b 1 1").unwrap_err(), "a/b is there twice");
        let error = Baseline::load(Path::new("no/such/folder")).unwrap_err();
        assert!(error.to_string().contains("--bless"), "{error}");
    }

    #[test]
    fn how_calls_entered_is_told_by_each_file_and_once() {
        let load = |files: [&str; 2]| {
            let file = |(name, text): (&str, &str)| (PathBuf::from(name), text.to_owned());
            let files = ["a.txt", "b.txt"].into_iter().zip(files).map(file);
            Baseline::of_files(&files.collect::<Vec<_>>()).map_err(|error| error.to_string())
        };
        let [one, two] = ["# entry: x\na/b 1 1\n", "# entry: x\nb/c 1 1\n"];
        assert_eq!(load([one, two]).unwrap().entry(), "x");
        let lost = load([one, "b/c 1 1\n"]).unwrap_err();
        assert!(lost.starts_with("b.txt:1: there is no line"), "{lost}");
        let other = load([one, "# entry: y\nb/c 1 1\n"]).unwrap_err();
        assert!(other.starts_with("b.txt:1: calls entered by y"), "{other}");
        // No figures, and nothing to be said of them.
        assert_eq!(load(["", two]).unwrap().entry(), "x");
    }

    #[test]
    fn an_interface_without_figures_leaves_no_file() {
        let folder = std::env::temp_dir().join(format!("mayfly-files-{}", std::process::id()));
        let of = |names: &[&str]| {
            let line = |name: &&str| format!("{name} 1 1\n");
            let text: String = names.iter().map(line).collect();
            let file = (PathBuf::from("all.txt"), format!("# entry: x\n{text}"));
            Baseline::of_files(&[file]).unwrap()
        };
        of(&["a/b", "c/d"]).save(&folder).unwrap();
        fs::write(folder.join("notes.txt"), "# Somebody's own.\n").unwrap();
        of(&["c/d"]).save(&folder).unwrap();
        let left = Baseline::load(&folder).unwrap();
        assert_eq!(left.instructions("a/b"), None);
        assert_eq!(left.instructions("c/d"), Some(1));
        assert!(!folder.join("functions/a.txt").exists());
        assert!(folder.join("notes.txt").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn files_of_a_revision_need_no_folder() {
        let file = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
        let figures = file(
            "rev:bench/baseline/veridian.txt",
            "# entry: x\nveridian/a 64 50\n",
        );
        let profile = file(
            "rev:bench/baseline/functions/veridian.txt",
            "veridian/a\n  64  f.rs  f\n",
        );
        let baseline = Baseline::of_files(&[figures, profile]).unwrap();
        assert_eq!(baseline.instructions("veridian/a"), Some(64));
        assert_eq!((baseline.entry(), baseline.functions.len()), ("x", 1));
        let error = Baseline::of_files(&[file("rev:b/x.txt", "veridian/a 1")]).unwrap_err();
        assert!(error.to_string().starts_with("rev:b/x.txt:1: "), "{error}");
    }
}

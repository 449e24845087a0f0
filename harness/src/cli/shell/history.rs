//! Lines that were entered in earlier runs.
//!
//! Purpose: a text file of this host, a line an entry, that the guest's shell
//! finds in its file tree. The guest is not trusted: a line has a limit, and no
//! control characters but the one that stands for a line's end. Sessions at the
//! same time take turns. Neighbours: the shell says what was entered.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mayfly::ExtraFile;
use mayfly_wire::terminal::LINE_END;

/// Where the guest's shell looks for them.
const IN_GUEST: &str = "/var/history";
/// Lines that a new session gets, and how long the file may grow before it is
/// cut down to those.
const LINES: usize = 500;
const BYTES_MAX: u64 = 256 << 10;
/// How often the file may have been replaced by another session meanwhile.
const TRIES: u32 = 100;

/// The file, if there is a place for one.
#[derive(Debug)]
pub(crate) struct History {
    path: Option<PathBuf>,
}

impl History {
    /// The one of this user: `MAYFLY_HISTORY`, or in the folder for state.
    pub(crate) fn find() -> Self {
        let variable = |name| {
            std::env::var_os(name)
                .filter(|it| !it.is_empty())
                .map(PathBuf::from)
        };
        let state = || {
            let home = || variable("HOME").map(|home| home.join(".local/state"));
            let state = variable("XDG_STATE_HOME").or_else(home)?;
            Some(state.join("mayfly/history"))
        };
        let path = variable("MAYFLY_HISTORY").or_else(state);
        Self { path }
    }

    /// The last lines, as a file for the guest.
    pub(crate) fn file(&self) -> Option<ExtraFile> {
        let text = read(self.path.as_deref()?)?;
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        (!last.is_empty()).then(|| ExtraFile {
            name: IN_GUEST.into(),
            bytes: (last.join("\n") + "\n").into_bytes(),
        })
    }

    /// Adds a line. That it cannot be kept spoils nobody's session.
    pub(crate) fn add(&self, line: &str) {
        let Some(path) = self.path.as_deref() else {
            return;
        };
        if line.trim().is_empty() || line.starts_with(' ') {
            return;
        }
        let clean: String = line
            .chars()
            .map(|it| match it {
                LINE_END => it,
                _ if it.is_control() => ' ',
                _ => it,
            })
            .collect();
        drop(append(path, &clean));
    }
}

/// The end of the file, from the beginning of a line on.
fn read(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let from = length.saturating_sub(BYTES_MAX);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match from {
        0 => Some(text),
        _ => Some(text.split_once('\n')?.1.into()),
    }
}

/// Appends in one write, so that sessions at the same time do not mix.
fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = locked(path)?;
    if file.metadata()?.len() > BYTES_MAX {
        cut_down(path)?;
        file = locked(path)?;
    }
    file.write_all(format!("{line}\n").as_bytes())
}

/// The file, which nobody else appends to or replaces while this one is open.
fn locked(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().create(true).append(true).open(path);
    for _ in 0..TRIES {
        let file = open()?;
        // Where files have no locks, lines are lost only when one cuts it down.
        let _locked = file.lock();
        // Whoever had it before may have put another into its place.
        let (ours, there) = (file.metadata()?, fs::metadata(path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
    // A file system whose files have other numbers each time they are asked.
    open()
}

/// Keeps the last lines only.
fn cut_down(path: &Path) -> io::Result<()> {
    let text = read(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let kept = lines[lines.len().saturating_sub(LINES)..].join("\n") + "\n";
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(kept.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/history");
        let history = History {
            path: Some(path.clone()),
        };
        assert!(history.file().is_none());
        for line in ["one", "", "  secret", "t\x1b[31mwo\x0bmore\n", "three"] {
            history.add(line);
        }
        let file = history.file().unwrap();
        assert_eq!(file.name, IN_GUEST);
        assert_eq!(file.bytes, b"one\nt [31mwo\x0bmore \nthree\n");
        for n in 0..3000 {
            history.add(&format!("{n} {}", "x".repeat(200)));
        }
        assert!(fs::metadata(&path).unwrap().len() < 2 * BYTES_MAX);
        let lines = String::from_utf8(history.file().unwrap().bytes).unwrap();
        assert!(lines.lines().last().unwrap().starts_with("2999 "));
        assert_eq!(lines.lines().count(), LINES);
    }

    #[test]
    fn sessions_that_cut_it_down_at_the_same_time_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let before = format!("{}\n", "x".repeat(600)).repeat(LINES);
        assert!(before.len() as u64 > BYTES_MAX);
        for round in 0..30 {
            fs::write(&path, &before).unwrap();
            let lines: Vec<String> = (0..8).map(|n| format!("round {round} line {n}")).collect();
            let together = std::sync::Barrier::new(lines.len());
            std::thread::scope(|scope| {
                for line in &lines {
                    let (together, path) = (&together, Some(path.clone()));
                    scope.spawn(move || {
                        let history = History { path };
                        together.wait();
                        history.add(line);
                    });
                }
            });
            let text = fs::read_to_string(&path).unwrap();
            for line in &lines {
                assert_eq!(text.lines().filter(|it| it == line).count(), 1, "{line}");
            }
        }
    }

    #[test]
    fn without_a_place_nothing_is_kept() {
        let history = History { path: None };
        history.add("x");
        assert!(history.file().is_none());
    }
}

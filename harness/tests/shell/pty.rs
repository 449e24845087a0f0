//! A pseudo-terminal with `mayfly shell` on it, and its screen.
//!
//! Nothing sleeps: a thread reads what is shown, and whoever waits for the
//! screen to be something looks again after each piece.

use std::fs::File;
use std::io::{Read as _, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nix::sys::termios::{LocalFlags, tcgetattr};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

/// How long a screen may take; a machine that is busy needs it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where [`Session::cached`] keeps snapshots, in its folder.
pub(crate) const CACHE: &str = "cache";

/// Machines are QEMU's here.
pub(crate) fn on_qemu() -> bool {
    std::env::var("MAYFLY_BACKEND").is_ok_and(|it| it == "qemu")
}

struct Screen {
    parser: vt100::Parser,
    /// Everything that was shown.
    all: Vec<u8>,
    closed: bool,
}

/// A session.
pub(crate) struct Session {
    screen: Arc<(Mutex<Screen>, Condvar)>,
    writer: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    pub(crate) child: Box<dyn Child + Send + Sync>,
    // Kept open: what is on it can be asked after the session.
    slave: File,
    folder: Arc<TempDir>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn nonzero(number: u16) -> NonZero<u16> {
    NonZero::new(number).expect("a screen has rows and columns")
}

impl Session {
    /// A session at a prompt, in a window of 80 columns.
    pub(crate) fn new() -> Self {
        Self::with(&[], 80, 24)
    }

    /// The same with arguments, in a window of so many columns and rows.
    pub(crate) fn with(arguments: &[&str], columns: u16, rows: u16) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let mut session = Self::begin(&folder, arguments, &[], size(columns, rows));
        session.prompt();
        session
    }

    /// One that may not be at a prompt, with other variables.
    pub(crate) fn not_yet(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::begin(&folder, arguments, variables, size(80, 24))
    }

    /// The next session of the same person.
    pub(crate) fn again(&self) -> Self {
        let mut session = Self::begin(&self.folder, &[], &[], size(80, 24));
        session.prompt();
        session
    }

    /// One in a folder that has a cache of its own, in a window of such a size.
    pub(crate) fn cached(folder: &Arc<TempDir>, columns: u16, rows: u16) -> Self {
        let cache = folder.path().join(CACHE);
        let cache = cache.to_str().expect("a folder has a name");
        let variables = [("MAYFLY_CACHE_DIR", cache), ("MAYFLY_SNAPSHOT", "disk")];
        let window = size(columns, rows);
        let mut session = Self::begin(folder, &["--backend", "kvm"], &variables, window);
        session.prompt();
        session
    }

    fn begin(
        folder: &Arc<TempDir>,
        arguments: &[&str],
        variables: &[(&str, &str)],
        window: PtySize,
    ) -> Self {
        let pair = native_pty_system().openpty(window);
        let pair = pair.expect("a pseudo-terminal");
        let tty = pair.master.tty_name().expect("it has a name");
        let slave = File::options().read(true).write(true).open(&tty);
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_mayfly"));
        command.arg("shell");
        command.args(arguments);
        command.env("MAYFLY_HISTORY", folder.path().join("history"));
        command.env("TERM", "xterm-256color");
        variables
            .iter()
            .for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).expect("it starts");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let writer = pair.master.take_writer().expect("a writer");
        let screen = Screen {
            parser: vt100::Parser::new(nonzero(window.rows), nonzero(window.cols), 200),
            all: Vec::new(),
            closed: false,
        };
        let screen = Arc::new((Mutex::new(screen), Condvar::new()));
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let count = reader.read(&mut chunk).unwrap_or(0);
                let mut screen = shared.0.lock().expect("nobody panics with it");
                screen.parser.process(&chunk[..count]);
                screen.all.extend(&chunk[..count]);
                screen.closed = count == 0;
                shared.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self {
            screen,
            writer,
            master: pair.master,
            child,
            slave: slave.expect("the terminal"),
            folder: Arc::clone(folder),
        }
    }

    /// A file of the session's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Types.
    pub(crate) fn types(&mut self, keys: impl AsRef<[u8]>) -> &mut Self {
        self.writer.write_all(keys.as_ref()).expect("it is read");
        self.writer.flush().expect("it is read");
        self
    }

    /// Waits until the screen is so; its rows.
    #[track_caller]
    pub(crate) fn until(
        &self,
        what: &str,
        is_so: impl Fn(&[String], (u16, u16)) -> bool,
    ) -> Vec<String> {
        let (screen, changed) = &*self.screen;
        let mut screen = screen.lock().expect("nobody panics with it");
        loop {
            let shown = screen.parser.screen();
            let columns = shown.size().1.get();
            let rows: Vec<String> = shown
                .rows(0, columns)
                .map(|it| it.trim_end().into())
                .collect();
            let cursor = shown.cursor_position();
            if is_so(&rows, cursor) {
                return rows;
            }
            let waited = changed.wait_timeout(screen, PATIENCE);
            let (again, timeout) = waited.expect("nobody panics with it");
            screen = again;
            let text = rows.join("\n");
            assert!(
                !timeout.timed_out(),
                "{what}: it is not, but\n{}\ncursor {cursor:?}",
                text.trim_end()
            );
            assert!(
                !screen.closed || is_so(&rows, cursor),
                "{what}: it is over with\n{}",
                text.trim_end()
            );
        }
    }

    /// Waits for a row that is so.
    #[track_caller]
    pub(crate) fn row(&self, row: &str) -> Vec<String> {
        self.until(row, |rows, _| rows.iter().any(|it| it == row))
    }

    /// Waits for text anywhere.
    #[track_caller]
    pub(crate) fn text(&self, text: &str) -> Vec<String> {
        self.until(text, |rows, _| rows.iter().any(|it| it.contains(text)))
    }

    /// Waits until the cursor stands behind an empty prompt.
    #[track_caller]
    pub(crate) fn prompt(&mut self) -> Vec<String> {
        self.until("an empty prompt", |rows, (row, column)| {
            let row = rows.get(usize::from(row)).map_or("", |it| it);
            row.starts_with("guest") && row.ends_with('>') && usize::from(column) == row.len() + 1
        })
    }

    /// Runs a line, and waits for the next prompt; what stands between.
    #[track_caller]
    pub(crate) fn run(&mut self, line: &str) -> String {
        // From an empty screen, so that what is there is the answer.
        self.types("\x0c");
        self.until("an empty screen", |rows, cursor| {
            cursor.0 == 0 && rows[1..].iter().all(String::is_empty)
        });
        self.types(line).types("\r");
        let rows = self.until("the prompt after it", |rows, (row, _)| {
            let at = rows.get(usize::from(row)).map_or("", |it| it);
            row > 0 && at.starts_with("guest") && at.ends_with('>')
        });
        let last = rows.iter().rposition(|row| !row.is_empty()).unwrap_or(0);
        rows[1..last].join("\n")
    }

    /// Gives the window another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        {
            let mut screen = self.screen.0.lock().expect("nobody panics with it");
            screen
                .parser
                .screen_mut()
                .set_size(nonzero(rows), nonzero(columns));
        }
        self.master.resize(size(columns, rows)).expect("a window");
    }

    /// Waits for its end; its status.
    #[track_caller]
    pub(crate) fn status(&mut self) -> u32 {
        self.child.wait().expect("it ends").exit_code()
    }

    /// The terminal gives lines, with echo, as it did before.
    pub(crate) fn is_restored(&self) -> bool {
        let settings = tcgetattr(&self.slave).expect("a terminal");
        let both = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        settings.local_flags.contains(both)
    }

    /// Everything that was ever shown.
    pub(crate) fn everything(&self) -> String {
        let screen = self.screen.0.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&screen.all).into_owned()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

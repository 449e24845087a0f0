//! This terminal: raw while the guest has it, and as it was afterwards.
//!
//! Purpose: the setting is put back when [`Raw`] goes, by whatever way: an
//! ordinary end, an error, a panic, a signal. A process that is killed can put
//! nothing back, so a second one stands by, which does nothing but wait for the
//! first one's end ([`stand_by`]). Neighbours: `shell` and its session.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::termios::{InputFlags, LocalFlags, OutputFlags, SetArg, Termios, cfmakeraw};
use nix::sys::termios::{tcgetattr, tcsetattr};

/// What may have been switched on: marks around pasted text, a hidden cursor,
/// colours.
const RESET: &[u8] = b"\x1b[?2004l\x1b[?25h\x1b[0m";
/// Hidden command of the process that stands by.
pub(crate) const STAND_BY: &str = "stand-by-for-terminal";

/// The terminal while the guest has it.
pub(crate) struct Raw {
    before: Termios,
    guard: Option<Guard>,
}

impl Raw {
    /// Hands keys over as they are typed. Without a guard, only a kill goes
    /// unnoticed.
    pub(crate) fn enter(guard: Option<Guard>) -> anyhow::Result<Self> {
        let before = tcgetattr(io::stdin()).context("cannot read this terminal's settings")?;
        let raw = Self {
            before,
            // It has read the settings: before they are changed.
            guard: guard.and_then(Guard::ready),
        };
        raw.apply()?;
        Ok(raw)
    }

    /// Makes it raw, again if somebody has changed it meanwhile.
    pub(crate) fn apply(&self) -> anyhow::Result<()> {
        let mut settings = self.before.clone();
        cfmakeraw(&mut settings);
        // A new line begins at the left: the guest's programs write `\n`.
        settings.output_flags |= OutputFlags::OPOST | OutputFlags::ONLCR;
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &settings)
            .context("cannot change this terminal's settings")
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore(&self.before);
        // It finds the terminal in order.
        drop(self.guard.take());
    }
}

/// Puts the terminal back. Nothing is left to do if that fails.
fn restore(before: &Termios) {
    let mut stdout = io::stdout().lock();
    drop(stdout.write_all(RESET).and_then(|()| stdout.flush()));
    let _restored = tcsetattr(io::stdin(), SetArg::TCSADRAIN, before);
}

/// The process that stands by.
pub(crate) struct Guard {
    child: Child,
    /// Ends with this process, or with this guard.
    input: Option<ChildStdin>,
}

impl Guard {
    /// Starts it; there is time for other things until it is wanted.
    pub(crate) fn start() -> Option<Self> {
        let own = std::env::current_exe().ok()?;
        let mut child = Command::new(own)
            .arg(STAND_BY)
            .stdin(Stdio::piped())
            // The terminal itself, from which the settings are read and put back.
            .stdout(io::stdin().as_fd().try_clone_to_owned().ok()?)
            // Where it says that it has the settings.
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let input = child.stdin.take();
        Some(Self { child, input })
    }

    /// Waits until it has read the settings.
    fn ready(mut self) -> Option<Self> {
        let mut said = [0];
        let mut words = self.child.stderr.take()?;
        words.read_exact(&mut said).ok().map(|()| self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}

/// Waits for the end of the process that has the terminal, and puts it back if
/// that one did not.
pub(crate) fn stand_by() -> anyhow::Result<()> {
    let terminal = io::stdout();
    if !terminal.is_terminal() {
        return Ok(());
    }
    let before = tcgetattr(&terminal).context("cannot read the terminal's settings")?;
    // What ends the other one is not to end this one before.
    let all = SigSet::all();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&all), None).context("cannot block signals")?;
    io::stderr().write_all(b"\n").context("nobody waits")?;
    let mut input = Vec::new();
    // It ends when the other process does, and not before.
    drop(io::stdin().read_to_end(&mut input));
    let now = tcgetattr(&terminal).context("cannot read the terminal's settings")?;
    if is_same(&now, &before) {
        return Ok(());
    }
    let mut out = terminal.lock();
    drop(out.write_all(RESET).and_then(|()| out.flush()));
    drop(out);
    tcsetattr(io::stdout(), SetArg::TCSADRAIN, &before).context("cannot put the terminal back")
}

/// Keys come as lines, or not, as before.
fn is_same(now: &Termios, before: &Termios) -> bool {
    let input = InputFlags::ICRNL | InputFlags::IXON;
    let local = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
    now.input_flags & input == before.input_flags & input
        && now.local_flags & local == before.local_flags & local
}

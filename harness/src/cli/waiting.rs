//! What is being waited for, told to whoever looks on.
//!
//! Purpose: a line on standard error, if that is a terminal, once something takes
//! longer than a second; it is gone when that is over. Neighbours: commands
//! wrap what may take long, `say` prints what stays.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::say::Say;

/// How long nothing is said, and how often it is said then.
const PATIENCE: Duration = Duration::from_secs(1);
/// Back to the beginning of the line, which is cleared.
const CLEAR: &str = "\r\x1b[K";

/// Does something; says meanwhile that it is being done.
pub(crate) fn during<T>(say: &Say, what: &str, act: impl FnOnce() -> T) -> T {
    if say.is_silent() || !std::io::stderr().is_terminal() {
        return act();
    }
    std::thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        scope.spawn(move || tell(what, &is_done));
        let result = act();
        drop(done);
        result
    })
}

/// Says what is being done, each second until that is over.
fn tell(what: &str, is_done: &mpsc::Receiver<()>) {
    let started = Instant::now();
    let mut said = false;
    while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(PATIENCE) {
        let seconds = started.elapsed().as_secs();
        // A terminal that has gone is no reason to stop.
        let _ = write!(std::io::stderr(), "{CLEAR}{what}, {seconds} s ");
        said = true;
    }
    if said {
        let _ = write!(std::io::stderr(), "{CLEAR}");
    }
}

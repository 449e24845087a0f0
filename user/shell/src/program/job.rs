//! Processes that were started together, and how they end.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mayfly_abi::patchwork::Errno;

use super::system::{self, File, Result};

/// Status of what was interrupted, as the terminal has it.
pub(crate) const INTERRUPTED: i32 = 130;

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) id: u64,
    wait: File,
}

impl Child {
    /// Starts a program with the standard streams as they are now.
    pub(crate) fn start(words: &[String], suspended: bool) -> Result<Self> {
        let id = system::spawn(words, suspended)?;
        // At once: its directory goes soon after its end.
        let wait = File::open(&format!("/proc/{id}/wait"))?;
        Ok(Self { id, wait })
    }

    /// It has ended.
    pub(crate) fn has_ended(&self) -> bool {
        system::ready(self.wait.fd(), 1).is_ok_and(|ready| ready != 0)
    }

    /// Waits until it has ended; its status.
    pub(crate) fn status(&self) -> i32 {
        loop {
            let mut text = [0; 16];
            match system::read(self.wait.fd(), &mut text) {
                Ok(count) => {
                    let text = core::str::from_utf8(&text[..count]).ok();
                    return text.and_then(|it| it.parse().ok()).unwrap_or(-1);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return -1,
            }
        }
    }

    /// Lets one run that was started suspended.
    pub(crate) fn go(&self) -> Result<()> {
        order(self.id, "start")
    }
}

/// Gives a process an order.
pub(crate) fn order(id: u64, words: &str) -> Result<()> {
    system::write_to(&format!("/proc/{id}/ctl"), words.as_bytes())
}

/// A pipeline that nobody waits for.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) number: usize,
    pub(crate) children: Vec<Child>,
    pub(crate) text: String,
}

impl Job {
    pub(crate) fn has_ended(&self) -> bool {
        self.children.iter().all(Child::has_ended)
    }

    /// Waits for all of it; the status of the last.
    pub(crate) fn status(&self) -> i32 {
        self.children.iter().fold(0, |_, child| child.status())
    }
}

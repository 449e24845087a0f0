//! How much of what a machine tells is kept.
//!
//! Purpose: a program that writes without end, or a kernel gone wild, fills the
//! memory of the machine and not that of its host. More than is kept is an error:
//! nothing is forgotten unsaid. Neighbours: the parent counts; [`crate::client`]
//! ends the machine.

use super::Journal;
use crate::error::Error;

/// Requests that the kernel could not read: the last ones are kept.
const BAD_REQUESTS_MAX: usize = 64;

/// The most that is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of all processes: what is known of them, their output and calls.
    pub(crate) bytes: usize,
    /// Answers that nobody has taken: each request has one, and is waited for.
    pub(crate) answers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            answers: 4 << 10,
        }
    }
}

impl Journal {
    /// Says of what there is more than is kept.
    pub(crate) fn excess(&self) -> Option<Error> {
        let (why, remedy) = if self.bytes > self.limits.bytes {
            (
                format!(
                    "there are more than {} bytes of output, calls and processes",
                    self.limits.bytes
                ),
                "take output as it comes (Process::wait_while), spawn with .trace(false), or boot another Vm",
            )
        } else if self.answers.len() > self.limits.answers {
            (
                format!(
                    "there are more than {} answers that nobody waits for",
                    self.limits.answers
                ),
                "look at the kernel: it answers requests that were never made",
            )
        } else {
            return None;
        };
        let what = "the machine tells more than is kept of it";
        Some(Error::broken(what, why, remedy))
    }

    /// Notes what was wrong with a request.
    pub(super) fn bad_request(&mut self, message: String) {
        if self.bad_requests.len() == BAD_REQUESTS_MAX {
            self.bad_requests.pop_front();
        }
        self.bad_requests.push_back(message);
    }
}

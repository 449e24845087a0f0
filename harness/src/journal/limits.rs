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
    /// Bytes of one stream of a process.
    pub(crate) stream: usize,
    /// Calls recorded, over all processes.
    pub(crate) calls: usize,
    /// Processes, those that have ended included.
    pub(crate) processes: usize,
    /// Answers that nobody has taken: each request has one, and is waited for.
    pub(crate) answers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stream: 256 << 20,
            calls: 4 << 20,
            processes: 1 << 20,
            answers: 4 << 10,
        }
    }
}

/// What a journal counts as it grows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Bytes of the longest stream.
    pub(crate) longest: usize,
    pub(crate) calls: usize,
}

impl Journal {
    /// Says of what there is more than is kept.
    pub(crate) fn excess(&self) -> Option<Error> {
        let limits = self.limits;
        let found = [
            (
                self.counts.longest,
                limits.stream,
                "bytes of one program's output",
                "take what it writes as it comes (Process::wait_while), or let it write less",
            ),
            (
                self.counts.calls,
                limits.calls,
                "recorded calls",
                "spawn programs that make so many with .trace(false)",
            ),
            (
                self.processes.len(),
                limits.processes,
                "processes",
                "a new machine now and then: vm.reset(), or another Vm",
            ),
            (
                self.answers.len(),
                limits.answers,
                "answers that nobody waits for",
                "look at the kernel: it answers requests that were never made",
            ),
        ];
        let mut over = found.into_iter().filter(|(has, limit, ..)| has > limit);
        over.next().map(|(_, limit, what, remedy)| {
            let why = format!("there are more than {limit} {what}");
            Error::broken("the machine tells more than is kept of it", why, remedy)
        })
    }

    /// Notes what was wrong with a request.
    pub(super) fn bad_request(&mut self, message: String) {
        if self.bad_requests.len() == BAD_REQUESTS_MAX {
            self.bad_requests.pop_front();
        }
        self.bad_requests.push_back(message);
    }
}

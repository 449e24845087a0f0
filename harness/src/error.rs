//! What can go wrong, as a caller sees it.
//!
//! Purpose: one enum. Each message names what failed, where, why, and what to
//! do. The death of a machine is a value of its own ([`crate::report::Death`]),
//! because it carries a screenful. Neighbours: every module returns these.

use std::io;

use mayfly_abi::Abi;
use mayfly_wire::message::Refusal;

use crate::journal::Answer;
use crate::report::Death;

/// What a test function returns.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Anything that keeps the library from giving a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host or the set-up is at fault, not the guest. Verdict: broken.
    #[error("{what}\n  why: {why}\n  try: {remedy}")]
    Broken {
        /// What failed, and where.
        what: String,
        /// Why.
        why: String,
        /// What to do about it.
        remedy: String,
    },

    /// The machine ended, or did not answer in time.
    #[error("{0}")]
    Died(Box<Death>),

    /// The machine is not running any more: a call before this one ended it.
    #[error(
        "cannot {what}: this microVM has ended ({how})\n  try: a fresh Vm; one that ended takes no requests"
    )]
    Ended {
        /// What was asked.
        what: &'static str,
        /// How it ended.
        how: String,
    },

    /// The kernel refused a request.
    #[error("the kernel refused to {what}: {message}\n  try: {}", remedy(*reason))]
    Refused {
        /// What was asked.
        what: String,
        /// Kind of refusal.
        reason: Refusal,
        /// The kernel's words.
        message: String,
    },

    /// A probe's call ended its process instead of returning.
    #[error(
        "the probe {pid} ended during {call}: {cause}\n  try: a new probe; this one takes no calls"
    )]
    ProbeEnded {
        /// Process.
        pid: u64,
        /// The call.
        call: String,
        /// What ended it.
        cause: String,
    },

    /// Input was sent that nobody will read.
    #[error(
        "cannot send input to {program} (process {pid}): {why}\n  try: sending it while the program reads; what it does not read is no error"
    )]
    NoReader {
        /// The program.
        program: String,
        /// Its process.
        pid: u64,
        /// Why nobody will.
        why: &'static str,
    },

    /// An argument of this library's caller is wrong.
    #[error("{what}: {why}\n  try: {remedy}")]
    Usage {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        why: String,
        /// What would be right.
        remedy: String,
    },

    /// No call of the interface has that name.
    #[error("no {} call is named {name:?}{}\n  try: mayfly coverage {}", abi.name(), hint(near), abi.name())]
    UnknownCall {
        /// Interface.
        abi: Abi,
        /// Name that was given.
        name: String,
        /// A name that is close to it.
        near: Option<&'static str>,
    },

    /// An I/O error of the test's own.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The machine's death, when that is what this is.
    pub fn death(&self) -> Option<&Death> {
        match self {
            Error::Died(death) => Some(death),
            _ => None,
        }
    }

    /// One word for the kind of error, as JSON output names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Broken { .. } => "broken",
            Error::Died(death) => death.kind(),
            Error::Ended { .. } => "ended",
            Error::Refused { .. } => "refused",
            Error::ProbeEnded { .. } => "probe-ended",
            Error::NoReader { .. } => "no-reader",
            Error::Usage { .. } | Error::UnknownCall { .. } => "usage",
            Error::Io(_) => "io",
        }
    }

    /// A [`Error::Broken`] from its three parts.
    pub(crate) fn broken(
        what: impl Into<String>,
        why: impl ToString,
        remedy: impl Into<String>,
    ) -> Self {
        Error::Broken {
            what: what.into(),
            why: why.to_string(),
            remedy: remedy.into(),
        }
    }
}

/// What helps against a refusal.
fn remedy(reason: Refusal) -> &'static str {
    match reason {
        Refusal::NoProgram => "a bundled program, or VmOptions::file with the program's bytes",
        Refusal::BadExecutable => "a static ELF64 or PE32+ for x86_64, as the interface asks",
        Refusal::NoResources => "more memory (VmOptions::memory_bytes), or fewer processes at once",
        Refusal::BadProcess => "a process that is alive; a probe makes one call at a time",
        Refusal::BadArgument => "arguments within the limits of kernel/wire",
    }
}

fn hint(near: &Option<&'static str>) -> String {
    near.map_or_else(String::new, |near| format!("; {near} is close"))
}

/// The error of an answer of the wrong kind.
pub(crate) fn unexpected(what: &str, answer: &Answer) -> Error {
    Error::broken(
        format!("the kernel answered something else than asked for: {what}"),
        format!("it {}", answer.in_words()),
        "rebuild kernel and harness together; they share kernel/wire",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_helps() {
        let error = Error::Refused {
            what: "start nothing".into(),
            reason: Refusal::NoProgram,
            message: "no such program".into(),
        };
        let text = error.to_string();
        assert!(text.contains("refused to start nothing"), "{text}");
        assert!(text.contains("try: a bundled program"), "{text}");
    }

    #[test]
    fn an_unknown_call_suggests_a_near_one() {
        let error = Error::UnknownCall {
            abi: Abi::Patchwork,
            name: "WRIT".into(),
            near: Some("WRITE"),
        };
        assert!(error.to_string().contains("WRITE is close"));
        assert_eq!(error.kind(), "usage");
    }
}

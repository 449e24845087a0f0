//! What ended a process, as a caller reads it.
//!
//! Purpose: [`Cause`] and [`ExitStatus`], with words for both. Neighbours:
//! `guest::Output` carries them, the command line turns them into exit codes.

use std::fmt;

use mayfly_wire::message;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It asked.
    Exited,
    /// A processor exception in ring 3.
    Fault {
        /// Exception vector.
        vector: u8,
        /// Address that was accessed (page faults), or 0.
        address: u64,
        /// Instruction that did it.
        rip: u64,
        /// Error code of the processor.
        error_code: u32,
    },
    /// The host or another process asked.
    Killed,
    /// No memory was left for a page that it touched.
    OutOfMemory,
    /// Its executable could not be loaded.
    LoadFailed,
}

impl From<message::Cause> for Cause {
    fn from(cause: message::Cause) -> Self {
        match cause {
            message::Cause::Exit => Cause::Exited,
            message::Cause::Fault(fault) => Cause::Fault {
                vector: fault.vector,
                address: fault.address,
                rip: fault.rip,
                error_code: fault.error_code,
            },
            message::Cause::Killed => Cause::Killed,
            message::Cause::OutOfMemory => Cause::OutOfMemory,
            message::Cause::LoadFailed => Cause::LoadFailed,
        }
    }
}

impl Cause {
    /// One word, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Exited => "exited",
            Cause::Fault { .. } => "fault",
            Cause::Killed => "killed",
            Cause::OutOfMemory => "out-of-memory",
            Cause::LoadFailed => "load-failed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Fault {
                vector: 14,
                address,
                rip,
                error_code,
            } => {
                let verb = access(*error_code);
                write!(f, "page fault: {verb} {address:#x} at rip {rip:#x}")
            }
            Cause::Fault { vector, rip, .. } => {
                write!(f, "{} at rip {rip:#x}", exception(*vector))
            }
            Cause::Exited => f.write_str("exited"),
            Cause::Killed => f.write_str("killed"),
            Cause::OutOfMemory => f.write_str("out of memory"),
            Cause::LoadFailed => f.write_str("its executable could not be loaded"),
        }
    }
}

/// Verb for the access that a page fault's error code describes.
fn access(error_code: u32) -> &'static str {
    match (error_code & 0x10 != 0, error_code & 2 != 0) {
        (true, _) => "execute of",
        (false, true) => "write to",
        (false, false) => "read of",
    }
}

/// Name of an exception.
fn exception(vector: u8) -> String {
    let name = match vector {
        0 => "division by zero",
        1 => "debug exception",
        3 => "breakpoint",
        4 => "overflow",
        6 => "invalid instruction",
        13 => "general protection fault",
        16 => "x87 exception",
        17 => "unaligned access",
        19 => "SIMD exception",
        _ => return format!("exception {vector}"),
    };
    name.into()
}

/// Status that a process ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    pub(crate) cause: Cause,
    pub(crate) code: i64,
}

impl ExitStatus {
    /// What ended it.
    pub fn cause(self) -> Cause {
        self.cause
    }

    /// It asked to end, with status 0.
    pub fn success(self) -> bool {
        self.cause == Cause::Exited && self.code == 0
    }

    /// The status as the process's interface has it.
    pub fn code(self) -> i64 {
        self.code
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Exited => write!(f, "status {}", self.code),
            cause => write!(f, "{cause}"),
        }
    }
}

/// A program that did not simply exit, and was not killed either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Died {
    /// Its process id.
    pub pid: u64,
    /// What it was.
    pub program: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl fmt::Display for Died {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ended: {}", self.program, self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fault_says_what_was_tried() {
        for (error_code, words) in [
            (4, "page fault: read of 0x10 at rip 0x40"),
            (6, "page fault: write to 0x10 at rip 0x40"),
            (0x14, "page fault: execute of 0x10 at rip 0x40"),
        ] {
            let cause = Cause::Fault {
                vector: 14,
                address: 0x10,
                rip: 0x40,
                error_code,
            };
            assert_eq!(cause.to_string(), words);
        }
    }

    #[test]
    fn only_an_exit_with_zero_is_success() {
        for (cause, code, success) in [
            (Cause::Exited, 0, true),
            (Cause::Exited, 1, false),
            (Cause::Killed, 0, false),
        ] {
            assert_eq!(ExitStatus { cause, code }.success(), success);
        }
    }
}

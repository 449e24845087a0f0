//! Exit codes of the tool.
//!
//! Purpose: one place for the contract of the command line: what a guest's end
//! and an error become. Neighbours: every command returns an [`Exit`].

use std::process::ExitCode;

use mayfly::{Cause, Error, Output, Refusal};

/// How the tool ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Success,
    /// Something that was asked about is not so.
    Failure,
    /// Wrong use.
    Usage,
    /// A cost is not what was agreed on.
    Regression,
    /// The time was over.
    Timeout,
    /// Mayfly, the host or the guest kernel failed.
    Broken,
    /// The file is not a program that can run.
    CannotRun,
    /// There is no such program.
    NotFound,
    /// A program ran; this is its code.
    Program(u8),
}

impl Exit {
    /// The code as the shell sees it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Regression => 111,
            Exit::Timeout => 124,
            Exit::Broken => 125,
            Exit::CannotRun => 126,
            Exit::NotFound => 127,
            Exit::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Largest status that is passed through; those above mean something here.
const PASSED_MAX: u8 = 123;
/// Code of a program that a signal ended, as shells have it, before its number.
const SIGNAL: u8 = 128;
const SIGKILL: u8 = 9;
const SIGSEGV: u8 = 11;

/// What a program's end becomes.
pub(crate) fn of_output(output: &Output) -> Exit {
    of_end(output.cause, output.status.code())
}

/// The same, of an end in parts.
pub(crate) fn of_end(cause: Cause, status: i64) -> Exit {
    match cause {
        Cause::Exited => Exit::Program(
            u8::try_from(status)
                .ok()
                .filter(|status| *status <= PASSED_MAX)
                .unwrap_or(1),
        ),
        Cause::Fault { .. } => Exit::Program(SIGNAL + SIGSEGV),
        Cause::Killed | Cause::OutOfMemory => Exit::Program(SIGNAL + SIGKILL),
        Cause::LoadFailed => Exit::CannotRun,
    }
}

/// What an error becomes.
pub(crate) fn of_error(error: &anyhow::Error) -> Exit {
    if let Some(unusable) = error.downcast_ref::<super::program::Unusable>() {
        return unusable.exit();
    }
    if let Some(error) = error.downcast_ref::<mayfly_bench::Error>() {
        return match error {
            mayfly_bench::Error::Unrepeatable { .. } => Exit::Broken,
            _ => Exit::Usage,
        };
    }
    match error.downcast_ref::<Error>() {
        Some(Error::Usage { .. } | Error::UnknownCall { .. }) => Exit::Usage,
        Some(Error::Died(death)) if death.kind() == "timeout" => Exit::Timeout,
        Some(Error::Refused { reason, .. }) => match reason {
            Refusal::NoProgram => Exit::NotFound,
            Refusal::BadExecutable => Exit::CannotRun,
            _ => Exit::Broken,
        },
        _ => Exit::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_end_becomes_its_code() {
        let fault = Cause::Fault {
            vector: 14,
            address: 0,
            rip: 0,
            error_code: 0,
        };
        for (cause, status, exit) in [
            (Cause::Exited, 0, Exit::Program(0)),
            (Cause::Exited, 123, Exit::Program(123)),
            (Cause::Exited, 124, Exit::Program(1)),
            (Cause::Exited, -1, Exit::Program(1)),
            (fault, 14, Exit::Program(139)),
            (Cause::Killed, 0, Exit::Program(137)),
            (Cause::LoadFailed, 138, Exit::CannotRun),
        ] {
            assert_eq!(of_end(cause, status), exit);
        }
    }

    #[test]
    fn a_panic_of_the_kernel_is_125() {
        let vm = mayfly::Vm::boot().unwrap();
        vm.panic_for_test(0).unwrap();
        let error = anyhow::Error::from(vm.ping().unwrap_err());
        assert!(error.to_string().contains("kernel panic"), "{error}");
        assert_eq!(of_error(&error).code(), 125);
    }

    #[test]
    fn errors_have_codes_of_their_own() {
        let refused = |reason| Error::Refused {
            what: "start x".into(),
            reason,
            message: String::new(),
        };
        for (error, exit) in [
            (refused(Refusal::NoProgram), Exit::NotFound),
            (refused(Refusal::BadExecutable), Exit::CannotRun),
            (refused(Refusal::NoResources), Exit::Broken),
        ] {
            assert_eq!(of_error(&error.into()), exit);
        }
        assert_eq!(of_error(&anyhow::anyhow!("x")), Exit::Broken);
    }
}

//! How core's words are spelled on the wire.

use mayfly_core::kernel::SpawnError;
use mayfly_core::object::process::Cause;
use mayfly_wire::message::{Cause as WireCause, Fault, Refusal};

/// Why a process cannot be started.
pub(crate) fn describe(error: SpawnError) -> (Refusal, &'static str) {
    match error {
        SpawnError::NoProgram => (Refusal::NoProgram, "no bundle has a program of that name"),
        SpawnError::BadImage(why) => (Refusal::BadExecutable, why.describe()),
        SpawnError::NoAbi => (
            Refusal::BadExecutable,
            "neither the request nor the executable names an ABI",
        ),
        SpawnError::NoRoom => (Refusal::NoResources, "memory is full"),
        SpawnError::BadArguments => (
            Refusal::BadArgument,
            "the arguments do not fit the new program's stack",
        ),
    }
}

/// What ended a process.
pub(crate) fn wire_cause(cause: Cause) -> WireCause {
    match cause {
        Cause::Exit => WireCause::Exit,
        Cause::Killed => WireCause::Killed,
        Cause::OutOfMemory => WireCause::OutOfMemory,
        Cause::LoadFailed => WireCause::LoadFailed,
        Cause::Fault(fault) => WireCause::Fault(Fault {
            vector: u8::try_from(fault.vector).unwrap_or(u8::MAX),
            error_code: u32::try_from(fault.error).unwrap_or(u32::MAX),
            address: fault.address,
            rip: fault.rip,
            rsp: fault.rsp,
        }),
    }
}

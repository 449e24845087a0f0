//! What a test file needs, in one `use`.
//!
//! Purpose: `use mayfly::prelude::*;`. The call numbers of each interface are
//! here under its name: `patchwork::WRITE`. Neighbours: [`crate`] has the rest.

pub use crate::probe::{Arg, CallResult, Probe, inout, input, out, text};
pub use crate::{
    Abi, BackendKind, Cause, Command, Error, ExitStatus, Output, Phase, Process, Result, Vm,
    VmOptions, args, budget,
};
pub use mayfly_abi::mailbox::BUFFER;
pub use mayfly_abi::patchwork::nr as patchwork;
pub use mayfly_abi::veridian::nr as veridian;
pub use mayfly_abi::xeneva::nr as xeneva;

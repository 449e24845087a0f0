//! A microVM with a real kernel for every test.
//!
//! Boots the Mayfly kernel, runs guest programs on it, and brings back what
//! they did: every system call with its result and cost. Ordinary `cargo test`,
//! no root, no set-up.
//!
//! ```no_run
//! use mayfly::prelude::*;
//!
//! #[mayfly::test]
//! fn hello_writes(vm: Vm) -> Result<()> {
//!     let out = vm.spawn("patchwork-hello").run()?;
//!     assert!(out.status.success());
//!     assert!(out.calls("WRITE").first().unwrap().result.is_ok());
//!     Ok(())
//! }
//!
//! #[mayfly::test(run_timeout = "2s", covers = "veridian IPC_ENDPOINT_CREATE")]
//! fn an_endpoint_is_cheap(vm: Vm) -> Result<()> {
//!     let probe = vm.probe(Abi::Veridian)?;
//!     let made = probe.call(veridian::IPC_ENDPOINT_CREATE, args![out(16)])?;
//!     budget!(made, kernel_instr <= 400);
//!     Ok(())
//! }
//! ```
//!
//! Keys of `#[mayfly::test(...)]`, all optional: `abi = "xeneva"` serves that
//! interface to programs that [`Vm::spawn`] starts; `run_timeout = "2s"` and
//! `setup_timeout` limit each wait and the boot; `memory = "16M"` sizes the
//! guest; `meter` counts kernel instructions of probe calls (a body with
//! [`budget!`] is metered unasked); `covers = "patchwork WRITE EINVAL, ..."`
//! names calls and errors tested, for `mayfly coverage`.
//!
//! The guest makes progress only while the host waits on it: its processor
//! runs on the thread that waits. `MAYFLY_BACKEND=qemu` runs the same tests on
//! QEMU. Modules, from the caller down:
//!
//! - `microvm` ([`Vm`]), `guest` ([`Command`], [`Process`], [`Output`]),
//!   [`probe`], [`transcript`], [`report`]: what a test uses.
//! - [`terminal`]: a program that people type to.
//! - `client` and `journal`: the wire protocol and what it told; `stdin`:
//!   what programs are to read.
//! - `backend`: the machines; `snapshot`: machines that begin as copies;
//!   `reaper`: their end.
//! - [`mod@budget`], [`profile`]: what calls may cost, and where it went.
//! - [`image`], [`bundle`], [`symbols`], [`snippet`]: the guest's files, and the
//!   sources that they were made of. [`covers`]: what
//!   tests say of themselves.

pub mod budget;
pub mod bundle;
pub mod covers;
pub mod fingerprint;
pub mod image;
pub mod near;
pub mod notation;
pub mod prelude;
pub mod probe;
pub mod profile;
pub mod report;
pub mod runner;
pub mod snippet;
pub mod symbols;
pub mod terminal;
pub mod transcript;

mod arguments;
mod backend;
mod cause;
mod client;
mod environment;
mod error;
mod guest;
mod journal;
mod macros;
mod metering;
mod microvm;
mod options;
mod output;
mod phase;
mod reaper;
mod snapshot;
mod stdin;
mod tell;
mod turns;

pub use backend::{BackendKind, Position};
pub use cause::{Cause, Died, ExitStatus};
pub use error::{Error, Result};
pub use guest::{Command, Process};
pub use journal::Ready;
pub use mayfly_abi::Abi;
pub use mayfly_abi::{patchwork, table, veridian, xeneva};
pub use mayfly_macros::test;
pub use mayfly_wire::message::{Refusal, Stats};
pub use metering::{Part, Spent, Visit};
pub use microvm::Vm;
pub use options::{Entry, ExtraFile, MEMORY_DEFAULT, VmOptions};
pub use output::{Child, Output, Progress};
pub use phase::Phase;
pub use reaper::settle;
pub use runner::{rounds, vm};
pub use snapshot::SnapshotUse;

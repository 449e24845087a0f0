//! What every guest program stands on.
//!
//! Purpose: a program of 10 to 40 lines in `user/{xeneva,patchwork,veridian}`
//! starts here ([`entry`]), makes calls through one stub per convention
//! ([`stub`]) wrapped per interface ([`xeneva`], [`patchwork`], [`veridian`]),
//! and prints through [`console`]. What programs of all three interfaces do
//! alike is written once, against [`system::System`], in [`programs`].
//! Neighbours: `kernel/abi` below gives numbers and conventions as data; no
//! call number is written here.

#![no_std]

pub mod arguments;
pub mod check;
pub mod console;
pub mod entry;
pub mod exchange;
pub mod measure;
pub mod note;
pub mod patchwork;
pub mod programs;
pub mod registers;
pub mod stub;
pub mod system;
pub mod veridian;
pub mod xeneva;

pub use entry::Process;
pub use mayfly_abi as abi;
pub use patchwork::Patchwork;
pub use system::System;
pub use veridian::Veridian;
pub use xeneva::Xeneva;

//! The safe kernel: everything that is decided, nothing that is done.
//!
//! Purpose: objects, scheduling, loading, and the three personalities, over the
//! [`port`] that `kernel/arch` implements. No line of this crate is unsafe, and
//! all of it runs on the host against a fake machine (`fake`). Neighbours: `kernel/abi` gives
//! the calls, `kernel/src` drives the loop and talks to the host.
//!
//! - [`kernel`]: the whole, and what runs now.
//! - [`object`]: ABI-neutral objects. [`schedule`]: who runs next.
//! - [`personality`]: the three interfaces over those objects.
//! - [`loader`], [`bundle`]: executables and where they come from.
//! - [`user`]: user memory, which is never trusted.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bundle;
pub mod error;
pub mod event;
#[cfg(test)]
pub mod fake;
pub mod frame;
pub mod kernel;
pub mod loader;
pub mod object;
pub mod personality;
pub mod port;
pub mod schedule;
pub mod slab;
pub mod trace;
pub mod user;

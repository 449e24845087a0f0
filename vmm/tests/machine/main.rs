//! Hand-assembled guests on a real KVM: one binary, one module a subject.
//!
//! - [`common`]: makes kernels out of a few instructions and runs them.
//! - [`life`]: ends of a machine: exit codes, halts, crashes, deadlines.
//! - [`start`]: what a guest finds when it starts, by either entry.
//! - [`image`]: kernels and configurations that are refused.
//! - [`ports`]: COM1, interrupts and the virtio console, end to end.
//! - [`hostile`]: guests that fill virtqueues with garbage.
//! - [`meter`]: golden instruction counts, on the guest of [`ring3`].
//! - [`entries`]: the same counts, from breakpoints on.
//! - [`visits`]: what is told of a stay in ring 0 beside its count.
//! - [`isolation`]: several machines, other threads, nothing left behind.
//! - [`snapshot`]: machines made from others, in memory and from a file.

#![expect(clippy::unwrap_used, reason = "a test says what it got by panicking")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "guests are assembled from constants that fit"
)]

mod common;
mod entries;
mod hostile;
mod image;
mod isolation;
mod life;
mod meter;
mod ports;
mod ring3;
mod snapshot;
mod start;
mod visits;

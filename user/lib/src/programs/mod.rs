//! Programs that are the same on every interface.
//!
//! Purpose: each is a `run` function, generic over the interface, that a file
//! of the same name in `user/{xeneva,patchwork,veridian}` makes a program of.
//! Neighbours: `System` below says what may differ.

pub mod args;
pub mod badptr;
pub mod exhaust;
pub mod exit;
pub mod fault;
pub mod null;
pub mod overflow;
pub mod preempt;
pub mod random;
pub mod registers;
pub mod ring;
pub mod spin;
pub mod unknown;

//! The protocol, byte by byte.
//!
//! Purpose: a change of the protocol, meant or not, shows here; one that is
//! meant raises `mayfly_wire::VERSION`. Neighbours, one concern a file:
//!
//! - `messages`: one message of each kind, from given values.
//! - `golden`: the bytes of each of them.
//! - `frames`: any message survives the way; any bytes are survived.
//! - `records`: trace records. `terminal`: what the shell says among its bytes.

#![expect(clippy::unwrap_used, reason = "a test says what it got by panicking")]

mod frames;
mod golden;
mod messages;
mod records;
mod terminal;

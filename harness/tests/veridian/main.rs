//! The VeridianOS interface, as its programs and a probe see it.
//!
//! Purpose: one integration binary for the interface; its files are named by
//! what they test. Neighbours: the other two interfaces have the same files.

mod calls;
mod capabilities;
mod costs;
mod ipc;
mod memory;
mod objects;
mod pairs;
mod passing;
mod processes;
mod programs;
mod threads;
mod tokens;

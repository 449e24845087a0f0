//! The VeridianOS interface, as its programs and a probe see it.
//!
//! Purpose: one integration binary for the interface; its files are named by
//! what they test. Neighbours: the other two interfaces have the same files.

mod acceptance;
mod calls;
mod capabilities;
mod costs;
mod errors;
mod ipc;
mod load;
mod memory;
mod objects;
mod pairs;
mod passing;
mod processes;
mod programs;
mod threads;
mod tokens;

//! The PatchworkOS interface, as its programs and a probe see it.
//!
//! Purpose: one integration binary for the interface; its files are named by
//! what they test. Neighbours: the other two interfaces have the same files.

mod binds;
mod calls;
mod children;
mod commands;
mod devices;
mod environment;
mod errors;
mod files;
mod golden;
mod input;
mod memory;
mod notes;
mod paths;
mod pipes;
mod pointers;
mod proc;
mod processes;
mod programs;
mod shared;
mod sockets;
mod spawn;
mod threads;
mod tools;

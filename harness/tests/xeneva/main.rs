//! The XenevaOS interface, as its programs and a probe see it.
//!
//! Purpose: one integration binary for the interface; its files are named by
//! what they test. Neighbours: the other two interfaces have the same files.

mod calls;
mod crossing;
mod errors;
mod files;
mod ideas;
mod images;
mod memory;
mod processes;
mod programs;
mod shared;
mod slots;
mod threads;

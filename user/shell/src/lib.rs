//! The pure half of the shell: what needs no system call.
//!
//! Purpose: everything here takes and gives plain data, so that it is tested on
//! a host. The program (`main.rs`) adds the calls. From below: [`keys`] decodes
//! what a terminal sends; [`layout`] and [`screen`] draw; [`editor`] edits, with
//! [`history`] and [`complete`]; [`parse`] reads a line into [`syntax`],
//! [`expand`] its words;
//! [`near`] knows what somebody meant.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod complete;
pub mod editor;
pub mod expand;
pub mod history;
pub mod keys;
pub mod layout;
pub mod near;
pub mod parse;
pub mod screen;
pub mod syntax;

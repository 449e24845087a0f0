//! Faults in ring 3 as its arguments say, on VeridianOS.
//!
//! Purpose: shows that a fault ends the process alone.
//! Neighbours: `user/lib/src/programs/fault.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Veridian, mayfly_user::programs::fault::run);

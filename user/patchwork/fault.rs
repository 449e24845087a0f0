//! Faults in ring 3 as its arguments say, on PatchworkOS.
//!
//! Purpose: shows that a fault ends the process alone.
//! Neighbours: `user/lib/src/programs/fault.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Patchwork, mayfly_user::programs::fault::run);

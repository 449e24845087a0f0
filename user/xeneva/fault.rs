//! Faults in ring 3 as its arguments say, on XenevaOS.
//!
//! Purpose: shows that a fault ends the process alone.
//! Neighbours: `user/lib/src/programs/fault.rs` has the program.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

mayfly_user::program!(Xeneva, mayfly_user::programs::fault::run);

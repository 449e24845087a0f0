//! Ends with the status of its first argument, on PatchworkOS.
//!
//! Purpose: shows that the whole status arrives.
//! Neighbours: `user/lib/src/programs/exit.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Patchwork, mayfly_user::programs::exit::run);

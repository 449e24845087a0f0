//! Prints each argument on a line of its own, on PatchworkOS.
//!
//! Purpose: shows how the interface passes arguments.
//! Neighbours: `user/lib/src/programs/args.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Patchwork, mayfly_user::programs::args::run);

//! Prints each argument on a line of its own, on VeridianOS.
//!
//! Purpose: shows how the interface passes arguments.
//! Neighbours: `user/lib/src/programs/args.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Veridian, mayfly_user::programs::args::run);

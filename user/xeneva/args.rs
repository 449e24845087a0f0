//! Prints each argument on a line of its own, on XenevaOS.
//!
//! Purpose: shows how the interface passes arguments.
//! Neighbours: `user/lib/src/programs/args.rs` has the program.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

mayfly_user::program!(Xeneva, mayfly_user::programs::args::run);

//! Makes the cheapest call over and over, on PatchworkOS.
//!
//! Purpose: measures the way into the kernel and back.
//! Neighbours: `user/lib/src/programs/null.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Patchwork, mayfly_user::programs::null::run);

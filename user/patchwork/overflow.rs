//! Recurses until its stack ends, on PatchworkOS.
//!
//! Purpose: shows that a stack ends in a guard page.
//! Neighbours: `user/lib/src/programs/overflow.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Patchwork, mayfly_user::programs::overflow::run);

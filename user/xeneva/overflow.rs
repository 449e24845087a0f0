//! Recurses until its stack ends, on XenevaOS.
//!
//! Purpose: shows that a stack ends in a guard page.
//! Neighbours: `user/lib/src/programs/overflow.rs` has the program.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

mayfly_user::program!(Xeneva, mayfly_user::programs::overflow::run);

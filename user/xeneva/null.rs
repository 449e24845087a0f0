//! Makes the cheapest call over and over, on XenevaOS.
//!
//! Purpose: measures the way into the kernel and back.
//! Neighbours: `user/lib/src/programs/null.rs` has the program.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

mayfly_user::program!(Xeneva, mayfly_user::programs::null::run);

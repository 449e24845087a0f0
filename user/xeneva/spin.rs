//! Runs in ring 3 and makes no call, on XenevaOS.
//!
//! Purpose: shows that a program cannot keep the processor.
//! Neighbours: `user/lib/src/programs/spin.rs` has the program.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

mayfly_user::program!(Xeneva, mayfly_user::programs::spin::run);

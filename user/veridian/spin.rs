//! Runs in ring 3 and makes no call, on VeridianOS.
//!
//! Purpose: shows that a program cannot keep the processor.
//! Neighbours: `user/lib/src/programs/spin.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Veridian, mayfly_user::programs::spin::run);

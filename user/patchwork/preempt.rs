//! Spins and looks whether its registers survive, on PatchworkOS.
//!
//! Purpose: shows that a preemption is invisible.
//! Neighbours: `user/lib/src/programs/preempt.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Patchwork, mayfly_user::programs::preempt::run);

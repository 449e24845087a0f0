//! Spins and looks whether its registers survive, on VeridianOS.
//!
//! Purpose: shows that a preemption is invisible.
//! Neighbours: `user/lib/src/programs/preempt.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

mayfly_user::program!(Veridian, mayfly_user::programs::preempt::run);

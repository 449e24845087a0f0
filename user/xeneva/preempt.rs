//! Spins and looks whether its registers survive, on XenevaOS.
//!
//! Purpose: shows that a preemption is invisible.
//! Neighbours: `user/lib/src/programs/preempt.rs` has the program.

#![cfg_attr(target_os = "uefi", no_std, no_main)]

mayfly_user::program!(Xeneva, mayfly_user::programs::preempt::run);

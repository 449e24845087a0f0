//! ABI-neutral objects: what two personalities need lives here.

pub mod capability;
pub mod exit;
pub mod file;
pub mod futex;
pub mod memory;
pub mod process;
pub mod stream;
pub mod thread;
pub mod wait;

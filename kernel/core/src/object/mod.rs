//! ABI-neutral objects: what two personalities need lives here.

pub mod capability;
pub mod collect;
pub mod exit;
pub mod file;
pub mod files;
pub mod futex;
pub mod inode;
pub mod input;
pub mod join;
pub mod log;
pub mod memory;
pub mod namespace;
pub mod opening;
pub mod owned;
pub mod pipe;
pub mod process;
pub mod share;
pub mod socket;
pub mod store;
pub mod stream;
pub mod thread;
pub mod transfer;
pub mod usage;
pub mod wait;
pub mod walk;

//! The machine, as the VMM builds it and the guest finds it.
//!
//! Purpose: every address, number and layout that the host side (`vmm`) and a
//! guest kernel must agree on, written once. Neighbours: `vmm` above builds
//! this machine; `kernel/arch` and any other guest below run on it.
//!
//! - [`layout`]: guest-physical and guest-virtual addresses.
//! - [`boot`]: the two ways into a kernel and the start info they pass.
//! - [`device`]: device slots, interrupt lines, port names, the timing leaf.
//! - [`exit`]: how a guest ends its machine and what the code says.

#![no_std]
#![forbid(unsafe_code)]

pub mod boot;
pub mod device;
pub mod exit;
pub mod layout;

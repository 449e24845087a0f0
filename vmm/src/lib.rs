//! The virtual machine monitor: one guest, one vCPU, the caller's thread.
//!
//! Makes the machine that [`mayfly_machine`] describes out of KVM, boots an
//! ELF64 kernel on it and moves bytes. It knows no kernel and no protocol.
//! Neighbours: `harness` above; `/dev/kvm` below.

mod boot;
mod bus;
mod config;
mod cpu;
mod cpuid;
mod device;
mod error;
mod host;
mod image;
mod kick;
mod memory;
pub mod meter;
mod module;
mod paging;
mod probe;
mod sender;
mod shared;
mod stop;
mod vcpu;
mod vm;

pub use config::{Config, Entry};
pub use device::virtio::port::Port;
pub use error::Error;
pub use image::ImageError;
pub use module::{Module, ModuleFile};
pub use sender::{Interrupter, Sender};
pub use stop::{Crash, CrashKind, GuestError, Position, Registers, Stop};
pub use vcpu::ExitStats;
pub use vm::Vm;
